"""Archives from elsewhere, unpacked so that nothing lies outside its folder, is a link or device, or fills the disk."""

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from mlipshift.base.errors import UserError
from mlipshift.base.files import disk_is_full, replacing
from mlipshift.base.log import log

CHUNK = 1 << 20  # bytes
MAX_MEMBERS = 1_000_000
# bz2 says OSError, an encrypted zip RuntimeError, an unknown compression NotImplementedError
BROKEN = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, OSError, RuntimeError)


def unpack(archive: Path | str, folder: Path | str, limit: int | None = None) -> None:
    """Unpack a tar (also .gz, .bz2, .xz) or zip file into `folder`, whole or not at all.

    limit: upper limit of the unpacked bytes; the free disk space bounds them in any case. Raises UserError for a
    member that would lie outside, a link, a device or the like, for too much content and for a damaged archive.
    """
    folder = Path(folder)
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        count, total, room = 0, 0, _room(part, limit)
        with _members(archive) as members:
            for name, size, kind, content in members:
                _check(archive, name, kind)
                count, total = count + 1, total + size
                if total > room or count > MAX_MEMBERS:
                    raise UserError(
                        f"{archive}: unpacks to more than {room} bytes or {MAX_MEMBERS} files; if that is right, raise "
                        "its unpacked_bytes in the manifest, or make room on the disk"
                    )
                target = part / name
                if kind == "folder":
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with content() as source, open(target, "wb") as handle:
                    shutil.copyfileobj(source, handle, CHUNK)
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    log.info("%s: %d members, %d bytes", archive, count, total)


def extract(archive: Path | str, wanted: str, output: Path | str, limit: int | None = None) -> None:
    """Write the one file `wanted` of an archive to `output`. Raises UserError as `unpack` does, or if there is none."""
    output = Path(output)
    some: list[str] = []
    with replacing(output) as path, _members(archive) as members:
        for name, size, kind, content in members:
            if kind == "file" and PurePosixPath(name) == PurePosixPath(wanted):
                if size > _room(output.parent, limit):
                    raise UserError(f"{archive}, {name}: {size} bytes are more than there is room for")
                with content() as source, open(path, "wb") as handle:
                    shutil.copyfileobj(source, handle, CHUNK)
                return
            if kind == "file" and len(some) < 8:
                some.append(name)
        raise UserError(f"{archive}: has no file {wanted!r}; it begins with {', '.join(some) or 'nothing'}")


@contextmanager
def _members(archive):
    """Iterator of (name, bytes, "file", "folder" or what else it is, function that opens it); one pass."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as handle:
                yield _of_zip(handle)
        else:
            with tarfile.open(archive, mode="r:*") as handle:
                yield _of_tar(handle)
    except BROKEN as error:
        if disk_is_full(error) or isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise UserError(
            f"{archive}: damaged, or no tar or zip file ({type(error).__name__}: {error}); remove it here and in the "
            "store (retrieve.store) and run again"
        ) from error


def _of_tar(handle):
    for info in handle:
        kind = "link" if info.issym() or info.islnk() else "device"
        kind = "file" if info.isreg() else "folder" if info.isdir() else kind
        yield info.name, info.size, kind, lambda info=info: handle.extractfile(info)
    while handle.fileobj.read(CHUNK):
        pass  # to the end, where the checksum of a compressed file is


def _of_zip(handle):
    for info in handle.infolist():
        form = stat.S_IFMT(info.external_attr >> 16)
        kind = "folder" if info.is_dir() else "file"
        if form not in (0, stat.S_IFREG, stat.S_IFDIR):
            kind = "link" if form == stat.S_IFLNK else "device"
        yield info.filename.replace("\\", "/"), info.file_size, kind, lambda info=info: handle.open(info)


def _check(archive, name, kind):
    if kind not in ("file", "folder"):
        raise UserError(f"{archive}: member {name!r} is a {kind}; such an archive is not unpacked")
    if name.startswith("/") or name[1:2] == ":" or ".." in PurePosixPath(name).parts:
        raise UserError(f"{archive}: member {name!r} would lie outside its folder; such an archive is not unpacked")


def _room(folder, limit):
    """Bytes that may be written."""
    free = shutil.disk_usage(folder).free
    return min(free, limit) if limit else free

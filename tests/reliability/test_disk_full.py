"""No space left: one line, nothing half-written in place of a good file, and the run goes on once there is space."""

import os
import resource
import subprocess
import sys

import numpy as np
import pytest

from clone import ROOT, SMOKE, assert_same_tables, copy_repository, environment
from mlipshift.base.files import replacing
from mlipshift.base.frames import Frames

COMMAND = ["snakemake", "--workflow-profile", "none", "--rerun-incomplete", "--quiet", "host", "--cores", "2", *SMOKE]


@pytest.fixture
def small_disk(tmp_path):
    """Folder on a file system of its own, and a function that sets its size."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")

    def resize(size):
        subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)

    yield folder, resize
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_run_on_a_full_disk(smoke_run, small_disk, tmp_path):
    folder, resize = small_disk
    source = copy_repository(tmp_path / "source")
    for name in ("Snakefile", "workflow", "config", "envs", "resources"):
        (folder / name).symlink_to(source / name)
    for size in ("40k", "400k", "800k", "1600k"):
        resize(size)
        done = subprocess.run(COMMAND, cwd=folder, env=environment(), capture_output=True, text=True)
        errors = [line for line in done.stderr.splitlines() if not line.startswith("[")]
        assert done.returncode != 0 and done.stdout == ""
        assert len(errors) == 1 and errors[0].startswith("error: no space left on the disk"), (size, done.stderr)
    resize("100m")
    done = subprocess.run(COMMAND, cwd=folder, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert_same_tables(smoke_run, folder)


def limited(*command, size):
    """Run a command whose files may not grow beyond `size` bytes."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return subprocess.run(command, preexec_fn=limit, cwd=ROOT, env=environment(), capture_output=True, text=True)


def test_a_store_that_does_not_fit_leaves_the_old_one(tmp_path):
    path = tmp_path / "frames.h5"
    row = {"group": "g", "molecule": "m", "charge": 0, "multiplicity": 1}
    atom = row | {"id": "a", "numbers": [1], "positions": np.zeros((1, 3))}
    Frames.build([atom]).save(path)
    before = path.read_bytes()
    code = f"""
import numpy as np
from mlipshift.base.frames import Frames
row = {row!r} | {{"numbers": [1] * 50, "positions": np.ones((50, 3))}}
Frames.build(row | {{"id": str(k)}} for k in range(2000)).save({str(path)!r})
"""
    done = limited(sys.executable, "-c", f"import sys; sys.path.insert(0, 'workflow')\n{code}", size=100_000)
    # HDF5 left to itself crashes the process here
    assert done.returncode == 1 and "File too large" in done.stderr.splitlines()[-1]
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as part:
        part.write_text("ne")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with replacing(path) as part:
        part.write_text("new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]

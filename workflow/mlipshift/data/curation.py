"""The border of the pipeline: structure files in, checked structures and labels in eV, Å, eV/Å out."""

import hashlib
import re
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np
from ase.data import covalent_radii
from ase.geometry import complete_cell, wrap_positions

from mlipshift.base.errors import UserError
from mlipshift.base.geometry import edges, nearest, symbol
from mlipshift.base.limits import MAX_ELEMENT, MIN_DISTANCE, check_spin
from mlipshift.base.log import log
from mlipshift.data.census import Census, left_out_of
from mlipshift.data.readers import Reading, checked, iterate
from mlipshift.data.records import Record, isolated_atom, label_of, record_failure, row_of, shown

ISOLATED = "isolated atom, whose energy no method here takes"
LABELLED = "labelled_"  # beginning of groups whose labels models are fine-tuned on
MIN_SCALED_DISTANCE = 0.4  # in sums of covalent radii; the shortest bonds of hot molecules are at 0.7


def verify_checksums(files: Iterable[Path | str], sums: Path | str) -> None:
    """Compare every file below the folder of `sums` with its line there (format of sha256sum).

    Files elsewhere are none of its business. Raises UserError for an unreadable line, a file that is not listed, and
    a difference.
    """
    sums = Path(sums)
    below = [path for path in map(Path, files) if path.resolve().is_relative_to(sums.parent.resolve())]
    if not below:
        return
    if not sums.is_file():
        raise UserError(f"{sums}: no such file; put it there, or set data.checksums to null to skip the check")
    listed = {}
    for number, line in enumerate(sums.read_text().splitlines(), 1):
        if not line.strip():
            continue
        match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](.+)", line)
        if not match:
            raise UserError(f"{sums}, line {number}: not a line of sha256sum; write it anew with sha256sum")
        listed[(sums.parent / match[2]).resolve()] = match[1].lower()
    for path in below:
        again = f"(cd {sums.parent} && sha256sum *{path.suffix} > {sums.name})"
        if path.resolve() not in listed:
            raise UserError(f"{path}: not listed in {sums}; add it, {again}, or set data.checksums to null")
        with open(path, "rb") as handle:
            found = hashlib.file_digest(handle, "sha256").hexdigest()
        expected = listed[path.resolve()]
        if found != expected:
            raise UserError(
                f"{path}: sha256 is {found}, {sums} expects {expected}; fetch the file again, or accept "
                f"the change: {again}"
            )


class Ids:
    """Ids seen so far and where, in a temporary file: memory does not grow with their number."""

    def __init__(self):
        # an empty name is a private database on disk that SQLite deletes itself
        self.table = sqlite3.connect("", isolation_level=None)
        self.table.execute("PRAGMA journal_mode = OFF")
        self.table.execute("CREATE TABLE seen (id TEXT PRIMARY KEY, place TEXT) WITHOUT ROWID")

    def add(self, name: str, place: str) -> None:
        """Raise ValueError if the id was already added; place: where it stands, for the message."""
        try:
            self.table.execute("INSERT INTO seen VALUES (?, ?)", (name, place))
        except sqlite3.IntegrityError:
            (first,) = self.table.execute("SELECT place FROM seen WHERE id = ?", (name,)).fetchone()
            raise ValueError(f"id {name!r} was already used in {first}; give unique ids") from None


def convert(
    record: Record, group: str, needs_labels: bool, crystals: bool = False
) -> tuple[dict, tuple[float, np.ndarray] | None]:
    """(row for Frames.build, (energy eV, forces [n, 3] eV/Å) or None) of a record.

    crystals: whether periodic structures are taken. Raises ValueError with the reason when the structure cannot be
    used. A structure without any label is an error only where labels are needed.
    """
    row = row_of(record, group)
    numbers = record.numbers
    if np.any(record.pbc):
        _check_periodic(record, crystals)
        return row, label_of(record, needs_labels)
    outside = [z for z in numbers if not 1 <= z <= MAX_ELEMENT]
    if outside:
        raise ValueError(
            f"element {symbol(outside[0])} (Z = {outside[0]}) is outside GFN-xTB, which covers Z = 1 to {MAX_ELEMENT}"
        )
    _check_overlap(numbers, record.positions)
    check_spin(numbers, row["charge"], row["multiplicity"])
    return row, label_of(record, needs_labels)


def _check_overlap(numbers, positions):
    """Raise ValueError for the first atom that lies on another one, and the first of those."""
    apart, scaled = nearest(numbers, positions)
    close = np.flatnonzero((scaled < MIN_SCALED_DISTANCE) | (apart < MIN_DISTANCE))
    if len(close):
        i = close[0]
        distance = np.linalg.norm(positions - positions[i], axis=1)
        distance[i] = np.inf
        scaled = distance / (covalent_radii[numbers] + covalent_radii[numbers[i]])
        j = np.flatnonzero((scaled < MIN_SCALED_DISTANCE) | (distance < MIN_DISTANCE))[0]
        _overlap(numbers, i, j, distance[j])


def _overlap(numbers, i, j, distance):
    """Raise ValueError for atoms i and j, or an image of j, that lie on top of each other."""
    pair = f"{i} ({symbol(numbers[i])}) and {j} ({symbol(numbers[j])})"
    raise ValueError(f"atoms {pair} lie on top of each other, {distance:.3f} Å apart")


def _check_periodic(record, wanted):
    """What holds for crystals and slabs: they were asked for, have a cell, and no atom lies on an image of another."""
    numbers, pbc = record.numbers, np.asarray(record.pbc)
    if not wanted:
        raise ValueError(
            "is periodic; set data.periodic to true for a diagnosis of crystals and slabs, or give it as a molecule"
            ' (pbc="F F F")'
        )
    if (numbers < 1).any():
        raise ValueError("has an atom without an element")
    if np.linalg.matrix_rank(record.cell[pbc], tol=0.1) < pbc.sum():
        raise ValueError("is periodic along cell vectors that are shorter than 0.1 Å or in one plane")
    # within the cell first: then no atom has more images around it than find room there
    _check_overlap(numbers, wrap_positions(record.positions, complete_cell(record.cell), pbc))
    radii = covalent_radii[numbers]
    reach = max(2 * MIN_SCALED_DISTANCE * radii.max(), MIN_DISTANCE)
    i, j, _, distance = edges(record.positions, record.cell, pbc, reach)
    close = (distance < MIN_SCALED_DISTANCE * (radii[i] + radii[j])) | (distance < MIN_DISTANCE)
    if close.any():
        k = np.flatnonzero(close)[0]
        _overlap(numbers, i[k], j[k], distance[k])


def curate(
    settings: dict, failures: list[dict], census: Census | None = None
) -> Iterator[tuple[dict, tuple[float, np.ndarray] | None]]:
    """Yield (row for Frames.build, (energy, forces) or None) of all groups of the configuration section `data`.

    The row says the group; the training structures come first. failures: list that gets a row for every structure that
    cannot be used; census: counts what is read, used and left out. One structure is in memory at a time, beside SAMPLE
    ones of a file for its units; of a file no more is read than its limit, unless the group is selected by its forces,
    and files beyond max_structures_per_group are not opened. Raises UserError for what the user must mend.
    """
    files = dict(sorted(settings["files"].items(), key=lambda item: item[0] != "train"))
    for group, paths in files.items():
        for path in paths:
            if not Path(path).exists():
                raise UserError(f"{path}: no such file; correct data.files.{group} or put the file there")
    if settings["checksums"]:
        verify_checksums(chain.from_iterable(files.values()), settings["checksums"])
    census = Census() if census is None else census
    seen, reading = Ids(), Reading(files)
    for group, paths in files.items():
        if not paths:
            continue  # the group is left out on purpose
        count = census.of(group)
        for record in _records(group, paths, settings, reading):
            count.read += 1
            found = _usable(record, group, settings, failures, census, seen)
            if found:
                count.note(record, found[1])
                yield found
        log.info("%s: %d structures", group, count.used)
    if files.get("train") and not census.of("train").used:
        raise UserError(f"data.files.train: no usable structure; {left_out_of('train', census.of('train'))}")
    if not any(census.of(group).used for group in files):
        raise UserError("data.files: no usable structure in any group; give files, or see the failure table")


def _records(group, paths, settings, reading):
    """The records of a group, as far as its limits allow."""
    bounds, total = settings.get("select", {}).get(group), 0
    left = settings.get("max_structures_of", {}).get(group, settings["max_structures_per_group"])
    for path in paths:
        if left == 0:
            break
        read, limits = 0, (left, settings.get("max_structures_per_file"))
        limit = min((n for n in limits if n is not None), default=None)
        records = iterate(path, group, settings, reading=reading)
        if bounds:
            records = (record for record in records if _between(record, bounds))
        for record in checked(path, islice(records, limit), settings):
            read += 1
            yield record
        total += read
        left = None if left is None else left - read
    if bounds and not total:
        raise UserError(f"data.select.{group}: no structure of the group has such forces; choose other limits")


def _between(record, bounds):
    """Whether the mean force norm of a record is within limits; not without forces. What is none is for `convert`."""
    if record.forces is None:
        return False
    forces = np.asarray(record.forces)
    if forces.shape != record.positions.shape or not np.issubdtype(forces.dtype, np.number):
        return True
    norm, below, above = np.linalg.norm(forces, axis=1).mean(), bounds["below_eV_per_A"], bounds["above_eV_per_A"]
    return not (below is not None and norm >= below or above is not None and norm <= above)


def _usable(record, group, settings, failures, census, seen):
    """What `convert` makes of a record, None if it is left out."""
    if isolated_atom(record):
        failures.append({"id": shown(record.id), "group": group, "stage": "curate", "reason": ISOLATED})
        census.leave_out(group, ISOLATED)
        return None
    needed = group == "train" and settings.get("labels", "required") == "required" or group.startswith(LABELLED)
    try:
        found = convert(record, group, needed, settings.get("periodic", False))
        seen.add(record.id, record.where)
    except ValueError as error:
        record_failure(record, error, settings, failures, "curate", group)
        census.leave_out(group, str(error))
        return None
    return found

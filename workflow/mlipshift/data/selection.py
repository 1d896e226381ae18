"""Import of published datasets: filters with counts of every step, and seeded picks, with constant memory.

The MACE-OFF23 data (Kovács et al. 2023, arXiv 2312.15211) are the part of SPICE 1 that is neutral, has no ion pairs
and only the elements H C N O F P S Cl Br I, with larger molecules from QMugs and water clusters in addition, and
structures removed by hand. `neutral` with `elements` selects the former. It differs in three ways: neither the
additions nor the removals by hand are followed, a complex of oppositely charged ions counts as an ion pair whatever
its subset, and no 5 % are held out here. SPICEv2 is what `exclude_molecules_of` SPICE 1.1.4 leaves of SPICE 2.0.1.
"""

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Dataset
from mlipshift.data.readers import Reading, checked, iterate, molecules
from mlipshift.data.records import Record, label_of, record_failure, row_of, shown
from mlipshift.data.smiles import canonical, charges_of_parts

# filters of a recipe in order; the last two are picks, for which all that passes must be known
STEPS = (
    "usable",
    "exclude_molecules_of",
    "elements",
    "neutral",
    "connected",
    "max_force_eV_per_A",
    "max_molecules",
    "max_per_molecule",
)


def pick(seed: int, kind: str, text: str) -> float:
    """Number in [0, 1) from a hash: the same for the same id, whatever else the files hold.

    kind: what is picked, so that picks of several kinds do not depend on each other.
    """
    digest = hashlib.sha256(f"{seed}:{kind}:{text}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


class Selection:
    """The filters of one recipe, and for every structure the step that dropped it, in a temporary file."""

    def __init__(self, name: str, recipe: dict, settings: dict):
        self.name, self.recipe, self.settings = name, recipe, settings
        self.no_label: Counter[str] = Counter()
        self.excluded: set[tuple[str, str]] = set()
        self.seen, self.reading = 0, Reading({name: recipe["files"]})
        unknown = [s for s in recipe["elements"] or () if s not in atomic_numbers]
        if unknown:
            raise UserError(f"import.{name}.elements: {unknown[0]!r} is no element; give chemical symbols")
        self.elements = {atomic_numbers[s] for s in recipe["elements"] or ()}
        for path in recipe["exclude_molecules_of"]:
            for molecule, smiles in molecules(path, settings, self.reading):
                self.excluded |= {("name", molecule), ("smiles", canonical(smiles))}
        self.excluded.discard(("smiles", ""))
        # an empty name is a private database on disk that SQLite deletes itself
        self.table = sqlite3.connect("", isolation_level=None)
        self.table.execute("PRAGMA journal_mode = OFF")
        self.table.execute(
            "CREATE TABLE structures (id TEXT PRIMARY KEY, place TEXT, molecule TEXT, subset TEXT, dropped INTEGER) "
            "WITHOUT ROWID"
        )
        self.table.create_function("pick", 2, lambda kind, text: pick(recipe["seed"], kind, text), deterministic=True)

    def filter(self, failures: list[dict]) -> Iterator[tuple[Record, dict, tuple | None]]:
        """Yield (record, row, label) of the structures that pass every filter but the picks.

        row, label: of records.row_of and label_of; failures: list that gets a row for every structure that cannot be
        used.
        """
        for path in self.recipe["files"]:
            records = iterate(path, self.name, self.settings, self._in_fraction, self.no_label, self.reading)
            for record in checked(path, records, self.settings):
                try:
                    row, label = row_of(record, self.name), label_of(record, False)
                    dropped = self._step_that_drops(record, row, label)
                except ValueError as error:
                    record_failure(record, error, self.settings, failures, "import")
                    dropped = STEPS.index("usable")
                self._note(record, dropped)
                if dropped is None:
                    yield record, row, label

    def choose(self) -> None:
        """Apply max_molecules and max_per_molecule to what the filters have left."""
        self.table.execute(
            "UPDATE structures SET dropped = ? WHERE dropped IS NULL AND molecule NOT IN (SELECT molecule FROM "
            "structures WHERE dropped IS NULL GROUP BY molecule ORDER BY pick('molecule', molecule), molecule LIMIT ?)",
            (STEPS.index("max_molecules"), self.recipe["max_molecules"] or -1),
        )
        if self.recipe["max_per_molecule"]:
            self.table.execute(
                "UPDATE structures SET dropped = ? WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER "
                "(PARTITION BY molecule ORDER BY pick('structure', id), id) AS place FROM structures "
                "WHERE dropped IS NULL) WHERE place > ?)",
                (STEPS.index("max_per_molecule"), self.recipe["max_per_molecule"]),
            )

    def chosen(self) -> Iterator[tuple[Record, dict, tuple | None]]:
        """Yield (record, row, label) of the structures that no step has dropped, reading the files again."""
        for path in self.recipe["files"]:
            for record in iterate(path, self.name, self.settings, self._is_kept, reading=self.reading):
                yield record, row_of(record, self.name), label_of(record, False)

    def counts(self) -> list[dict]:
        """Rows {step, subset, molecules, structures}: what is left after each step, of all and of every subset.

        Molecules of structures that were not looked at are not known, hence None.
        """
        in_files = self.seen + self.no_label["no label"]
        (looked_at,) = self.table.execute("SELECT count(*) FROM structures").fetchone()
        rows = [{"step": "in the files", "subset": "all", "structures": in_files}]
        if self.no_label["no label"]:
            rows.append({"step": "with a label of the level", "subset": "all", "structures": self.seen})
        if self.recipe["fraction"] < 1:
            rows.append({"step": "fraction", "subset": "all", "structures": looked_at})
        rows[-1]["molecules"] = self._molecules()
        for number, step in enumerate(STEPS):
            if step != "usable" and not self.recipe[step]:
                continue
            left = self.table.execute(
                "SELECT subset, count(DISTINCT molecule), count(*) FROM structures "
                "WHERE dropped IS NULL OR dropped > ? GROUP BY subset ORDER BY subset",
                (number,),
            ).fetchall()
            total = {"step": step, "subset": "all", "molecules": self._molecules(number)}
            rows.append(total | {"structures": sum(structures for *_, structures in left)})
            rows += [
                {"step": step, "subset": subset, "molecules": names, "structures": structures}
                for subset, names, structures in left
                if subset
            ]
        return rows

    def _molecules(self, step=-1):
        """Number of molecules left after a step; before the first one by default."""
        query = "SELECT count(DISTINCT molecule) FROM structures WHERE dropped IS NULL OR dropped > ?"
        return self.table.execute(query, (step,)).fetchone()[0]

    def _in_fraction(self, name):
        self.seen += 1
        return self.recipe["fraction"] == 1 or pick(self.recipe["seed"], "fraction", name) < self.recipe["fraction"]

    def _is_kept(self, name):
        query = "SELECT 1 FROM structures WHERE id = ? AND dropped IS NULL"
        return self.table.execute(query, (name,)).fetchone() is not None

    def _note(self, record, dropped):
        try:
            self.table.execute(
                "INSERT INTO structures VALUES (?, ?, ?, ?, ?)",
                tuple(map(shown, (record.id, record.where, record.molecule, record.subset))) + (dropped,),
            )
        except sqlite3.IntegrityError:
            query = "SELECT place FROM structures WHERE id = ?"
            (first,) = self.table.execute(query, (record.id,)).fetchone()
            raise UserError(f"{record.where}: id {record.id!r} was already used in {first}; give unique ids") from None

    def _step_that_drops(self, record, row, label):
        """Index in STEPS of the first filter that a structure fails, None if it passes."""
        recipe, parts = self.recipe, ()
        if recipe["neutral"] or recipe["connected"]:
            parts = charges_of_parts(record.smiles)
        if recipe["connected"] and not parts:
            raise UserError(
                f"{record.where}: has no SMILES that RDKit can read, but import.{self.name}.connected needs one; "
                "set it to false"
            )
        largest = 0 if label is None else np.linalg.norm(label[1], axis=1).max()
        fails = {
            "exclude_molecules_of": lambda: (
                ("name", record.molecule) in self.excluded or ("smiles", canonical(record.smiles)) in self.excluded
            ),
            "elements": lambda: not self.elements.issuperset(map(int, record.numbers)),
            "neutral": lambda: any(parts or [row["charge"]]),
            "connected": lambda: len(parts) > 1,
            "max_force_eV_per_A": lambda: largest > recipe["max_force_eV_per_A"],
        }
        return next((STEPS.index(step) for step, test in fails.items() if recipe[step] and test()), None)


def import_dataset(name: str, recipe: dict, settings: dict, output: Path | str) -> tuple[list[dict], list[dict]]:
    """Write the dataset of one recipe; returns (rows of counts, failure rows).

    recipe: as in section `import` of the configuration; settings: section `data`. The files are read once, and twice
    where the recipe picks molecules or structures. Raises UserError if nothing is left, beside what the readers raise.
    """
    failures: list[dict] = []
    selection, written = Selection(name, recipe, settings), 0
    structures = selection.filter(failures)
    if recipe["max_molecules"] or recipe["max_per_molecule"]:
        for _ in structures:
            pass
        selection.choose()
        structures = selection.chosen()
    with Dataset.writer(output, recipe["level"]) as append:
        for record, row, label in structures:
            append((row, label, record.smiles, record.subset))
            written += 1
        counts = selection.counts()
        if not written:
            last = next((row["step"] for row in counts if row["subset"] == "all" and not row["structures"]), "usable")
            raise UserError(f"import.{name}: no structure is left after step {last!r}; loosen it")
    return counts, failures

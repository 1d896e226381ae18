"""Any ASE calculator, by the module or the file that it is in. No embedding, no features.

Charge and multiplicity stand wherever a calculator may look for them (base.electrons), and in its arguments if it takes
them there. A calculator keeps things: ASE's own cache does not see atoms.info, so that an ion gets the answer of the
neutral molecule before it, and an SCF starts from the last one. So each structure is given to it as it was made.
"""

import copy
import inspect
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.abc import GetPropertiesMixin
from ase.calculators.calculator import PropertyNotImplementedError

from mlipshift.base import electrons
from mlipshift.base.errors import UserError, shortened
from mlipshift.external import imports
from mlipshift.external.answer import Answer
from mlipshift.external.entries import OF_STRUCTURE, calculator_of, replaced
from mlipshift.external.structure import Structure

DEEPEST = 3  # calculators within calculators
OF_ANOTHER_FAMILY = {"so3krates_torch.calculator.so3": "so3lr"}
VARIETIES = 4  # calculators for charge and multiplicity that are kept at a time


def atoms_of(structure: Structure, entry: Mapping[str, Any]) -> Atoms:
    """ASE Atoms of a Structure, in a box where the model needs one, with charge and multiplicity in every place."""
    if entry["periodic"] == "needed":
        structure = structure.in_box(entry["box_padding_A"])
    atoms = Atoms(structure.numbers, structure.positions, cell=structure.cell, pbc=structure.pbc)
    electrons.tell(atoms, structure.charge, structure.multiplicity)
    return atoms


class Pristine:
    """A calculator as it was made, with the calculators in it: what it keeps is attributes of its own.

    Weights are shared, not copied. One with a method set_charge or set_mult, such as that of AIMNet2, is told.
    """

    def __init__(self, calculator: Any):
        self.calculator = calculator
        self.made = [(each, _snapshot(vars(each))) for each in _calculators(calculator)]

    def restored(self, structure: Structure) -> Any:
        """The calculator, with nothing left of the structures before this one."""
        for each, attributes in self.made:
            vars(each).clear()
            vars(each).update(_snapshot(attributes))
            for method, value in (("set_charge", structure.charge), ("set_mult", structure.multiplicity)):
                if callable(getattr(each, method, None)):
                    getattr(each, method)(value)
        return self.calculator


def _snapshot(attributes):
    """Attributes with their own lists and dictionaries, since these are changed in place."""
    return {key: copy.copy(v) if isinstance(v, dict | list | set) else v for key, v in attributes.items()}


def _calculators(root: Any, depth: int = 0) -> Iterator[Any]:
    """A calculator and those that it holds, as attributes, in lists or in helpers, such as those of a mixture."""
    if not hasattr(root, "__dict__"):
        return
    if depth == 0 or isinstance(root, GetPropertiesMixin) or type(root).__module__.startswith("ase.calculators"):
        yield root
        if depth < DEEPEST:
            for value in vars(root).values():
                for each in value if isinstance(value, list | tuple) else [value]:
                    yield from _calculators(each, depth + 1)


class Calculated:
    """A model that is an ASE calculator, `self.calculator`.

    notes: what the user is to be told of it after the predictions.
    """

    def __init__(self, entry: Mapping[str, Any], calculator: Any, cutoff: float | None = None):
        """cutoff: that of the calculator in Å, the entry's if it cannot say."""
        self.entry, self.calculator, self.cutoff = entry, calculator, cutoff or entry["cutoff_A"]
        self.pristine = Pristine(calculator)
        self.notes: list[str] = []

    @staticmethod
    def weights(entry: Mapping[str, Any], checkpoint: Path | None) -> Path | None:
        """The checkpoint; a family whose package carries weights says where."""
        return checkpoint

    def calculator_for(self, structure: Structure) -> Any:
        """The calculator, as new."""
        return self.pristine.restored(structure)

    def __call__(self, structure: Structure) -> Answer:
        atoms, asked = atoms_of(structure, self.entry), atoms_of(structure, self.entry)
        # one that moves the atoms that it gets is asked for the energy of those that it has not moved
        asked.calc = atoms.calc = self.calculator_for(structure)
        forces = np.array(asked.get_forces())
        try:
            energy = atoms.get_potential_energy()
        except PropertyNotImplementedError:  # forces alone are diagnosed as well
            energy = np.nan
            self._note("it gives no energies")
        if not np.array_equal(asked.numbers, structure.numbers):
            raise ValueError("the calculator has changed the order of the atoms that it was given")
        embedding, features = self._represented(atoms)
        return Answer(energy, forces, embedding, features, self.spread(atoms))

    def _represented(self, atoms):
        """Embedding and features of atoms that were just calculated; if they cannot be had, the forces can."""
        try:
            features = self.features(atoms)
            return self.embedding(atoms) if features is None else features.mean(axis=0, dtype=float), features
        except Exception as error:
            self._note(f"no representation of some structures, {type(error).__name__}: {shortened(error)}")
            return None, None

    def _note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def features(self, atoms: Atoms) -> np.ndarray | None:
        """Representation [n, d] of each of the atoms that were just calculated, None if there is none."""
        return None

    def embedding(self, atoms: Atoms) -> np.ndarray | None:
        """Representation [d] of atoms that were just calculated, where they have no features; None if none either."""
        return None

    def spread(self, atoms: Atoms) -> np.ndarray | None:
        """Spread [n] in eV/Å of the calculator's members on atoms that were just calculated, None if it has none."""
        return None


class Model(Calculated):
    """The calculator of an entry, made with its arguments; `{checkpoint}` in them is the path of the weights.

    Where they hold charge or multiplicity of the structure, one is made for each of these.
    """

    def __init__(self, entry: Mapping[str, Any], checkpoint: Path | None):
        place, name = calculator_of(entry)
        if place in OF_ANOTHER_FAMILY:
            raise UserError(
                f"calculator {place}:{name}: its name for the spin means another number elsewhere; take the family "
                f"{OF_ANOTHER_FAMILY[place]}, which tells it right"
            )
        self.callable = imports.load(place, name)
        self.made_for = lru_cache(VARIETIES)(lambda charge, spin: Pristine(self._make(entry, checkpoint, charge, spin)))
        texts: list[str] = []
        replaced(entry["arguments"], texts.append)
        self.varies = any(word in text for text in texts for word in OF_STRUCTURE)
        # made here, so that what is wrong with it is said before anything is predicted
        super().__init__(entry, self.made_for(0, 1).calculator)

    def calculator_for(self, structure: Structure) -> Any:
        """The calculator for the charge and the multiplicity of a structure, as new."""
        state = (structure.charge, structure.multiplicity) if self.varies else (0, 1)
        return self.made_for(*state).restored(structure)

    def _make(self, entry, checkpoint, charge, multiplicity):
        values = {"{charge}": charge, "{multiplicity}": multiplicity, "{unpaired}": multiplicity - 1}

        def filled(text):
            if text in values:
                return values[text]
            for word, value in {**values, "{checkpoint}": checkpoint}.items():
                text = text.replace(word, str(value))
            return text

        try:
            return self.callable(**replaced(entry["arguments"], filled))
        except (MemoryError, OSError, UserError):
            raise
        except ImportError as error:
            raise UserError(imports.lacking(error, entry["calculator"])) from error
        except Exception as error:
            known = f"; it takes {_parameters(self.callable)}" if isinstance(error, TypeError) else ""
            raise UserError(
                f"calculator {entry['calculator']}: {type(error).__name__}: {shortened(error)}, when it was made with "
                f"arguments {entry['arguments']}{known}; correct the entry"
            ) from error


def _parameters(make):
    """Names of the parameters of a callable, as far as they can be read."""
    try:
        return ", ".join(map(str, inspect.signature(make).parameters)) or "none"
    except (TypeError, ValueError):
        return "what its documentation says"

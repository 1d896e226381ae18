"""A trained or adapted model as an ASE calculator, outside the workflow.

from ase.build import molecule
import mlipshift

atoms = molecule("CH3CH2OH")
atoms.calc = mlipshift.Calculator("results/models/joint/seed0")
atoms.get_forces()
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators import calculator as ase
from ase.data import chemical_symbols

from mlipshift.base import electrons
from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.learn.potential import Potential


def frames_of(structures: Iterable[Atoms]) -> Frames:
    """Frames of ASE Atoms, numbered from 0; charge and multiplicity as base.electrons.told, cell where periodic."""
    return Frames.build(
        {
            "id": str(k),
            "group": "",
            "molecule": "",
            "numbers": atoms.numbers,
            "positions": atoms.positions,
            **dict(zip(("charge", "multiplicity"), electrons.told(atoms))),
            "cell": atoms.cell[:],
            "pbc": atoms.pbc,
        }
        for k, atoms in enumerate(structures)
    )


class Calculator(ase.Calculator):
    """Energy (eV) and forces (eV/Å) of a molecule.

    model: directory of a model, or a Potential. prior: for Δ-learning, which adds it to every prediction, and for
    nothing else: an ASE calculator, or a function of Atoms that returns energy (eV) and forces [n, 3] (eV/Å). It is
    called in this process, which an xTB engine must not share with torch: have a function ask a process of its own.

    Energies and forces are those of the workflow's predictions. Forces of a model whose card says `direct` are not the
    gradient of its energy, so its dynamics do not conserve the energy; those of `gradient` are. A network sees elements
    and positions alone: charge and multiplicity change nothing but the prior, and Python warns of them once, as of
    elements that were not in training. Raises UserError for what is no model, for Δ-learning without a prior, for a
    model that has learnt no reference forces, and for periodic structures.
    """

    implemented_properties = ["energy", "free_energy", "forces"]  # noqa: RUF012

    def __init__(
        self,
        model: Potential | Path | str,
        prior: Any | Callable[[Atoms], tuple[float, np.ndarray]] | None = None,
        device: str = "cpu",
        **options: Any,
    ):
        super().__init__(**options)
        self.potential = model if isinstance(model, Potential) else Potential.load(model, device)
        self.prior = prior
        if self.potential.needs_prior and not (hasattr(prior, "get_forces") or callable(prior)):
            raise UserError(
                f"{self.potential.name}: Δ-learning adds the prior to every prediction; give prior=, an ASE calculator "
                "or a function of Atoms that returns its energy (eV) and forces (eV/Å)"
            )

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What has changed since the last calculation: the charge, which ASE does not look for in info, too."""
        return [*super().check_state(atoms, tol), *electrons.changes(self.atoms, atoms)]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy", "forces"),
        system_changes: Sequence[str] = tuple(ase.all_changes),
    ) -> None:
        """Fill `results`; called by ASE."""
        super().calculate(atoms, properties, system_changes)
        if self.atoms.pbc.any():
            raise UserError(
                f"{self.potential.name}: the atoms are periodic, and the model takes molecules only; if they are one, "
                "set atoms.pbc = False"
            )
        self._warn()
        frames, prior = frames_of([self.atoms]), None
        if self.potential.needs_prior:
            prior = Labels.build(frames, [self._prior_of(self.atoms.copy())], "prior")
        (row,) = self.potential.predict(frames, prior)
        assert row is not None  # the prior has given its label
        energy, forces = row
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}

    def _prior_of(self, atoms):
        """(energy, forces [n, 3]) of the prior, which is told the charge wherever it or ASE's cache may look."""
        electrons.tell(atoms, *electrons.told(atoms))
        if not hasattr(self.prior, "get_forces"):
            return self.prior(atoms)
        atoms.calc = self.prior
        return atoms.get_potential_energy(), atoms.get_forces()

    def _warn(self):
        """Python shows each of these once."""
        atoms, name = self.atoms, self.potential.name
        charge, spin = electrons.told(atoms)
        if charge or spin > 1:
            warnings.warn(
                f"{name}: the network knows neither charge ({charge}) nor multiplicity ({spin}); they change nothing",
                stacklevel=3,
            )
        known = self.potential.card.get("elements")
        unknown = sorted({*map(int, atoms.numbers)} - {*known}) if known else []
        if unknown:
            words = ", ".join(chemical_symbols[z] for z in unknown)
            warnings.warn(f"{name}: no training structure has {words}", stacklevel=3)

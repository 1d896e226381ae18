"""A model from elsewhere with its correction, as an ASE calculator for relaxations and dynamics.

from mlipshift.external.rescued import Rescued

with Rescued("results/mine/help/cards/aimnet2.json") as calculator:
    atoms.calc = calculator
    atoms.get_forces()

Forces are those of the strategy with a constant weight, F + w (F_prior − F_head), or F + w (F_prior − F) for a model
without a prior head: the gradient of an energy, if the model's own are.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators import calculator as ase

from mlipshift.base import electrons
from mlipshift.base.errors import UserError
from mlipshift.external import differentiable, families
from mlipshift.external.heads import PriorHead, both
from mlipshift.external.structure import Structure
from mlipshift.prior.process import Process


class Rescued(ase.Calculator):
    """Energy (eV) and forces (eV/Å) of a molecule, corrected by one prior call per geometry.

    card: JSON that `make rescue` writes, with the keys model, entry, checkpoint, head, weight, prior, python. results
    has the forces of the model alone as `model_forces` and the mean absolute residual of the prior head in eV/Å as
    `prior_residual`, NaN without a head. Raises UserError for periodic structures, and for what the model or the prior
    cannot take.
    """

    implemented_properties = ["energy", "free_energy", "forces"]  # noqa: RUF012

    def __init__(self, card: Path | str, python: Path | str | None = None, **options: Any):
        super().__init__(**options)
        try:
            content = json.loads(Path(card).read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError) as error:
            raise UserError(f"{card}: not the card of a rescued model ({error}); make rescue writes one") from error
        checkpoint = Path(content["checkpoint"]) if content["checkpoint"] else None
        self.weight = float(content["weight"])
        self.family = families.load(content["entry"], checkpoint)
        self.head = None
        if content["head"]:
            self.network = differentiable.load(content["entry"], checkpoint)
            self.head = PriorHead.load(Path(content["head"]))
        self.prior = Process(**content["prior"], python=python or content["python"])

    def __enter__(self) -> "Rescued":
        return self

    def __exit__(self, *_: object) -> None:
        self.prior.close()

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What has changed since the last calculation, the charge and the multiplicity, too."""
        return [*super().check_state(atoms, tol), *electrons.changes(self.atoms, atoms)]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = ase.all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        if self.atoms.pbc.any():
            raise UserError("a rescued model is for molecules; GFN-xTB labels no periodic structure here")
        charge, multiplicity = electrons.told(self.atoms)
        none = np.zeros((3, 3)), np.zeros(3, dtype=bool)
        structure = Structure(self.atoms.numbers, self.atoms.positions.copy(), charge, multiplicity, *none)
        energy, forces = self.family(structure)[:2]
        prior_energy, prior_forces = self.prior(structure.numbers, structure.positions, charge, multiplicity)
        start, residual = (energy, forces), float("nan")
        if self.head is not None:
            said = both(self.network, self.head, [structure])
            start = float(said.head_energy[0]), said.head_forces.detach().double().numpy()
            residual = float(np.abs(prior_forces - start[1]).mean())
        moved = energy + self.weight * (prior_energy - start[0])
        self.results = {
            "energy": moved,
            "free_energy": moved,
            "forces": forces + self.weight * (prior_forces - start[1]),
            "model_forces": forces,
            "prior_residual": residual,
        }

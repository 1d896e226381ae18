"""GFN1- and GFN2-xTB through tblite (Bannwarth, Ehlert and Grimme 2019, doi:10.1021/acs.jctc.8b01176)."""

from typing import Any

import numpy as np

from mlipshift.base.units import BOHR, EV

PACKAGE = "tblite"


class TBLite:
    """GFN-xTB through tblite's bare interface: ASE's costs more than the method itself on small molecules.

    A calculator is kept as long as elements, charge and spin stay the same. This saves a seventh of the time of small
    molecules; results are the same to the last bit.
    """

    def __init__(self, method: str, accuracy: float) -> None:
        from tblite.interface import Calculator

        self.make, self.method, self.accuracy = Calculator, method, accuracy
        self.key: tuple[bytes, int, int] | None = None
        self.calculator: Any = None

    def __call__(
        self, numbers: np.ndarray, positions: np.ndarray, charge: int, multiplicity: int
    ) -> tuple[float, np.ndarray]:
        key = (numbers.tobytes(), charge, multiplicity)
        # not kept after a failure
        last, self.key = self.key, None
        if key == last:
            self.calculator.update(positions / BOHR)
        else:
            self.calculator = self.make(self.method, numbers, positions / BOHR, float(charge), multiplicity - 1)
            self.calculator.set("verbosity", 0)
            self.calculator.set("accuracy", self.accuracy)
        result = self.calculator.singlepoint()
        self.key = key
        return float(result["energy"]) * EV, result["gradient"] * (-EV / BOHR)


engine = TBLite


def ase_calculator(method: str, charge: int = 0, multiplicity: int = 1) -> object:
    """ASE calculator of tblite for GFN1-xTB or GFN2-xTB."""
    from tblite.ase import TBLite as Calculator

    return Calculator(method=method, charge=charge, multiplicity=multiplicity, verbosity=0)

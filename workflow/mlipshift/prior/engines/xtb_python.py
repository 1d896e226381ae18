"""GFN1- and GFN2-xTB and the force field GFN-FF through xtb-python, which is for Python 3.11 alone and retired.

xtb-python 22.1 gives wrong GFN-xTB forces, by up to 0.5 eV/Å, at exactly symmetric geometries; a displacement of
1e-4 Å is enough to have them right.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.units import BOHR, EV

PACKAGE = "xtb-python"


class XTB:
    """A new calculator per structure: GFN-FF's has its bonds fixed. Raises UserError if the package is missing."""

    def __init__(self, method: str, accuracy: float) -> None:
        # read when the library is loaded; what it prints would otherwise come out later, elsewhere
        os.environ["GFORTRAN_UNBUFFERED_ALL"] = "1"
        try:
            from xtb.interface import Calculator
            from xtb.utils import get_method
        except ImportError as error:
            raise UserError(
                f"{method} through xtb-python needs the package xtb, which pip has for Python 3.11: "
                "pip install -r envs/lock/xtb.txt, or run with --sdm conda"
            ) from error
        self.make, self.param, self.accuracy = Calculator, get_method(method), accuracy
        self.folder = tempfile.TemporaryDirectory() if method == "GFN-FF" else None

    def __call__(
        self, numbers: np.ndarray, positions: np.ndarray, charge: int, multiplicity: int
    ) -> tuple[float, np.ndarray]:
        if self.folder is None:
            return self._singlepoint(numbers, positions, charge, multiplicity)
        with _quietly_in(self.folder.name):
            return self._singlepoint(numbers, positions, charge, multiplicity)

    def _singlepoint(self, numbers, positions, charge, multiplicity):
        calculator = self.make(self.param, numbers, positions / BOHR, float(charge), multiplicity - 1)
        calculator.set_verbosity("muted")
        calculator.set_accuracy(self.accuracy)
        result = calculator.singlepoint()
        return result.get_energy() * EV, result.get_gradient() * (-EV / BOHR)


engine = XTB


@contextmanager
def _quietly_in(folder: str) -> Iterator[None]:
    """Standard output into nothing and a folder for files: GFN-FF prints and writes its topology unasked."""
    before, output, nothing = os.getcwd(), os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 1)
        os.chdir(folder)
        yield
    finally:
        os.chdir(before)
        os.dup2(output, 1)
        os.close(output)
        os.close(nothing)

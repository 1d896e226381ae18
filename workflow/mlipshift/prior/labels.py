"""Prior labels: energies and forces of a cheap, general method.

GFN1- and GFN2-xTB through tblite or xtb-python, the force field GFN-FF through xtb-python, and a pair potential that
needs neither. Never import this module in a process that also imports torch: the OpenMP runtimes of both clash.
"""

import math
import os
import tempfile
from contextlib import contextmanager

import numpy as np
from ase.data import covalent_radii
from scipy.spatial import cKDTree

from mlipshift.base.errors import UserError, shortened
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.limits import MAX_ELEMENT, MIN_DISTANCE, spin_fits
from mlipshift.base.units import BOHR, EV

TIGHT_BINDING = ("GFN1-xTB", "GFN2-xTB")
METHODS = (*TIGHT_BINDING, "GFN-FF", "Morse")
ENGINES = ("tblite", "xtb")


MAX_FORCE = 1e3  # eV/Å
MAX_NET_FORCE = 1e-3  # eV/Å

STRIPE = 32, 256  # structures that are labelled between two checkpoints: a checkpoint costs as much as five of them
STRIPES = 12  # per shard, where there are enough structures, so that shards take equally long


def gfn_xtb(method, charge=0, multiplicity=1):
    """ASE calculator of tblite for a method of TIGHT_BINDING."""
    from tblite.ase import TBLite

    if method not in TIGHT_BINDING:
        raise UserError(f"method {method!r} is not one of tblite; use one of {', '.join(TIGHT_BINDING)}")
    return TBLite(method=method, charge=charge, multiplicity=multiplicity, verbosity=0)


def engine(method, engine="tblite", accuracy=1.0):
    """Function of (numbers [n], positions [n, 3] Å, charge, multiplicity): energy (eV) and forces [n, 3] (eV/Å).

    engine, accuracy: library and convergence threshold (the smaller, the tighter) of the methods of TIGHT_BINDING.
    The function raises what its library raises. Raises UserError if the method is unknown or its library missing.
    """
    if method not in METHODS:
        raise UserError(f"prior method {method!r} is unknown; use one of {', '.join(METHODS)}")
    if method == "Morse":
        return morse
    if method in TIGHT_BINDING and engine == "tblite":
        return _TBLite(method, accuracy)
    return _XTB(method, accuracy)


class _TBLite:
    """GFN-xTB through tblite's bare interface: ASE's costs more than the method itself on small molecules.

    A calculator is kept as long as elements, charge and spin stay the same. This saves a seventh of the time of small
    molecules; results are the same to the last bit.
    """

    def __init__(self, method, accuracy):
        from tblite.interface import Calculator

        self.make, self.method, self.accuracy = Calculator, method, accuracy
        self.key = self.calculator = None

    def __call__(self, numbers, positions, charge, multiplicity):
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


class _XTB:
    """GFN-xTB and GFN-FF through xtb-python, with a new calculator per structure: GFN-FF's has its bonds fixed.

    xtb-python 22.1 gives wrong GFN-xTB forces, by up to 0.5 eV/Å, at exactly symmetric geometries; a displacement of
    1e-4 Å is enough to have them right.
    """

    def __init__(self, method, accuracy):
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

    def __call__(self, numbers, positions, charge, multiplicity):
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


@contextmanager
def _quietly_in(folder):
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


WELL_DEPTH = 4.0  # eV, of a typical single bond
STEEPNESS = 2.0  # 1/Å; with the depth a force constant of 32 eV/Å² (5 mdyn/Å), that of a typical single bond
SWITCH = 1.2, 1.6  # in sums of covalent radii; beyond lie the neighbours of neighbours


def morse(numbers, positions, charge=0, multiplicity=1):
    """Energy (eV) and forces [n, 3] (eV/Å) of Morse bonds: the weakest prior, which knows the covalent radii alone.

    Every pair has the same depth and steepness and its minimum at the sum of the covalent radii (Cordero et al. 2008,
    doi:10.1039/b801115j); it fades smoothly over SWITCH. Charge and multiplicity are ignored.
    """
    i, j = np.triu_indices(len(numbers), 1)
    apart = positions[i] - positions[j]
    r = np.linalg.norm(apart, axis=1)
    bond = covalent_radii[numbers[i]] + covalent_radii[numbers[j]]
    decay = np.exp(-STEEPNESS * (r - bond))
    well = WELL_DEPTH * ((1 - decay) ** 2 - 1)
    slope = 2 * WELL_DEPTH * STEEPNESS * (1 - decay) * decay
    width = (SWITCH[1] - SWITCH[0]) * bond
    t = np.clip((r - SWITCH[0] * bond) / width, 0, 1)
    switch = 1 - t**3 * (10 - 15 * t + 6 * t**2)
    pull = (slope * switch - well * 30 * t**2 * (1 - t) ** 2 / width)[:, None] * apart / r[:, None]
    forces = np.zeros((len(numbers), 3))
    np.add.at(forces, i, -pull)
    np.add.at(forces, j, pull)
    return float(np.sum(well * switch)), forces


def level(method, engine="tblite"):
    """Name of the level that labels carry."""
    return f"prior:{method}" + (" (xtb-python)" if method in TIGHT_BINDING and engine == "xtb" else "")


def _refused(frames, method):
    """{number of a structure: reason} of those that are not worth a calculation, of all structures at once."""
    owner = np.repeat(np.arange(len(frames)), frames.sizes)
    reasons = {}
    electrons = np.bincount(owner, frames.numbers, len(frames)).astype(int) - frames.charge
    for k in np.flatnonzero(~spin_fits(electrons, frames.multiplicity.astype(int))):
        reasons[k] = (
            f"charge {frames.charge[k]} and multiplicity {frames.multiplicity[k]} do not fit {electrons[k]} electrons"
        )
    finite = np.isfinite(frames.positions).all(axis=1)
    # the number of the structure as a fourth coordinate keeps structures apart
    tree = cKDTree(np.column_stack([frames.positions, owner * 2 * MIN_DISTANCE])[finite])
    atoms = np.flatnonzero(finite)
    for i, j in atoms[tree.query_pairs(MIN_DISTANCE, output_type="ndarray")]:
        distance = np.linalg.norm(frames.positions[i] - frames.positions[j])
        reasons[owner[i]] = f"two atoms are {distance:.3f} Å apart"
    for atom in np.flatnonzero((frames.numbers < 1) | (frames.numbers > MAX_ELEMENT)):
        z = frames.numbers[atom]
        reasons[owner[atom]] = f"element Z={z} is outside {method} (Z = 1 to {MAX_ELEMENT})"
    for k in owner[~finite]:
        reasons[k] = "positions are not finite"
    return reasons


def _distrusted(frames, energy, forces, method):
    """{number of a structure: reason} of results that cannot be right; energy [S], forces [N, 3]."""
    owner = np.repeat(np.arange(len(frames)), frames.sizes)
    reasons = {}
    net = np.column_stack([np.bincount(owner, column, len(frames)) for column in forces.T])
    for k in np.flatnonzero(np.abs(net).max(axis=1) > MAX_NET_FORCE):
        reasons[k] = f"{method} net force of {np.abs(net[k]).max():.1e} eV/Å is not zero"
    for atom in np.flatnonzero(np.abs(forces).max(axis=1) > MAX_FORCE):
        reasons[owner[atom]] = f"{method} force of {np.abs(forces[atom]).max():.0f} eV/Å exceeds {MAX_FORCE:.0f}"
    for k in {*np.flatnonzero(~np.isfinite(energy)), *owner[~np.isfinite(forces).all(axis=1)]}:
        reasons[k] = f"{method} returned values that are not finite"
    return reasons


def label_frames(frames, singlepoint, method, level):
    """(Labels, {number of a structure: reason of its failure}) of Frames; singlepoint: function of `engine`.

    The checks look at all structures at once: one by one, they cost a seventh of what tblite does.
    """
    reasons = _refused(frames, method)
    energy = np.full(len(frames), np.nan)
    forces = np.full((len(frames.numbers), 3), np.nan)
    failed = {}
    for k in range(len(frames)):
        if k not in reasons:
            try:
                energy[k], forces[frames.offsets[k] : frames.offsets[k + 1]] = singlepoint(*frames[k])
            except Exception as error:  # the libraries raise many kinds; each is a failed structure
                failed[k] = f"{method} failed: {shortened(error)}"
    # what has been refused or has failed is NaN and is found again here
    reasons = _distrusted(frames, energy, forces, method) | reasons | failed
    ok = np.ones(len(frames), dtype=bool)
    ok[list(reasons)] = False
    energy[~ok] = np.nan
    forces[np.repeat(~ok, frames.sizes)] = np.nan
    return Labels(frames.ids, frames.offsets, energy, forces, ok, level), {int(k): reasons[k] for k in sorted(reasons)}


def label(numbers, positions, charge, multiplicity, method="GFN2-xTB", library="tblite", accuracy=1.0):
    """Energy (eV) and forces [n, 3] (eV/Å) of one structure.

    Raises ValueError with the reason when the structure has no trustworthy label.
    """
    row = {"id": "", "group": "", "molecule": "", "numbers": numbers, "positions": positions}
    frames = Frames.build([row | {"charge": charge, "multiplicity": multiplicity}])
    labels, reasons = label_frames(frames, engine(method, library, accuracy), method, level(method, library))
    if reasons:
        raise ValueError(reasons[0])
    return float(labels.energy[0]), labels.forces


def stripe(structures, shards):
    """Number of consecutive structures that a shard labels before it leaves as many to each of the other shards."""
    share = structures / shards
    size = min(max(share / STRIPES, STRIPE[0]), STRIPE[1])
    # as many stripes for one shard as for another
    return max(1, math.ceil(share / max(1, math.ceil(share / size))))

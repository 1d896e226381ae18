"""Prior labels: energies and forces of a cheap, general method, and which of them are not to be trusted.

Never import an engine in a process that also imports torch: the OpenMP runtimes of both clash.
"""

import hashlib
import math
from pathlib import Path
from typing import cast

import numpy as np
from scipy.spatial import cKDTree

from mlipshift.base import geometry, limits, units
from mlipshift.base.errors import shortened
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.limits import MAX_ELEMENT, MIN_DISTANCE, spin_fits
from mlipshift.catalogue.components import TIGHT_BINDING
from mlipshift.prior import engines

MAX_FORCE = 1e3  # eV/Å
# of GFN-xTB, whose memory grows with the square of their number and time with the cube: half an hour and 4 GB
MAX_ATOMS = 2000
MAX_NET_FORCE = 1e-3  # eV/Å

STRIPE = 32, 256  # structures that are labelled between two checkpoints: a checkpoint costs as much as five of them
STRIPES = 12  # per shard, where there are enough structures, so that shards take equally long


def fingerprint(method: str, library: str, accuracy: float, fitted: Path | None = None) -> bytes:
    """What labels depend on beside their structures: level, accuracy, the modules that decide them, fitted models."""
    modules = (engines.module_of(method, library), geometry, limits, units)
    parts = [Path(cast(str, module.__file__)).read_bytes() for module in modules]
    parts += [Path(__file__).read_bytes(), f"{engines.level(method, library)} {accuracy}".encode()]
    parts += [path.read_bytes() for path in sorted(fitted.glob("*.npz"))] if fitted else []
    return b"".join(hashlib.sha256(part).digest() for part in parts)


def _refused(frames, method):
    """{number of a structure: reason} of those that are not worth a calculation, of all structures at once."""
    owner = np.repeat(np.arange(len(frames)), frames.sizes)
    reasons = {}
    electrons = np.bincount(owner, frames.numbers, len(frames)).astype(int) - frames.charge
    for k in np.flatnonzero(~spin_fits(electrons, frames.multiplicity.astype(int))):
        reasons[k] = (
            f"charge {frames.charge[k]} and multiplicity {frames.multiplicity[k]} do not fit {electrons[k]} electrons"
        )
    if method in TIGHT_BINDING:
        for k in np.flatnonzero(frames.sizes > MAX_ATOMS):
            reasons[k] = f"has {frames.sizes[k]} atoms; {method} is for up to {MAX_ATOMS}, Morse for any number"
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


def label_frames(
    frames: Frames, singlepoint: engines.Singlepoint, method: str, level: str
) -> tuple[Labels, dict[int, str]]:
    """(Labels, {number of a structure: reason of its failure}) of Frames; singlepoint: function of `engines.engine`.

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


def label(
    numbers: np.ndarray,
    positions: np.ndarray,
    charge: int,
    multiplicity: int,
    method: str = "GFN2-xTB",
    library: str = "tblite",
    accuracy: float = 1.0,
) -> tuple[float, np.ndarray]:
    """Energy (eV) and forces [n, 3] (eV/Å) of one structure, numbers [n], positions [n, 3] Å.

    Raises ValueError with the reason when the structure has no trustworthy label.
    """
    row = {"id": "", "group": "", "molecule": "", "numbers": numbers, "positions": positions}
    frames = Frames.build([row | {"charge": charge, "multiplicity": multiplicity}])
    singlepoint = engines.engine(method, library, accuracy)
    labels, reasons = label_frames(frames, singlepoint, method, engines.level(method, library))
    if reasons:
        raise ValueError(reasons[0])
    return float(labels.energy[0]), labels.forces


def stripe(structures: int, shards: int) -> int:
    """Number of consecutive structures that a shard labels before it leaves as many to each of the other shards."""
    share = structures / shards
    size = min(max(share / STRIPES, STRIPE[0]), STRIPE[1])
    # as many stripes for one shard as for another
    return max(1, math.ceil(share / max(1, math.ceil(share / size))))

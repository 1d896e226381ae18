"""A model that has answered is asked again, to see whether its answers are what they are taken for.

What cannot be used ends the run, what the reader has to know is a note. Each probe is one or two predictions of one
small structure.
"""

from dataclasses import replace

import numpy as np

from mlipshift.base import units
from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames
from mlipshift.base.log import log
from mlipshift.base.text import several
from mlipshift.external.prediction import Answers, Call, ask
from mlipshift.external.structure import Structure

SAME = 1e-9  # eV and eV/Å: what does not see a difference gives the very same numbers
AGAIN = 1e-3  # eV/Å, of forces that are computed twice: more than single precision and threads do
ORDER = 0.05  # eV/Å, of the same forces in another order
FORCED = 0.01  # eV/Å, forces that say something; in another unit, they are small numbers
STEP = 0.01  # Å, along all forces at once
CLOSE = 0.02  # of a factor that is recognised
# what the energy changes by, over what the forces say, if their units are no pair
UNITS = {
    f"energies in {e} and forces in {f}": force / energy
    for f, force in units.FORCES.items()
    for e, energy in units.ENERGY.items()
    if abs(force / energy - 1) > 5 * CLOSE
}


def examine(model: Call, frames: Frames, found: Answers, charge: bool) -> list[str]:
    """Notes for the user on a model whose answers are `found`; charge: whether its entry says that it knows charges.

    Raises UserError for a model that ignores a charge which it is said to know, gives forces in another order of the
    atoms, or the gradient instead of the forces.
    """
    answered = sorted(found.answers, key=lambda k: (frames.sizes[k], k))
    if not answered:
        return []
    if charge:
        _charge(model, frames, answered)
    notes = list(_spin(model, frames, answered))
    k = _telling(frames, found, answered)
    structure, before = Structure.of(frames, k), found.answers[k]
    again = _tried(model, structure)
    apart = np.inf if again is None else np.abs(again[1] - before[1]).max()
    if apart > AGAIN:
        return [
            *notes,
            f"gives {frames.ids[k]} another answer when it is asked again ("
            + (f"forces {apart:.2g} eV/Å apart" if np.isfinite(apart) else "none")
            + "): it is random, or keeps something between structures",
        ]
    _order(model, structure, before, frames.ids[k])
    return [*notes, *_slope(model, structure, before, frames.ids[k])]


def _tried(model, structure):
    """Answer of a model, None if it has none."""
    try:
        return ask(model, structure)
    except UserError:
        raise
    except Exception:
        log.info("a probe of the model", exc_info=True)
        return None


def _same(one, other):
    """Whether two answers are equal, whatever of them there is."""
    energies = np.isnan(one[0]) or abs(one[0] - other[0]) < SAME
    return bool(energies and np.abs(one[1] - other[1]).max() < SAME)


def _telling(frames, found, answered):
    """The smallest structure of at least three atoms that feel forces; the smallest of all if there is none."""
    forced = lambda k: frames.sizes[k] > 2 and np.abs(found.answers[k][1]).max() > FORCED
    return next(filter(forced, answered), answered[0])


def _charge(model, frames, answered):
    """UserError if an ion gets the answer of another charge of the same parity."""
    ion = next((k for k in answered if frames.charge[k]), None)
    if ion is None:
        return
    structure = Structure.of(frames, ion)
    here = _tried(model, structure)
    other = _tried(model, replace(structure, charge=structure.charge - 2 * int(np.sign(structure.charge))))
    if here is not None and other is not None and _same(here, other):
        raise UserError(
            f"its entry says charge: true, and it gives {frames.ids[ion]} with charge {structure.charge:+d} and "
            f"{structure.charge - 2 * int(np.sign(structure.charge)):+d} the same energy and forces: it takes the "
            "charge neither from atoms.info nor from initial charges; hand it over in arguments, as {charge}, or set "
            "charge: false"
        )


def _spin(model, frames, answered):
    """A note if an open shell gets the answer of another multiplicity."""
    open_shells = [k for k in answered if frames.multiplicity[k] > 1]
    if not open_shells:
        return
    structure = Structure.of(frames, open_shells[0])
    m = structure.multiplicity
    here = _tried(model, structure)
    other = _tried(model, replace(structure, multiplicity=m - 2 if m > 2 else m + 2))
    if here is not None and other is not None and _same(here, other):
        yield f"ignores the multiplicity: {several(len(open_shells), 'open shell')} predicted, at any spin the same"


def _order(model, structure, before, name):
    """UserError if atoms in another order do not get the same forces in that order."""
    order = np.arange(len(structure.numbers))[::-1]
    turned = _tried(model, replace(structure, numbers=structure.numbers[order], positions=structure.positions[order]))
    tolerance = max(ORDER, ORDER * np.abs(before[1]).max())
    if turned is not None and np.abs(turned[1] - before[1][order]).max() > tolerance:
        raise UserError(
            f"with the atoms of {name} in the opposite order its forces are others: it gives them in an order of its "
            "own; have the calculator put them back into the order of the atoms that it gets"
        )


def _slope(model, structure, before, name):
    """What the energy does along the forces: a note on energies per atom and mixed units, UserError for a gradient.

    Direct forces, which are no gradient at all, are nobody's mistake; only what is recognised counts.
    """
    energy, forces, *_ = before
    size = np.linalg.norm(forces)
    # single precision of a large energy hides the step
    if np.isnan(energy) or 2 * STEP * size < 50 * np.spacing(np.float32(abs(energy))) or size < FORCED:
        return
    step = STEP * forces / size
    ends = [_tried(model, replace(structure, positions=structure.positions + move)) for move in (step, -step)]
    if None in ends:
        return
    ratio = -(ends[0][0] - ends[1][0]) / (2 * STEP * size)
    if abs(ratio + 1) < CLOSE:
        raise UserError(
            f"along the forces that it gives {name} its energy rises as much as it should fall: they are the gradient; "
            "have the calculator change their sign"
        )
    known = {"an energy per atom": 1 / len(forces), **UNITS}
    for what, factor in known.items():
        if abs(ratio / factor - 1) < CLOSE and abs(ratio - 1) > 5 * CLOSE:
            yield f"its energy changes {ratio:.3g} times as much as its forces say ({name}): {what}?"
            return

"""Adaptation of a molecule on its first geometries, so that further ones need no prior call, and its pseudo-labels.

With a pseudo-label weight the reference head learns what a Δ-learning model or a corrected one says of these geometries
(test-time distillation), a prior call each; otherwise this is test-time training with several geometries per molecule.
"""

from collections.abc import Sequence

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.catalogue.adaptation import Settings
from mlipshift.data import augmentation
from mlipshift.learn.potential import Potential
from mlipshift.mitigate.adaptation import Adapted, adapt_frames
from mlipshift.mitigate.average import mean
from mlipshift.mitigate.correction import correct
from mlipshift.mitigate.units import Units, molecule_units


def pseudo_labels(teachers: Sequence[Potential], frames: Frames, prior: Labels, weight: float = 1.0) -> Labels:
    """What teachers say of structures with prior labels, the mean of several; none where a prior label is missing.

    A Δ-learning model predicts, any other one is corrected by its residual with this weight. Raises UserError as
    correction.correct, and for teachers of different seeds.
    """
    found = [
        one.predictions(frames, prior) if one.needs_prior else correct(one, frames, prior, weight) for one in teachers
    ]
    made = found[0] if len(found) == 1 else mean(found, frames, "_".join(one.method for one in found))
    rows = [
        (made.energy[-1, k], made.forces[-1, frames.offsets[k] : frames.offsets[k + 1]]) if made.ok[k] else None
        for k in range(len(frames))
    ]
    return Labels.build(frames, rows, f"{prior.level} + {made.method}")


def adapt_molecules(
    potential: Potential,
    frames: Frames,
    pool: Frames,
    prior: Labels,
    settings: Settings,
    geometries: int,
    copies: int,
    pseudo: Labels | None = None,
) -> Adapted:
    """Adapt every molecule on its first geometries in `pool` and predict those of `frames` that are not in there.

    prior, pseudo: labels of `pool`; geometries, copies: see conformer_units. Raises UserError for Δ-learning, for a
    pseudo-label weight without pseudo-labels, and as adapt_frames.
    """
    if potential.needs_prior:
        raise UserError(
            f"{potential.name}: Δ-learning needs a prior call per prediction; adapt another model to conformers"
        )
    if settings.pseudo_weight and pseudo is None:
        raise UserError("pseudo_weight is set, but there are no pseudo-labels; give --pseudo")
    unseen = unseen_of(frames, pool)
    return adapt_frames(potential, unseen, conformer_units(unseen, pool, prior, geometries, copies, pseudo), settings)


def unseen_of(frames: Frames, pool: Frames) -> Frames:
    """Structures that no molecule is adapted on: those outside `pool`."""
    return frames.take(~np.isin(frames.ids.astype(str), pool.ids.astype(str)))


def conformer_units(
    unseen: Frames, pool: Frames, prior: Labels, geometries: int, copies: int, pseudo: Labels | None = None
) -> Units:
    """Molecules adapted on the first `geometries` of each in `pool` and on `copies` rattled copies of each of those.

    They predict their structures in `unseen`. prior, pseudo: labels of `pool`; see units.molecule_units.
    """
    chosen = augmentation.first(pool, geometries, copies)
    labels = None if pseudo is None else pseudo.take(chosen)
    return molecule_units(unseen, pool.take(chosen), prior.take(chosen), labels)


def geometries_of(pool: Frames, group: str, geometries: int, copies: int) -> np.ndarray:
    """Numbers in `pool` of the first `geometries` of the one molecule of a group, and of `copies` rattled ones of each.

    Raises UserError where the group has several molecules, and where it has fewer geometries in there.
    """
    own = np.flatnonzero(pool.group == group)
    molecules = sorted({*pool.molecule[own]})
    if len(molecules) > 1:
        raise UserError(f"{group}: has {len(molecules)} molecules, {molecules[0]} for one; make a group of each")
    chosen = own[augmentation.first(pool.take(own), geometries, copies)]
    if not len(chosen):
        there = sum(augmentation.source_of(name)[1] == 0 for name in pool.ids[own])
        raise UserError(
            f"{group}: has {there} geometries to start from or to adapt to, {geometries} are asked for; the first half"
            " of its structures counts, and at most the largest of conformers.counts; ask for fewer, or raise that"
        )
    return chosen

"""What is adapted together: one structure, the structures given for one molecule, or those of a whole set.

Every function returns (units, members): members[u] are the numbers of the structures that unit u predicts.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from mlipshift.base.frames import Frames, Labels
from mlipshift.data import augmentation

Structure = tuple[np.ndarray, np.ndarray]  # numbers [n], positions [n, 3] Å


@dataclass
class Unit:
    """Structures with prior labels that are adapted on, and the structures to predict afterwards.

    forces: prior forces [n, 3] eV/Å of each of `adapt`; energy [len(adapt)]: prior energies in eV, needed only with an
    energy weight; pseudo: forces [n, 3] that the reference head is fitted to, needed only with a pseudo-label weight;
    held, held_forces: structures with prior forces that are watched and not adapted on, needed only to stop by them.
    cutoff, envelope: radii (Å) of the neighbour lists and where the envelope reaches zero, the trained ones if None.
    """

    adapt: list[Structure]
    forces: list[np.ndarray]
    predict: list[Structure]
    energy: np.ndarray | None = None
    pseudo: list[np.ndarray] | None = None
    held: list[Structure] | None = None
    held_forces: list[np.ndarray] | None = None
    cutoff: float | None = None
    envelope: float | None = None

    @property
    def size(self) -> int:
        """Atoms that are adapted on."""
        return sum(len(z) for z, _ in self.adapt)


Units = tuple[list[Unit], list[list[int]]]


def units_of(
    mode: str, frames: Frames, prior: Labels, seed: int = 0, held: tuple[Frames, Labels] | None = None
) -> Units:
    """Units of a mode of catalogue.adaptation.MODES, adapted on the prior labels of the structures they predict.

    seed: of the placebo's choice; held: see structure_units.
    """
    if mode == "molecule":
        return molecule_units(frames, frames, prior)
    if mode == "set":
        return set_units(frames, frames, prior)
    if mode == "placebo":
        return placebo_units(frames, prior, seed)
    return structure_units(frames, prior, held)


def structure_units(frames: Frames, prior: Labels, held: tuple[Frames, Labels] | None = None) -> Units:
    """Every labelled structure adapted on its own prior labels.

    held: rattled copies to stop by, with their labels; structures without such copies are left out then.
    """
    units, members = [], []
    copies = {} if held is None else _copies_of(*held)
    for k in np.flatnonzero(prior.ok).tolist():
        unit = Unit([frames[k][:2]], [prior.forces_of(k)], [frames[k][:2]], prior.energy[[k]])
        if held is not None:
            rows = copies.get(str(frames.ids[k]), [])
            if not rows:
                continue
            unit.held = [held[0][j][:2] for j in rows]
            unit.held_forces = [held[1].forces_of(j) for j in rows]
        units.append(unit)
        members.append([k])
    return units, members


def _copies_of(frames, labels):
    """{id: numbers of its labelled rattled copies}."""
    out = {}
    for j, name in enumerate(frames.ids):
        source, copy = augmentation.source_of(name)
        if copy and labels.ok[j]:
            out.setdefault(source, []).append(j)
    return out


def placebo_units(frames: Frames, prior: Labels, seed: int) -> Units:
    """As structure_units, with the `foreign` prior forces; a structure without such forces has no placebo."""
    return structure_units(frames, foreign(frames, prior, seed))


def foreign(frames: Frames, prior: Labels, seed: int) -> Labels:
    """Labels with the prior forces of a random structure of another molecule of the same group, and the own energies.

    Of another structure where the group has one molecule alone; none for a structure that is alone in its group.
    Forces are repeated or cut to the number of atoms, without net force.
    """
    rng = np.random.default_rng([seed, 7])
    usable = np.flatnonzero(prior.ok)
    rows: list[tuple | None] = [None] * len(frames)
    for k in usable.tolist():
        forces = _foreign_forces(k, frames, prior, usable, rng)
        if forces is not None:
            rows[k] = prior.energy[k], forces
    return Labels.build(frames, rows, f"{prior.level}, foreign")


def _foreign_forces(k, frames, prior, usable, rng):
    """Prior forces of another structure, repeated or cut to n atoms, net force removed; None if there is none."""
    group = [j for j in usable if frames.group[j] == frames.group[k] and j != k]
    other = [j for j in group if frames.molecule[j] != frames.molecule[k]] or group
    if not other:
        return None
    n = int(frames.sizes[k])
    forces = np.resize(prior.forces_of(rng.choice(other)), (n, 3))
    return forces - forces.mean(0)


def molecule_units(
    frames: Frames, known: Frames, prior: Labels, pseudo: Labels | None = None, unseen: bool = False
) -> Units:
    """One unit per molecule (within its group), adapted on the structures `known` of it.

    prior: labels of `known`; every structure of the molecule in `frames` is predicted, without a prior label of its
    own, with `unseen` only those that are not in `known`. pseudo: labels of `known` for the reference head; what lacks
    one is not adapted on.
    """
    keys, sources = (list(zip(f.group, f.molecule)) for f in (frames, known))
    return _units_by(keys, sources, frames, known, prior, pseudo, unseen)


def set_units(frames: Frames, known: Frames, prior: Labels) -> Units:
    """One unit per group of structures, adapted on all of `known` of it together."""
    return _units_by(list(frames.group), list(known.group), frames, known, prior)


def _units_by(
    keys: Sequence[Hashable],
    sources: Sequence[Hashable],
    frames: Frames,
    known: Frames,
    prior: Labels,
    pseudo: Labels | None = None,
    unseen: bool = False,
) -> Units:
    """One unit per distinct key of `frames`, adapted on the labelled structures of `known` with the same key."""
    taken = set(known.ids.astype(str)) if unseen else ()
    places: dict[Hashable, list[int]] = {}
    for j, key in enumerate(sources):
        if prior.ok[j] and (pseudo is None or pseudo.ok[j]):
            places.setdefault(key, []).append(j)
    asked: dict[Hashable, list[int]] = {}
    for k, key in enumerate(keys):
        if str(frames.ids[k]) not in taken:
            asked.setdefault(key, []).append(k)
    units, members = [], []
    for key, member in asked.items():
        if key in places:
            units.append(_unit(frames, member, known, places[key], prior, pseudo))
            members.append(member)
    return units, members


def _unit(frames, member, known, usable, prior, pseudo):
    """Unit adapted on the structures `usable` of `known`, which predicts the structures `member` of `frames`."""
    return Unit(
        [known[j][:2] for j in usable],
        [prior.forces_of(j) for j in usable],
        [frames[k][:2] for k in member],
        prior.energy[usable],
        None if pseudo is None else [pseudo.forces_of(j) for j in usable],
    )

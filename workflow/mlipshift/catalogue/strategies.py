"""Training strategies of the two-head potential.

pretrain     both from random weights: representation and prior head on prior labels
supervised   representation and reference head on reference labels, from random weights
delta        the same on reference minus prior; the prediction needs the prior (Δ-learning)
freeze       from pretrain: representation and prior head frozen, reference head on reference labels
joint        from pretrain: both heads on both kinds of labels, all parameters
probe        from supervised: representation and reference head frozen, prior head on prior labels
delta_joint  as joint, with reference minus prior for the reference head; the prediction needs the prior

pretrain_broad, joint_broad: as above, with the prior labels of unlabelled structures, of other elements for one, in
pre-training. pretrain_transductive, joint_transductive: with the prior labels of the test structures themselves.
"""

from collections.abc import Iterable
from dataclasses import dataclass

HEADS = ("reference", "prior")
LEVELS = ("min", "med", "max")  # how much of the shared representation, from the embedding alone to all of it


@dataclass(frozen=True)
class Strategy:
    """What a strategy trains, from what.

    heads: heads that are trained; recipe: its entry of section training; base: strategy whose model it starts from;
    frozen: whether the representation is; difference: whether the reference head learns reference minus prior, so
    that a prediction needs the prior; extra: set of structures whose prior labels are learnt beside those of the
    training structures.
    """

    heads: tuple[str, ...]
    recipe: str
    base: str | None = None
    frozen: bool = False
    difference: bool = False
    extra: str | None = None

    @property
    def learnt(self) -> set[str]:
        """Heads that have learnt something, in this strategy or in those that it starts from."""
        return {*self.heads, *(STRATEGIES[self.base].learnt if self.base else ())}


PRIOR = ("prior",)
REFERENCE = ("reference",)
# the place of a strategy is part of its random seed: new ones go to the end
STRATEGIES = {
    "pretrain": Strategy(PRIOR, "pretrain"),
    "supervised": Strategy(REFERENCE, "supervised"),
    "delta": Strategy(REFERENCE, "delta", difference=True),
    "freeze": Strategy(REFERENCE, "freeze", "pretrain", frozen=True),
    "joint": Strategy(HEADS, "joint", "pretrain"),
    "probe": Strategy(PRIOR, "freeze", "supervised", frozen=True),
    "delta_joint": Strategy(HEADS, "joint", "pretrain", difference=True),
    "pretrain_broad": Strategy(PRIOR, "pretrain", extra="unlabelled"),
    "joint_broad": Strategy(HEADS, "joint", "pretrain_broad", extra="unlabelled"),
    "pretrain_transductive": Strategy(PRIOR, "pretrain", extra="test"),
    "joint_transductive": Strategy(HEADS, "joint", "pretrain_transductive", extra="test"),
}


def needed(strategies: Iterable[str]) -> list[str]:
    """Strategies that have to be trained for `strategies`, bases first."""
    out: dict[str, None] = {}
    for name in strategies:
        base = STRATEGIES[name].base
        out |= dict.fromkeys([*(needed([base]) if base else []), name])
    return list(out)

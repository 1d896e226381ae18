"""The methods that are compared: every name, title, colour and cost of one stands here, in display order."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """What tables, figures and the report know of a method.

    key: its name in tables and file names; title, meaning: in words; trained_on: labels that it has learnt from, empty
    if none; colour, marker, filled: hue says the training, an open marker no adaptation or a control; prior_calls: per
    predicted structure; before: method that it is with nothing done at test time; control: no method to choose.
    """

    key: str
    title: str
    meaning: str
    trained_on: str
    colour: str
    marker: str
    filled: bool = True
    prior_calls: float = 0.0
    before: str | None = None
    control: bool = False


_METHODS = (
    Method("zero", "Zero forces", "predicts no force at all", "", "#8C8C8C", "x", control=True),
    Method("prior", "Prior", "the semi-empirical method itself", "", "#222222", "s", prior_calls=1.0),
    Method("supervised", "Supervised", "trained on reference labels only", "reference", "#D55E00", "o"),
    Method(
        "supervised_rr",
        "Supervised + RR",
        "supervised, graph radius chosen per test structure as published",
        "reference",
        "#D55E00",
        "<",
        filled=False,
        before="supervised",
    ),
    Method(
        "supervised_rr_fallback",
        "Supervised + RR, fallback",
        "supervised, radius refinement that may keep the trained radius",
        "reference",
        "#D55E00",
        ">",
        filled=False,
        before="supervised",
    ),
    Method(
        "freeze",
        "Freeze",
        "pre-trained on prior labels, representation frozen, reference head fine-tuned",
        "prior, then reference",
        "#CC79A7",
        "D",
        filled=False,
    ),
    Method(
        "freeze_ttt",
        "Freeze + TTT",
        "Freeze, then test-time training on the prior labels of the test structure",
        "prior, then reference",
        "#CC79A7",
        "D",
        prior_calls=1.0,
        before="freeze",
    ),
    Method(
        "joint",
        "Joint",
        "pre-trained on prior labels, then trained on prior and reference labels together",
        "prior and reference",
        "#0072B2",
        "^",
        filled=False,
    ),
    Method(
        "joint_rr",
        "Joint + RR",
        "Joint, graph radius chosen per test structure as published",
        "prior and reference",
        "#56B4E9",
        "<",
        filled=False,
        before="joint",
    ),
    Method(
        "joint_rr_fallback",
        "Joint + RR, fallback",
        "Joint, radius refinement that may keep the trained radius",
        "prior and reference",
        "#56B4E9",
        ">",
        filled=False,
        before="joint",
    ),
    Method(
        "joint_ttt",
        "Joint + TTT",
        "Joint, then test-time training on the prior labels of the test structure",
        "prior and reference",
        "#0072B2",
        "^",
        prior_calls=1.0,
        before="joint",
    ),
    Method(
        "joint_placebo",
        "Joint + placebo TTT",
        "Joint, then test-time training on the prior labels of another molecule or geometry",
        "prior and reference",
        "#E69F00",
        "X",
        prior_calls=1.0,
        before="joint",
        control=True,
    ),
    Method(
        "freeze_placebo",
        "Freeze + placebo TTT",
        "Freeze, then test-time training on the prior labels of another molecule or geometry",
        "prior, then reference",
        "#E69F00",
        "X",
        filled=False,
        prior_calls=1.0,
        before="freeze",
        control=True,
    ),
    Method(
        "delta",
        "Δ-learning",
        "trained on reference minus prior; every prediction needs a prior call",
        "reference − prior",
        "#009E73",
        "P",
        prior_calls=1.0,
    ),
    Method(
        "probe",
        "Supervised + prior head",
        "supervised, with a prior head fitted to its frozen representation",
        "reference, then prior",
        "#D55E00",
        "h",
        filled=False,
    ),
    Method(
        "delta_joint",
        "Δ-learning + prior head",
        "Joint with reference minus prior for the reference head; every prediction needs a prior call",
        "prior and reference − prior",
        "#009E73",
        "p",
        filled=False,
        prior_calls=1.0,
    ),
    Method(
        "joint_broad",
        "Joint, broad pre-training",
        "Joint, pre-trained on prior labels of unlabelled structures as well",
        "prior and reference",
        "#0072B2",
        "d",
        filled=False,
    ),
    Method(
        "joint_transductive",
        "Joint, transductive pre-training",
        "Joint, pre-trained on prior labels of the test structures as well",
        "prior and reference",
        "#0072B2",
        "*",
        filled=False,
        prior_calls=1.0,
    ),
)
METHODS = {method.key: method for method in _METHODS}

# adaptations of section conformers that have a title of their own
SCHEMES = {
    "joint_ttt": "Joint + TTT",
    "joint_ttt_between": "Joint + TTT, interpolated",
    "joint_distil": "Joint + distillation",
    "joint_distil_between": "Joint + distillation, interpolated",
    "joint_distil_unless_known": "Joint + distillation, unless known",
    "joint_distil_and_ttt": "Joint + distillation and TTT",
    "supervised_distil": "Supervised + distillation",
    "broad_ttt": "Joint, broad + TTT",
    "broad_distil": "Joint, broad + distillation",
}


def title(key: str) -> str:
    """Display name of a method; an unknown key is its own name."""
    return METHODS[key].title if key in METHODS else key


def scheme_title(key: str) -> str:
    """Display name of an adaptation, or of 'KEY (K)' with K geometries; an unknown key without underscores."""
    name, space, count = key.partition(" ")
    known = SCHEMES.get(name) or (METHODS[name].title if name in METHODS else name.replace("_", " "))
    return known + space + count


def look(key: str) -> tuple[str, str, bool]:
    """(colour, marker, filled) of a method; grey circles for an unknown one."""
    known = METHODS.get(key)
    return (known.colour, known.marker, known.filled) if known else ("#6B6B6B", "o", False)


def prior_calls(methods: Iterable[str] = METHODS) -> dict[str, float]:
    """{key: prior calls per predicted structure}."""
    return {key: METHODS[key].prior_calls for key in methods}

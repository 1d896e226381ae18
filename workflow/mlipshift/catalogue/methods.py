"""The methods that are compared: every name, title, colour and cost of one stands here, in display order."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """What tables, figures and the report know of a method.

    key: its name in tables and file names; title, meaning: in words; trained_on: labels that it has learnt from, empty
    if none; colour, marker, filled: hue says the training, an open marker no adaptation or a control; prior_calls: per
    predicted structure; before: method that it is with nothing done at test time; control: no method to choose;
    mean_of: methods whose predictions it averages; aside: in tables, but not in the figure of all methods.
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
    mean_of: tuple[str, ...] = ()
    aside: bool = False


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
        "freeze_corrected",
        "Freeze + correction",
        "Freeze, plus what its prior head lacks to the prior label of the test structure",
        "prior, then reference",
        "#CC79A7",
        "v",
        prior_calls=1.0,
        before="freeze",
    ),
    Method(
        "joint_corrected",
        "Joint + correction",
        "Joint, plus what its prior head lacks to the prior label of the test structure",
        "prior and reference",
        "#5B2A86",
        "v",
        prior_calls=1.0,
        before="joint",
    ),
    Method(
        "joint_corrected_placebo",
        "Joint + placebo correction",
        "Joint, plus what its prior head lacks to the prior label of another molecule or geometry",
        "prior and reference",
        "#E69F00",
        "v",
        prior_calls=1.0,
        before="joint",
        control=True,
        aside=True,
    ),
    Method(
        "freeze_corrected_placebo",
        "Freeze + placebo correction",
        "Freeze, plus what its prior head lacks to the prior label of another molecule or geometry",
        "prior, then reference",
        "#E69F00",
        "v",
        filled=False,
        prior_calls=1.0,
        before="freeze",
        control=True,
        aside=True,
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
        "freeze_corrected_delta",
        "Mean of Freeze + correction and Δ",
        "the mean of Freeze + correction and Δ-learning, of the same prior call",
        "prior, reference and their difference",
        "#00534D",
        "H",
        filled=False,
        prior_calls=1.0,
        mean_of=("freeze_corrected", "delta"),
        aside=True,
    ),
    Method(
        "joint_corrected_delta",
        "Mean of correction and Δ",
        "the mean of Joint + correction and Δ-learning, of the same prior call",
        "prior, reference and their difference",
        "#00534D",
        "H",
        prior_calls=1.0,
        mean_of=("joint_corrected", "delta"),
    ),
    Method(
        "freeze_ttt_delta",
        "Mean of Freeze + TTT and Δ",
        "the mean of Freeze + TTT and Δ-learning, of the same prior call",
        "prior, reference and their difference",
        "#00534D",
        "D",
        filled=False,
        prior_calls=1.0,
        mean_of=("freeze_ttt", "delta"),
        aside=True,
    ),
    Method(
        "joint_ttt_delta",
        "Mean of TTT and Δ",
        "the mean of Joint + TTT and Δ-learning, of the same prior call",
        "prior, reference and their difference",
        "#00534D",
        "^",
        prior_calls=1.0,
        mean_of=("joint_ttt", "delta"),
        aside=True,
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


@dataclass(frozen=True)
class Scheme:
    """An adaptation of section conformers that has a title of its own; colour, marker: as of a Method, and filled."""

    title: str
    colour: str
    marker: str


SCHEMES = {
    "joint_ttt": Scheme("Joint + TTT", "#0072B2", "^"),  # the method of this name
    "joint_ttt_between": Scheme("Joint + TTT, interpolated", "#332288", "v"),
    "joint_distil": Scheme("Joint + distillation", "#56B4E9", "o"),
    "joint_distil_between": Scheme("Joint + distillation, interpolated", "#882255", "s"),
    "joint_distil_unless_known": Scheme("Joint + distillation, unless known", "#8A8A00", "D"),
    "joint_distil_corrected": Scheme("Joint + distillation of the correction", "#5B2A86", "s"),
    "joint_distil_mean": Scheme("Joint + distillation of the mean", "#00534D", "o"),
    "joint_distil_and_ttt": Scheme("Joint + distillation and TTT", "#44AA99", "p"),
    "joint_ttt_corrected": Scheme("Joint + TTT, then correction", "#5B2A86", "p"),
    "supervised_distil": Scheme("Supervised + distillation", "#D55E00", "D"),
    "broad_ttt": Scheme("Joint, broad + TTT", "#0072B2", "d"),
    "broad_distil": Scheme("Joint, broad + distillation", "#56B4E9", "d"),
}
# of a molecule before its energy surface: to its minimum, to 12 geometries around it
ON_SURFACES = {
    "joint_ttt_minimum": Scheme("Joint + TTT on the minimum", "#56B4E9", "^"),
    "joint_ttt_directions": Scheme("Joint + TTT on 12 geometries", "#0072B2", "h"),
    "freeze_ttt_minimum": Scheme("Freeze + TTT on the minimum", "#E7A6C8", "D"),
    "freeze_ttt_directions": Scheme("Freeze + TTT on 12 geometries", "#CC79A7", "h"),
}
_SCHEMES = SCHEMES | ON_SURFACES
Look = tuple[str, str, bool]  # colour, marker, filled
# of adaptations that a configuration names, in the order of their names
SPARE = [(c, m, filled) for filled in (True, False) for c, m in zip(("#661100", "#AA4499", "#117733"), ("<", "*", "h"))]
SPARE += [(c, m, True) for c, m in zip(("#117733", "#661100", "#AA4499"), ("<", "*", "h"))]


def title(key: str) -> str:
    """Display name of a method; an unknown key is its own name."""
    return METHODS[key].title if key in METHODS else key


def scheme_title(key: str) -> str:
    """Display name of an adaptation, or of 'KEY (K)' with K geometries; an unknown key without underscores."""
    name, space, count = key.partition(" ")
    known = _SCHEMES.get(name) or METHODS.get(name)
    return (known.title if known else name.replace("_", " ")) + space + count


def look(key: str) -> Look:
    """(colour, marker, filled) of a method, of an adaptation or of 'KEY (K)'; grey circles for an unknown one."""
    name = key.partition(" ")[0]
    if known := METHODS.get(name):
        return known.colour, known.marker, known.filled
    scheme = _SCHEMES.get(name)
    return (scheme.colour, scheme.marker, True) if scheme else ("#6B6B6B", "o", False)


def looks(keys: Iterable[str]) -> dict[str, Look]:
    """{key: look} of what one figure shows; no two are the same as long as SPARE has enough for the unknown ones."""
    keys = list(keys)
    spare = dict(zip(sorted(k for k in keys if k not in METHODS and k not in _SCHEMES), SPARE))
    return {key: spare.get(key) or look(key) for key in keys}


def prior_calls(methods: Iterable[str] = METHODS) -> dict[str, float]:
    """{key: prior calls per predicted structure}."""
    return {key: METHODS[key].prior_calls for key in methods}

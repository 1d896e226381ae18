"""Settings of an adaptation, each once: default, meaning, unit, limits; configuration and manual come from here.

Test-time training (TTT) minimises the prior loss on test structures with the prior head frozen, and distillation the
reference head's error on pseudo-labels; mlipshift.mitigate.adaptation does both.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from operator import ge, gt, le, lt
from typing import Any

from mlipshift.base.errors import UserError
from mlipshift.catalogue.strategies import HEADS, LEVELS

OPTIMISERS = ("adam", "sgd")
STOPS = ("none", "drop", "held_out")
# what is adapted together -> what the method is called behind the name of the strategy
MODES = {"structure": "ttt", "molecule": "ttt_molecule", "set": "ttt_set", "placebo": "placebo"}
# whose prior label a residual correction takes -> what the method is called likewise
CORRECTIONS = {"structure": "corrected", "placebo": "corrected_placebo"}
# in the place of a head: the reference head, with the residual of the prior head after adaptation
CORRECTED = "corrected"
# what gives pseudo-labels -> the trained models that it needs: Δ-learning, a corrected model, or the mean of both
TEACHERS = {
    "delta": ("delta",),
    "freeze_corrected": ("freeze",),
    "joint_corrected": ("joint",),
    "freeze_corrected_delta": ("freeze", "delta"),
    "joint_corrected_delta": ("joint", "delta"),
}

# recommended: the defaults of Settings, chosen on the validation shift groups. published: the released configurations
# and loss, with the energy per atom in eV where the released code has a standardised one
PRESETS = {
    "recommended": {},
    "published": {
        "steps": 500,
        "learning_rate": 1e-5,
        "optimiser": "sgd",
        "momentum": 0.9,
        "weight_decay": 1e-3,
        "level": "min",
        "energy_weight": 1.0,
        "force_weight": 1000.0,
    },
}

# what a setting of a variant or a scheme, null unless given, says of itself
AGAIN = "As ttt.{name}."
WEIGHT = "As the setting of this name in section ttt; prior_weight and pseudo_weight weigh the two losses."
SHARE = "As the setting of this name in section ttt."

LIMITS = {
    "minimum": (ge, "of at least {}"),
    "exclusiveMinimum": (gt, "above {}"),
    "maximum": (le, "of at most {}"),
    "exclusiveMaximum": (lt, "below {}"),
}


def _setting(default: Any, meaning: str | None, again: str = AGAIN, configured: Any = None, **schema: Any) -> Any:
    """Field of Settings; `schema` are keywords of JSON Schema, and `unit`.

    meaning: description in section ttt, None for what is no setting there; again: description elsewhere; configured:
    default of section ttt, where it is another one.
    """
    if configured is None:
        configured = list(default) if isinstance(default, tuple) else default
    metadata = {"meaning": meaning, "again": again, "configured": configured, "schema": schema}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """Hyper-parameters of one adaptation. Raises UserError for a value outside its limits.

    steps, learning_rate, optimiser, momentum, weight_decay: of the gradient descent; level: part of the representation
    that is updated; heads: heads that are updated beside it, none by default.
    prior_weight, pseudo_weight: weights of the prior loss and of the loss on pseudo-labels, each of which is
    force_weight times the force loss (eV/Å) plus energy_weight times the energy loss (eV per atom; prior only).
    predict: head that predicts; CORRECTED adds what the prior head lacks to the prior label after adaptation.
    stop: "none"; "drop", at the first recorded step at which the loss is below stop_fraction of that at step 0;
    "held_out", at the recorded step with the lowest prior loss on the unit's held-out structures.
    skip_below_eV_per_A: units are left as they are whose loss before adaptation is below it: that on the labels they
    would be adapted to, or on their held-out structures where these stop.
    interpolation: predictions are with weights this share of the way from the model's to the adapted ones (Wortsman et
    al., "Robust fine-tuning of zero-shot models", CVPR 2022); the losses are those of the adapted weights.
    record: steps after which predictions are kept; batch: units that are adapted side by side.
    """

    steps: int = _setting(50, "Gradient steps per structure; 0 leaves the model as it is.", type="integer", minimum=0)
    learning_rate: float = _setting(3e-4, "Learning rate.", type="number", exclusiveMinimum=0)
    optimiser: str = _setting("adam", "Optimiser; the paper's code uses `sgd`.", enum=OPTIMISERS)
    momentum: float = _setting(0.9, "Momentum of `sgd`.", type="number", minimum=0, exclusiveMaximum=1)
    weight_decay: float = _setting(0.0, "Weight decay.", WEIGHT, type="number", minimum=0)
    level: str = _setting(
        "max", "How much of the representation is adapted, from the embedding alone to all of it.", enum=LEVELS
    )
    heads: tuple[str, ...] = _setting(
        (),
        "Heads that are updated beside the representation. None freezes the prior head, as the paper does; `prior` "
        "fine-tunes everything on the prior.",
        type="array",
        items={"enum": list(HEADS)},
        uniqueItems=True,
    )
    force_weight: float = _setting(1.0, "Weight of the prior force error.", WEIGHT, type="number", minimum=0)
    energy_weight: float = _setting(
        0.0,
        "Weight of the prior energy error per atom beside the force error; 0 uses forces only.",
        WEIGHT,
        type="number",
        minimum=0,
    )
    prior_weight: float = _setting(1.0, None, WEIGHT, type="number", minimum=0)
    pseudo_weight: float = _setting(0.0, None, WEIGHT, type="number", minimum=0)
    predict: str = _setting(
        "reference",
        None,
        "Head that predicts; `corrected`: the reference head, with what the prior head still lacks to the prior label.",
        enum=(*HEADS, CORRECTED),
    )
    stop: str = _setting(
        "none",
        "When the adaptation of a structure ends before the last step, judged by prior labels alone at the recorded "
        "steps: `drop`, as soon as the prior loss is below stop_fraction of the first; `held_out`, where the prior "
        "loss of rattled copies that are not adapted on is lowest.",
        enum=STOPS,
    )
    stop_fraction: float = _setting(
        0.3,
        "Share of the first prior loss at which `stop, drop` stops.",
        SHARE,
        type="number",
        exclusiveMinimum=0,
        maximum=1,
    )
    skip_below_eV_per_A: float = _setting(
        0.0,
        "What has a loss (mean over atoms of the norm of the force error) below this before adaptation, on the labels "
        "it would be adapted to, is left as it is; 0 adapts all. For geometries that are not adapted on, section "
        "conformers.",
        WEIGHT,
        unit="eV/Å",
        type="number",
        minimum=0,
    )
    interpolation: float = _setting(
        1.0,
        "Share of the way from the weights of the trained model to the adapted ones, with which structures are "
        "predicted; below 1 less is gained on what was adapted on and less lost on what lies far from it.",
        SHARE,
        type="number",
        exclusiveMinimum=0,
        maximum=1,
    )
    record: tuple[int, ...] = _setting(
        (),
        "Steps after which the prediction is kept; step 0 and the last are always kept.",
        type="array",
        items={"type": "integer", "minimum": 0},
        uniqueItems=True,
        configured=[5, 10, 20, 50],
    )
    batch: int = _setting(
        32,
        "Structures that are adapted side by side; changes the speed, not the adaptation.",
        type="integer",
        minimum=1,
    )

    def __post_init__(self):
        for setting in fields(self):
            self._check(setting.name, getattr(self, setting.name), setting.metadata["schema"])
        if not (self.prior_weight or self.pseudo_weight):
            raise UserError("ttt.prior_weight and ttt.pseudo_weight are both 0, there is nothing to adapt to; set one")

    @staticmethod
    def _check(name, value, schema):
        """Raise UserError unless a value is among the choices and within the limits."""
        choices = schema.get("enum")
        if choices and value not in choices:
            raise UserError(f"ttt.{name} {value!r} is unknown; use one of {', '.join(choices)}")
        if name == "heads":
            unknown = [head for head in value if head not in HEADS]
            if unknown:
                raise UserError(f"ttt.heads: {unknown[0]!r} is unknown; use {' or '.join(HEADS)}, or none of them")
        limits = {word: schema[word] for word in LIMITS if word in schema}
        if not all(LIMITS[word][0](value, limit) for word, limit in limits.items()):
            kind = {"integer": "a whole number", "number": "a number"}[schema["type"]]
            words = " and ".join(LIMITS[word][1].format(limit) for word, limit in limits.items())
            raise UserError(f"ttt.{name} is {value}; give {kind} {words}")

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Settings":
        """Settings of a dictionary: defaults, the values of its `preset` if it names one, and its own on top.

        Raises UserError for an unknown preset or setting.
        """
        settings = {k: v for k, v in settings.items() if v is not None}
        preset = settings.pop("preset", None)
        if preset is not None and preset not in PRESETS:
            raise UserError(f"preset {preset!r} is unknown; use one of {', '.join(PRESETS)}")
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(settings) - known)
        if unknown:
            raise UserError(f"{unknown[0]!r} is no setting of an adaptation; known: {', '.join(sorted(known))}")
        return cls(**{**PRESETS.get(preset, {}), **settings})

    @property
    def checkpoints(self) -> list[int]:
        """Recorded steps: 0, those of `record` that are reached, and the last."""
        return sorted({0, self.steps, *(k for k in self.record if k < self.steps)})


def json_schema(optional: bool, without: Collection[str] = ()) -> dict[str, dict]:
    """JSON Schema of settings as properties {name: node}, in their order; those of `without` are left out.

    optional: as in a variant or a scheme of the configuration, where null leaves a setting to section ttt or to the
    preset; otherwise as in section ttt itself, which has no prior_weight, pseudo_weight and predict.
    """
    nodes = {}
    for setting in fields(Settings):
        known = setting.metadata
        node = {"description": known["meaning"], **known["schema"], "default": known["configured"]}
        if "enum" in node:
            node["enum"] = list(node["enum"])
        if optional:
            node |= {"description": known["again"].format(name=setting.name), "default": None}
            node.pop("unit", None)
            if "enum" in node:
                node["enum"].append(None)
            else:
                node["type"] = [node["type"], "null"]
        if node["description"] is not None:
            nodes[setting.name] = node
    return {name: node for name, node in nodes.items() if name not in without}

"""The tables: every CSV of results/tables and results/timings with the rule that makes it.

A new table is one entry of TABLES; its rule lists `by_rule(NAME)` as outputs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


def asked(setting: str, config: Mapping[str, Any]) -> bool:
    """Whether settings have a value other than nothing at a key such as "simulate.molecules"; "" asks for nothing.

    Keys with a | between them ask for any of them.
    """
    return not setting or any(_value(key, config) for key in setting.split("|"))


def _value(key, config):
    """Value at a key with dots."""
    for name in key.split("."):
        config = (config or {}).get(name)
    return config


@dataclass(frozen=True)
class Table:
    """What rules and pages know of a table.

    name: of the file, without .csv; title: what it says; row: what one row is; rule: that makes it; folder: "tables",
    or "timings" where a second run gives other numbers; report: "needed" if the report cannot do without it,
    "optional" if it leaves out what comes from it, empty if it does not read it; setting: one without which it is not
    made, "simulate.molecules" for one.
    """

    name: str
    title: str
    row: str
    rule: str
    folder: str = "tables"
    report: str = ""
    setting: str = ""

    def path(self, results: str) -> str:
        """Its place below the folder of the results."""
        return f"{results}/{self.folder}/{self.name}.csv"


_EVALUATE = (
    Table("per_structure", "Force MAE of every structure", "structure, method, seed", "evaluate"),
    Table("summary", "Distribution of the force MAE", "group, method", "evaluate", report="needed"),
    Table("paired", "Paired comparisons", "group, method, baseline", "evaluate", report="needed"),
    Table("bins", "Force MAE along the axes of the shift", "axis, subset, bin, method", "evaluate"),
    Table("training_density", "Density of the training structures", "axis, bin", "evaluate"),
    Table("error_bins", "Structures per bin of the force MAE", "method, bin", "evaluate"),
    Table("steps", "Force MAE during test-time training", "group, method, step", "evaluate"),
    Table("shift_axes", "Force MAE in and out of distribution", "axis, group, method", "evaluate"),
    Table("frontier", "Error and prior calls of every method", "method", "evaluate", report="needed"),
    Table("refinement", "Radii that were chosen", "strategy, group", "evaluate", report="optional"),
    Table("gains", "Error of the prior, before and after TTT", "structure, method", "evaluate"),
    Table("gain_correlation", "What the gain of TTT goes with", "method, group, quantity", "evaluate"),
    Table(
        "correction_weights",
        "Force MAE of the validation groups by the weight of the correction",
        "method, weight",
        "evaluate",
        report="optional",
    ),
    Table("method_failures", "Structures without a result", "structure, stage", "evaluate", report="needed"),
)
_INPUT = (
    Table("failures", "Structures that were left out", "structure, stage", "collect_failures", report="needed"),
    Table("left_out", "What was left out, and why", "group, stage, reason", "collect_failures", report="needed"),
    Table("label_check", "Labels against those of GFN-xTB", "group", "collect_failures", report="needed"),
    Table("census", "Structures and labels of every group", "group", "curate", report="needed"),
    Table("duplicates", "Structures that occur more than once", "structure", "curate"),
    Table(
        "duplicate_counts", "Structures of a group that are in another, too", "group, group", "curate", report="needed"
    ),
)
_OTHERS = (
    Table("shifts", "Measures of shift", "structure", "diagnose_shifts"),
    Table(
        "shift_summary",
        "Structures outside the training distribution",
        "criterion, group",
        "diagnose_shifts",
        report="optional",
    ),
    Table("shift_sweep", "Structures outside, by the limit", "group, criterion, sigma", "diagnose_shifts"),
    Table(
        "published",
        "Published values beside those of the run",
        "quantity, model, data",
        "compare_published",
        report="optional",
    ),
    Table("seconds", "Time per structure", "method", "summarise_timings", folder="timings", report="needed"),
    Table(
        "durations", "Time and memory of the workflow", "rule", "collect_run_info", folder="timings", report="needed"
    ),
    Table("variants", "Force MAE of the further adaptations", "group, method", "evaluate_variants"),
    Table(
        "variants_paired",
        "Paired comparisons of the further adaptations",
        "group, method, baseline",
        "evaluate_variants",
        report="optional",
    ),
    Table(
        "conformers",
        "Force MAE on unseen geometries of a molecule",
        "group, scheme, geometries, baseline",
        "evaluate_variants",
        report="optional",
    ),
    Table(
        "decision",
        "The method to choose",
        "prior seconds, predictions, budget",
        "evaluate_variants",
        folder="timings",
        report="optional",
    ),
    Table(
        "decision_methods",
        "Error and costs of what the method is chosen from",
        "method",
        "evaluate_variants",
        folder="timings",
        report="optional",
    ),
    Table("ablations", "Force MAE by prior and amount of data", "point, group", "evaluate_ablations"),
    Table("ablation_bins", "Structures per bin of the force MAE, by prior", "point, method, bin", "evaluate_ablations"),
    Table("sources", "What the addresses of the manifest answer", "address", "ask_sources"),
    Table(
        "prior_labels",
        "Reference labels that the prior was fitted to",
        "molecule",
        "fit_prior",
        report="optional",
        setting="prior.labels",
    ),
    Table(
        "finetuning",
        "Force MAE after fine-tuning on a few labels, every model",
        "group, start, replay, amount, seed",
        "evaluate_finetuning",
        setting="finetuning.groups",
    ),
    Table(
        "learning_curves",
        "Force MAE against the number of labels",
        "group, start, replay, amount",
        "evaluate_finetuning",
        report="optional",
        setting="finetuning.groups",
    ),
    Table(
        "labels_needed",
        "Labels that reach the target",
        "group, start, replay",
        "evaluate_finetuning",
        report="optional",
        setting="finetuning.groups",
    ),
)
_SURFACES = {"rule": "evaluate_surfaces", "setting": "surfaces.molecules"}
_SIMULATED = {"rule": "evaluate_dynamics", "setting": "simulate.molecules"}
_MOTION = (
    Table("dynamics", "What became of every simulated replica", "molecule, run, replica", **_SIMULATED),
    Table("dynamics_summary", "Simulated molecules", "molecule, run", report="optional", **_SIMULATED),
    Table("h_of_r", "Density of the interatomic distances", "molecule, run, distance", **_SIMULATED),
    Table("energy_traces", "Energy and temperature of trajectories", "molecule, run, replica, time", **_SIMULATED),
    Table("unphysical", "The first unphysical event", "molecule, run, bond", **_SIMULATED),
    Table(
        "dynamics_costs",
        "Time per ps of dynamics",
        "molecule, run",
        folder="timings",
        report="optional",
        **_SIMULATED,
    ),
    Table("surfaces", "Energy surfaces", "molecule, scan, method, seed, point", **_SURFACES),
    Table("roughness", "Roughness of energy surfaces", "molecule, scan, method, seed", report="optional", **_SURFACES),
    Table("bond_curves", "Energy along stretched bonds", "molecule, bond, method, seed, length", **_SURFACES),
    Table("bonds", "Faults along bonds", "molecule, bond, method, seed", **_SURFACES),
    Table("bond_scores", "Share of sound bonds of every model", "method", report="optional", **_SURFACES),
)
_REWIRED = {"rule": "evaluate_radii", "setting": "radius.networks|radius.models"}
_RADIUS = (
    Table("radius_curve", "Force MAE against the radius", "network, strategy, envelope, group, radius", **_REWIRED),
    Table("radius_rules", "Rules of radii", "network, strategy, envelope, group, rule", report="optional", **_REWIRED),
    Table("radius_choices", "Chosen and best radius", "network, strategy, envelope, structure, rule", **_REWIRED),
    Table("radius_bins", "Force MAE by connectivity", "network, strategy, envelope, rule, bin", **_REWIRED),
    Table("radius_edges", "Edges that came and went", "network, strategy, envelope, rule, group, edge", **_REWIRED),
    Table(
        "radius_adapted",
        "Test-time training on refined graphs",
        "network, envelope, group, rule",
        report="optional",
        **_REWIRED,
    ),
    Table(
        "radius_motion",
        "Energy along trajectories whose radius changes",
        "network, group, mode",
        "evaluate_radius_motion",
        report="optional",
        setting="radius.motion.networks",
    ),
    Table(
        "radius_costs",
        "Time of choosing a radius",
        "network, strategy, envelope",
        folder="timings",
        report="optional",
        **_REWIRED,
    ),
)
INPUT = ("census", "left_out", "label_check", "duplicate_counts")  # of what was read, on both pages
TABLES = {table.name: table for table in (*_INPUT, *_EVALUATE, *_OTHERS, *_MOTION, *_RADIUS)}

_MODEL = "diagnosis/{model}"
# of every diagnosed model
DIAGNOSIS = {
    table.name: table
    for table in (
        Table("errors", "Force MAE of every structure", "structure", "diagnose_model", _MODEL),
        Table("axes", "Force MAE inside and outside the training distribution", "criterion", "diagnose_model", _MODEL),
        Table("bins", "Force MAE along every criterion", "criterion, bin", "diagnose_model", _MODEL),
        Table("ranks", "Rank correlation of the error with every criterion", "criterion", "diagnose_model", _MODEL),
        Table("groups", "Connectivity and force MAE of every group", "group", "diagnose_model", _MODEL),
        Table("embedding", "Map of the representation", "structure", "diagnose_model", _MODEL),
    )
}
_HELP = "help/tables"
# of models as they are and of what helps them
HELP = {
    table.name: table
    for table in (
        Table("groups", "Force MAE of models and of help for them", "group, method", "evaluate_help", _HELP),
        Table("signs", "How well signs without a label find errors", "model, sign, group", "evaluate_help", _HELP),
        Table(
            "payoff", "Error before and after help, and that of the prior", "structure, method", "evaluate_help", _HELP
        ),
        Table("crossing", "Help on either side of the crossover", "method, side", "evaluate_help", _HELP),
        Table("kept", "Error of what a sign keeps", "model, sign, share", "evaluate_help", _HELP),
        Table("decision", "Whether to help, decided without a label", "method, group", "evaluate_help", _HELP),
        Table("costs", "CPU time per structure", "method", "evaluate_help", _HELP),
    )
}
# of structures of one's own; the file bears the name of the model
RESCUED = Table("rescued", "What forces rest on, and what error to expect", "structure", "write_rescued", "help/forces")


def by_rule(rule: str) -> dict[str, Table]:
    """{name: Table} of what a rule writes."""
    return {name: table for name, table in TABLES.items() if table.rule == rule}


def paths(names: Iterable[str], results: str) -> list[str]:
    """Paths of tables below the folder of the results."""
    return [TABLES[name].path(results) for name in names]


def in_report(*kinds: str, config: Mapping[str, Any] | None = None) -> list[str]:
    """Names of the tables that the report of a run with these settings reads; kinds: "needed", "optional"."""
    return [name for name, table in TABLES.items() if table.report in kinds and asked(table.setting, config or {})]

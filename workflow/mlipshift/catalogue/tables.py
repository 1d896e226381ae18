"""The tables: every CSV of results/tables and results/timings with the rule that makes it, and those that pages show.

A new table is one entry of TABLES; its rule lists `by_rule(NAME)` as outputs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


def asked(setting: str, config: Mapping[str, Any]) -> bool:
    """Whether settings have a value other than nothing at a key such as "simulate.molecules"; "" asks for nothing."""
    value: Any = config
    for key in setting.split(".") if setting else ():
        value = (value or {}).get(key)
    return bool(value) or not setting


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
_REWIRED = {"rule": "evaluate_radii", "setting": "radius.networks"}
_RADIUS = (
    Table("radius_curve", "Force MAE against the radius", "network, strategy, envelope, group, radius", **_REWIRED),
    Table("radius_rules", "Rules of radii", "network, strategy, envelope, group, rule", report="optional", **_REWIRED),
    Table("radius_choices", "Chosen and best radius", "network, strategy, envelope, structure, rule", **_REWIRED),
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


@dataclass(frozen=True)
class Shown:
    """A table of the report. heading: above it, a sentence; section: whose figures it follows, if it does."""

    heading: str
    section: str = ""


# by its id on the page
REPORT = {
    "diagnosis": Shown(
        "Share of structures outside the training distribution by criteria that need no reference label: further from"
        " the training mean than the set number of training standard deviations.",
        "shift",
    ),
    "published": Shown(
        "Published values beside those of this run. Data, models and their sizes are others, so that errors are not"
        " comparable; ratios are, with care. Place of the published value and what of this run stands beside it when"
        " pointed at.",
        "mitigation",
    ),
    "refinement": Shown(
        "What radius refinement changed: share of structures for which a radius below the trained cutoff was chosen,"
        " that lost edges by it, and that were refined when the trained radius could be kept.",
        "mitigation",
    ),
    "conformers": Shown(
        "Geometries of held-out molecules that were not adapted on, by number of geometries that were, and paired"
        " differences to its own model and to what one could do instead; negative is better. Intervals and means of the"
        " others when pointed at.",
        "cost",
    ),
    "answers": Shown(
        "Which methods are the choice for other geometries of a molecule: the most accurate one that takes no longer"
        " than allowed, for the costs of a prior call, the numbers of predictions that follow one adaptation and the"
        " allowed times of the settings. Brackets: geometries adapted on. Times of models are those of this run: CPU"
        " time of one core, wall time where networks ran on a GPU.",
        "cost",
    ),
    "decision": Shown(
        "Which of them is the choice where, by the predictions that follow one adaptation; equal neighbours are put"
        " together, and timings/decision.csv has every combination.",
        "cost",
    ),
    "dynamics": Shown(
        "What became of the simulated molecules: time until a bond was more than 0.5 Å from its mean length or the"
        " energy exploded, mean and range of the replicas; area between h(r) and that of the reference geometries, and"
        " between two halves of the latter; drift of the total energy (NVE); force MAE of what moved the molecule on"
        " its test structures, and what it asked of the prior.",
        "simulate",
    ),
    "roughness": Shown(
        "Energy surfaces along Hessian eigenvectors: root mean square of the energy minus a local cubic, that over the"
        " prior's, forces minus slope of the energy, and differences of whole surfaces; medians over molecules and"
        " seeds, their range when pointed at. Jumps and minima that the prior does not have are counted over all.",
        "simulate",
    ),
    "bonds": Shown(
        "Bonds that are compressed and stretched: share without any fault, share whose energy has none, share with each"
        " fault; how far one has to climb to a false minimum; and how long the same model, unadapted, kept the"
        " molecules of the dynamics whole with a thermostat, on average.",
        "simulate",
    ),
    "methods": Shown(
        "All methods on the held-out shift groups: force MAE per structure, averaged over seeds, on the structures that"
        " all of them predict, and cost: CPU time of one core, adaptation and prior calls included (on a GPU, wall"
        " time of the networks)."
    ),
    "groups": Shown("Mean force MAE (meV/Å) by group; intervals when pointed at."),
    "all": Shown(
        "Force MAE of every method in every group. The validation groups are those on which settings were chosen; they"
        " are no part of the other tables and figures."
    ),
    "paired": Shown("Paired comparisons on the same structures: method minus baseline, negative is better."),
    "variants": Shown(
        "Adaptations of section variants on the held-out shift groups, against their own model and what one could do"
        " instead; negative is better."
    ),
    "prior_labels": Shown(
        "The prior of this run was fitted to reference labels of the molecules themselves, those that are tested among"
        " them: what it says of them is no knowledge without reference calculations. No label is of a test structure.",
        "mitigation",
    ),
    "learning_curves": Shown(
        "Force MAE (meV/Å) on new molecules after fine-tuning, by start and number of labelled structures of them;"
        " means over structures and seeds, intervals and the error on known molecules when pointed at. Which structures"
        " are labelled is drawn anew for every seed, and none of them is tested.",
        "simulate",
    ),
    "labels_needed": Shown(
        "Labelled structures at which the mean force MAE is below the target, of the numbers tried; what fine-tuning on"
        " the most of them costs on the molecules that were known; and prior calls, once and per prediction.",
        "simulate",
    ),
    "weights": Shown(
        "Force MAE (meV/Å) of the validation groups, on which alone it may be chosen, by the weight of the residual"
        " correction; ● is that of this run. Intervals when pointed at."
    ),
    "failed": Shown("Structures that were left out, or for which a method has no result."),
    "knowledge": Shown("What each method uses of a test structure."),
    "durations": Shown("Wall time and memory per rule of the workflow."),
}
# of what was read, on both pages
INPUT_REPORT = {
    "census": "Structures of every group as the files were read, and the reference labels of those that are used. A"
    " structure without forces has no error; one without an energy has an error all the same.",
    "left_out": "Structures that were left out, by stage and reason; all of them are in tables/failures.csv.",
    "duplicates": "Structures that occur more than once: same elements, charge, multiplicity and geometry, up to"
    " rotation, reflection, order of the atoms and rounding. Errors on them are errors on known structures.",
    "label_check": "Reference labels against those of GFN-xTB on the same structures: medians over structures for"
    " forces, differences between geometries of a molecule for energies. A wrong sign or unit shows itself in either.",
}
# headings of the page of a diagnosis
DIAGNOSIS_REPORT = {
    "outside": "Share of structures outside the training distribution, further than {sigma} training standard"
    " deviations from the training mean, beside that of the training structures themselves.",
    "sweep": "How that share depends on the limit: structures further than {sigmas} training standard deviations from"
    " the training mean.",
    "side_by_side": "Force MAE in meV/Å, mean over the structures of a group (their number in brackets), which differ"
    " where a model excludes some.",
    "axes": "Force MAE of the test structures inside and outside the training distribution, judged by each measure."
    " Square brackets: {interval}. Chemical accuracy is {accuracy} meV/Å.",
    "ranks": "How well each measure predicts the force MAE, used as it would be, the best one first: Spearman rank"
    " correlation, and area under the curve (AUROC) for finding the worst tenth of the errors, where 0.5 is a guess and"
    " 1 finds all. Whether larger or smaller values of a measure, or those far from the training mean, are a sign of"
    " error is what the validation groups say, which are then not among the structures here.",
    "groups": "Datasets: fraction of the Laplacian's eigenvalues in [0.9, 1.1] (mean ± standard deviation), share of"
    " structures outside the training distribution by it, and force MAE.",
}


def by_rule(rule: str) -> dict[str, Table]:
    """{name: Table} of what a rule writes."""
    return {name: table for name, table in TABLES.items() if table.rule == rule}


def paths(names: Iterable[str], results: str) -> list[str]:
    """Paths of tables below the folder of the results."""
    return [TABLES[name].path(results) for name in names]


def in_report(*kinds: str, config: Mapping[str, Any] | None = None) -> list[str]:
    """Names of the tables that the report of a run with these settings reads; kinds: "needed", "optional"."""
    return [name for name, table in TABLES.items() if table.report in kinds and asked(table.setting, config or {})]

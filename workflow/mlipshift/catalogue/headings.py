"""What stands over the tables of the pages, in their order, by the id that a page gives them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shown:
    """A table of a page.

    title: what one unfolds; tables: names of the files that it is made from, which can be downloaded; heading: above
    it, a sentence; section: whose figures it follows, if it does.
    """

    title: str
    tables: tuple[str, ...]
    heading: str
    section: str = ""


# by its id on the page
REPORT = {
    "diagnosis": Shown(
        "Structures outside the training distribution",
        ("shift_summary",),
        "Share of structures outside the training distribution by criteria that need no reference label: further from"
        " the training mean than the set number of training standard deviations.",
        "shift",
    ),
    "published": Shown(
        "Published values beside those of this run",
        ("published",),
        "Published values beside those of this run. Data, models and their sizes are others, so that errors are not"
        " comparable; ratios are, with care. Place of the published value and what of this run stands beside it when"
        " pointed at.",
        "mitigation",
    ),
    "refinement": Shown(
        "What radius refinement changed",
        ("refinement",),
        "What radius refinement changed: share of structures for which a radius below the trained cutoff was chosen,"
        " that lost edges by it, and that were refined when the trained radius could be kept.",
        "mitigation",
    ),
    "conformers": Shown(
        "Geometries that were not adapted on",
        ("conformers",),
        "Geometries of held-out molecules that were not adapted on, by number of geometries that were, and paired"
        " differences to its own model and to what one could do instead; negative is better. Intervals and means of the"
        " others when pointed at.",
        "cost",
    ),
    "answers": Shown(
        "Which methods are the choice",
        ("decision", "decision_methods"),
        "Which methods are the choice for other geometries of a molecule: the most accurate one that takes no longer"
        " than allowed, for the costs of a prior call, the numbers of predictions that follow one adaptation and the"
        " allowed times of the settings. Brackets: geometries adapted on. Times of models are those of this run: CPU"
        " time of one core, wall time where networks ran on a GPU.",
    ),
    "decision": Shown(
        "Which method is the choice where",
        ("decision", "decision_methods"),
        "Which of them is the choice where, by the predictions that follow one adaptation; equal neighbours are put"
        " together, and timings/decision.csv has every combination.",
    ),
    "radius_rules": Shown(
        "Rules that choose the radius",
        ("radius_rules", "radius_costs"),
        "Rules that choose the radius of a test graph, on all held-out structures: the published one, the one that the"
        " validation groups recommend, and the best radius of every structure, which knows the labels. Difference of"
        " the force MAE to graphs that are not refined; share of the structures that are better, worse and the same;"
        " difference over that of the best radius; the held-out group that is worse off most.",
        "radius",
    ),
    "radius_adapted": Shown(
        "Test-time training on refined graphs",
        ("radius_adapted",),
        "Test-time training on graphs whose radius a rule has chosen, and on graphs as they are: force MAE (meV/Å) on"
        " all held-out structures.",
        "radius",
    ),
    "radius_motion": Shown(
        "Dynamics while the radius changes",
        ("radius_motion",),
        "Dynamics without thermostat where the radius is fixed, chosen at every step, or follows the choice smoothly:"
        " the largest drift of a replica, changes of the radius per ps and replica, and jumps of the potential energy"
        " where the radius changes though nothing has moved.",
        "radius",
    ),
    "dynamics": Shown(
        "What became of the simulated molecules",
        ("dynamics_summary", "dynamics_costs"),
        "What became of the simulated molecules: time until a bond was more than 0.5 Å from its mean length or the"
        " energy exploded, mean and range of the replicas; area between h(r) and that of the reference geometries, and"
        " between two halves of the latter; drift of the total energy (NVE); force MAE of what moved the molecule on"
        " its test structures, and what it asked of the prior.",
        "simulate",
    ),
    "roughness": Shown(
        "Roughness of energy surfaces",
        ("roughness",),
        "Energy surfaces along Hessian eigenvectors: root mean square of the energy minus a local cubic, that over the"
        " prior's, forces minus slope of the energy, and differences of whole surfaces; medians over molecules and"
        " seeds, their range when pointed at. Jumps and minima that the prior does not have are counted over all.",
        "simulate",
    ),
    "bonds": Shown(
        "Faults along bonds",
        ("bond_scores",),
        "Bonds that are compressed and stretched: share without any fault, share whose energy has none, share with each"
        " fault; how far one has to climb to a false minimum; and how long the same model, unadapted, kept the"
        " molecules of the dynamics whole with a thermostat, on average.",
        "simulate",
    ),
    "methods": Shown(
        "All methods on the held-out groups, with their costs",
        ("summary", "frontier", "seconds"),
        "All methods on the held-out shift groups: force MAE per structure, averaged over seeds, on the structures that"
        " all of them predict, and cost: CPU time of one core, adaptation and prior calls included (on a GPU, wall"
        " time of the networks).",
    ),
    "groups": Shown(
        "Mean error of every method by group",
        ("summary",),
        "Mean force MAE (meV/Å) by group; intervals when pointed at.",
    ),
    "all": Shown(
        "All groups and methods",
        ("summary",),
        "Force MAE of every method in every group. The validation groups are those on which settings were chosen; they"
        " are no part of the other tables and figures.",
    ),
    "paired": Shown(
        "All paired comparisons",
        ("paired",),
        "Paired comparisons on the same structures: method minus baseline, negative is better.",
    ),
    "variants": Shown(
        "Further adaptations",
        ("variants_paired",),
        "Adaptations of section variants on the held-out shift groups, against their own model and what one could do"
        " instead; negative is better.",
    ),
    "prior_labels": Shown(
        "Reference labels that the prior was fitted to",
        ("prior_labels",),
        "The prior of this run was fitted to reference labels of the molecules themselves, those that are tested among"
        " them: what it says of them is no knowledge without reference calculations. No label is of a test structure.",
        "mitigation",
    ),
    "learning_curves": Shown(
        "Fine-tuning on a few labels",
        ("learning_curves",),
        "Force MAE (meV/Å) on new molecules after fine-tuning, by start and number of labelled structures of them;"
        " means over structures and seeds, intervals and the error on known molecules when pointed at. Which structures"
        " are labelled is drawn anew for every seed, and none of them is tested.",
        "simulate",
    ),
    "labels_needed": Shown(
        "Labels that reach the target",
        ("labels_needed",),
        "Labelled structures at which the mean force MAE is below the target, of the numbers tried; what fine-tuning on"
        " the most of them costs on the molecules that were known; and prior calls, once and per prediction.",
        "simulate",
    ),
    "weights": Shown(
        "Weight of the residual correction, chosen on validation groups",
        ("correction_weights",),
        "Force MAE (meV/Å) of the validation groups, on which alone it may be chosen, by the weight of the residual"
        " correction; ● is that of this run. Intervals when pointed at.",
    ),
    "failed": Shown(
        "All structures that were left out",
        ("failures", "method_failures"),
        "Structures that were left out, or for which a method has no result.",
    ),
    "knowledge": Shown(
        "What each method uses of a test structure", ("frontier",), "What each method uses of a test structure."
    ),
    "durations": Shown(
        "Time and memory of every rule", ("durations",), "Wall time and memory per rule of the workflow."
    ),
}
# of what was read, on both pages
INPUT_REPORT = {
    "census": Shown(
        "Structures and labels of every group",
        ("census",),
        "Structures of every group as the files were read, and the reference labels of those that are used. A"
        " structure without forces has no error; one without an energy has an error all the same.",
    ),
    "left_out": Shown(
        "What was left out, and why",
        ("left_out",),
        "Structures that were left out, by stage and reason; all of them are in tables/failures.csv.",
    ),
    "duplicates": Shown(
        "Structures that occur more than once",
        ("duplicate_counts",),
        "Structures that occur more than once: same elements, charge, multiplicity and geometry, up to"
        " rotation, reflection, order of the atoms and rounding. Errors on them are errors on known structures.",
    ),
    "label_check": Shown(
        "Reference labels against those of GFN-xTB",
        ("label_check",),
        "Reference labels against those of GFN-xTB on the same structures: medians over structures for"
        " forces, differences between geometries of a molecule for energies. A wrong sign or unit shows"
        " itself in either.",
    ),
}
# of the page of a diagnosis
DIAGNOSIS_REPORT = {
    "outside": Shown(
        "All measures, by group",
        ("shift_summary",),
        "Share of structures outside the training distribution, further than {sigma} training standard"
        " deviations from the training mean, beside that of the training structures themselves.",
    ),
    "sweep": Shown(
        "How the shares depend on the limit",
        ("shift_sweep",),
        "How that share depends on the limit: structures further than {sigmas} training standard deviations from"
        " the training mean.",
    ),
    "side_by_side": Shown(
        "Errors of all models, by group",
        (),
        "Force MAE in meV/Å, mean over the structures of a group (their number in brackets), which differ"
        " where a model excludes some.",
    ),
    "axes": Shown(
        "Errors inside and outside, by measure",
        ("axes",),
        "Force MAE of the test structures inside and outside the training distribution, judged by each measure."
        " Square brackets: {interval}. Chemical accuracy is {accuracy} meV/Å.",
    ),
    "ranks": Shown(
        "Which measure predicts the error",
        ("ranks",),
        "How well each measure predicts the force MAE, used as it would be, the best one first: Spearman rank"
        " correlation, and area under the curve (AUROC) for finding the worst tenth of the errors, where 0.5 is a guess"
        " and 1 finds all. Whether larger or smaller values of a measure, or those far from the training mean, are a"
        " sign of error is what the validation groups say, which are then not among the structures here.",
    ),
    "groups": Shown(
        "Connectivity and error of every group",
        ("groups",),
        "Datasets: fraction of the Laplacian's eigenvalues in [0.9, 1.1] (mean ± standard deviation), share of"
        " structures outside the training distribution by it, and force MAE.",
    ),
}

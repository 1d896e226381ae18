"""The figures, in the order of the report: title, section, tables, caption.

A new figure is one entry here and one module mlipshift.show.figures.NAME; rules, report and tests follow. The drawing
gives the numbers of a caption, the template the words, so that no other word redraws a figure.
"""

from collections.abc import Mapping
from typing import Any

from mlipshift.catalogue.figure import ACCURACY, Figure
from mlipshift.catalogue.motion import MOTION
from mlipshift.catalogue.rewired import REWIRED

# of a diagnosis, which says what it resampled
INTERVAL_OF = "95 % bootstrap interval over {resampled}[[alone:, too narrow since all are geometries of one molecule]]"

SECTIONS = {
    "shift": "Understanding the shift",
    "mitigation": "Mitigation",
    "cost": "Cost",
    "radius": "Spectral rewiring",
    "simulate": "Molecules in motion",
    "ablations": "Ablations",
}

_BINNED = (
    "Force MAE of test structures ({scope}), binned by EXPLAINED.[[number: (a)]] Points, dodged for clarity: mean over"
    " structures and seeds, at the mean of the axis over the structures of a bin; bars: {interval}[[bare:, none for a"
    " single structure]]; {per_bin}. In all: {sample}.[[number: (b) The {number} structures whose"
    " error TTT lowers most, chosen by the errors shown and so no estimate of what TTT does; {few}.]] Grey: normalised"
    f" density of the training structures. {ACCURACY}"
)
_FIGURES = (
    Figure(
        "fig_shift_axes",
        "Force error in and out of the training distribution",
        "shift",
        ("shift_axes", "summary"),
        "Force MAE of structures like the training set (open) and of the held-out shift groups (filled), per axis of"
        f" the shift. Mean over structures and seeds; bars: {{interval}}. {{samples}} {ACCURACY}",
    ),
    Figure(
        "fig_force_norm",
        "Force error by force norm, before and after test-time training (TTT)",
        "shift",
        ("bins", "training_density", "summary"),
        _BINNED.replace("EXPLAINED", "the mean over atoms of the norm of the reference force"),
    ),
    Figure(
        "fig_connectivity",
        "Force error by connectivity, before and after test-time training (TTT)",
        "shift",
        ("bins", "training_density", "summary"),
        _BINNED.replace("EXPLAINED", "the fraction of the eigenvalues of the normalised graph Laplacian in [0.9, 1.1]"),
    ),
    Figure(
        "fig_error_bins",
        "Structures per error bin before and after test-time training",
        "mitigation",
        ("error_bins", "summary"),
        "Number of structures of all held-out shift groups per bin of the force MAE, before (open) and after (filled)"
        " test-time training[[instead:, and of {instead} (pale)]]; numbers: change by TTT. Bins without a structure"
        " are left out. Counts are means over seeds. In all {sample}. Structures below {limit} meV/Å: {below}.",
    ),
    Figure(
        "fig_ttt_steps",
        "Force error during test-time training (TTT)",
        "mitigation",
        ("steps", "summary"),
        "Force MAE against the number of TTT steps. Lines: mean over structures and seeds; bands: {interval}."
        "[[instead: Dash-dotted: {instead}, of as many prior calls.]] {samples}"
        f" {ACCURACY}",
    ),
    Figure(
        "fig_prior_gain",
        "Error of the prior and what test-time training makes of it",
        "mitigation",
        ("gains", "gain_correlation", "summary"),
        "Every point is a structure, seeds averaged. (a) Force MAE of the Joint model minus that after TTT, against the"
        " force MAE of the prior that TTT learns from; rank correlation of the gain {correlations} (95 % bootstrap"
        " interval over molecules[[alone:, here over the structures of one molecule alone, and too narrow]]). (b)"
        " Force MAE after TTT; below the line TTT is better than its prior, as for {better} % of the structures."
        "[[others: Further panels: force MAE of what makes as many prior calls; {others}.]] {sample}."
        "[[beyond: Open at the edge: {beyond} errors beyond the axes.]]"
        f" {ACCURACY}",
    ),
    Figure(
        "fig_conformers",
        "Other geometries of a molecule, without a prior call for them",
        "cost",
        ("conformers",),
        "Force MAE on geometries of held-out molecules that were not adapted on, against the number of geometries"
        " that were (with their rattled copies; prior calls per molecule by number of geometries: {spent}). (a) Mean"
        " over structures and seeds; dash-dotted: methods on the same structures, not adapted. (b) Paired difference"
        f" to the same model before adaptation. Bars: {{interval}}; {{sample}}. {ACCURACY}",
    ),
    Figure(
        "fig_frontier",
        "Accuracy and cost of every method",
        "cost",
        ("frontier", "seconds", "summary"),
        "Force MAE over all held-out shift groups against the cost of a prediction: (a) prior calls per structure"
        " (methods with equal numbers side by side, best first), (b) CPU seconds of one core per structure, adaptation"
        " and prior calls included.[[gpu: Networks ran on a GPU, and it is wall time, of: {gpu}.]] Mean over structures"
        " and seeds; bars: {interval}; {sample}. Grey line: lowest mean"
        f" error at this cost or less. {ACCURACY}[[aside: Not drawn: {{aside}}.]]"
        "[[missing: Not in (b), as no time was measured: {missing}.]]",
    ),
    Figure(
        "fig_variants",
        "Ways to adapt a model to test structures",
        "mitigation",
        ("variants_paired",),
        "Adaptations of section variants, best last. (a) Mean force MAE of the model before and after its adaptation;"
        " dash-dotted: what one could use instead. Colours: the model that is adapted. (b) Paired difference to the"
        f" model before adaptation, mean over structures and seeds with the {{interval}}; {{sample}}. {ACCURACY}",
        on_demand="variants",
    ),
    Figure(
        "fig_ablations",
        "Quality of the prior, amount of reference data",
        "ablations",
        ("ablations",),
        "Every row is pre-trained, fine-tuned and adapted anew with its prior and its share of the reference labels."
        " (a) Mean force MAE; (b) how much TTT lowers it, mean over structures and seeds with the {interval};"
        f" {{sample}}. Noise is Gaussian, in standard deviations of the prior forces. {ACCURACY}",
        on_demand="ablations",
    ),
    Figure(
        "fig_prior_bins",
        "Structures per error bin before and after TTT, by prior",
        "ablations",
        ("ablation_bins", "ablations"),
        "Number of structures of all held-out shift groups per bin of the force MAE of the Joint model, before (open)"
        " and after (filled) test-time training on each prior, with which the model was pre-trained as"
        " well[[instead:, and of {instead} (pale)]]; numbers: change by TTT. Bins without a structure are left out."
        " Counts are means over seeds. In all {sample}. Structures below 25 meV/Å: {below}.",
        on_demand="ablations",
    ),
)
FIGURES = {figure.name: figure for figure in _FIGURES}
ASKED = REWIRED | MOTION  # where a setting asks for them

# of a diagnosed model, and of the measures of shift themselves; drawn where the tables allow it
_DIAGNOSIS = (
    Figure(
        "fig_error_axes",
        "Force error along the axes of the shift",
        "diagnosis",
        ("bins", "axes"),
        "Force MAE of the model “{model}” on {n_errors} test structures, binned along one criterion per axis of the"
        f" shift. Points: mean over the structures of a bin; bars: {INTERVAL_OF}; open: fewer than {{enough}}"
        " {resampled}. {sizes}.[[n_train: Grey: density of the {n_train} training structures. Ratio: mean error of the"
        f" structures outside over that of those inside the training distribution by this criterion.]] {ACCURACY}"
        "[[same: Not drawn, since all these structures are the same there: {same}.]]",
    ),
    Figure(
        "fig_rank_correlations",
        "Which measure predicts the error",
        "diagnosis",
        ("ranks",),
        "Spearman rank correlation between the force MAE of the model “{model}” and every measure of shift, best first;"
        " AUROC: how well it finds the tenth of the structures with the largest errors (dashed: a guess)."
        "[[n_validation: Whether large or small values, or those far from the training mean, are a sign of error was"
        " chosen on {n_validation} validation structures, which are not among the others.]][[unknown: No validation"
        " group says which sign to expect: measures are taken as they are.]] n = {n_structures} test structures of"
        f" {{molecules}}; bars: {INTERVAL_OF}.[[constant: Not shown: {{constant}} that are the same for all"
        " structures.]]",
    ),
    Figure(
        "fig_embedding",
        "Structures as the model represents them",
        "diagnosis",
        ("embedding", "errors"),
        "Structures in the representation of the model “{model}”, one vector per structure, reduced by principal"
        " component analysis of all together. n = [[n_train:{n_train} training (grey) and ]]{n_test} test"
        " structures.[[n_errors: (b) coloured by the force MAE of {n_errors} of them, which has no part in the map.]]"
        "[[most: At most {most} points of a set are drawn.]]",
    ),
    Figure(
        "fig_criteria",
        "Measures of shift, training set and groups",
        "diagnosis",
        ("shifts",),
        "Distribution of every measure of shift in each group of structures: median (point), middle half (bar), 5 % to"
        " 95 % (line).[[sigma: Band: training mean ± {sigma} standard deviations.]] Colours: axes of the shift."
        " Structures: {sizes}.[[same: Not drawn, since they are the same for all structures:"
        " {same}.]]",
    ),
)
DIAGNOSIS = {figure.name: figure for figure in _DIAGNOSIS}

# of the help for models, drawn with the titles of these
_HELP = (
    Figure(
        "fig_help_models",
        "Which model is good where",
        "help",
        ("groups",),
        "Force MAE (meV/Å) of the models as they are and of the prior, mean over the structures of a held-out group"
        " that the model takes; the best of a group in bold, white where it takes none. n = {sizes}.",
    ),
    Figure(
        "fig_help_groups",
        "What helps a model that is as it is",
        "help",
        ("groups",),
        "Force MAE per held-out group of the model, of what helps it and of the prior; no label of these structures is"
        " used. Mean over structures; bars: {interval}.",
    ),
    Figure(
        "fig_help_signs",
        "Which sign tells that a model is outside",
        "help",
        ("signs",),
        "How well each sign finds the tenth of the held-out structures with the largest errors of its model: area"
        " under the receiver operating characteristic (dashed: a guess); bars: {interval}. Filled: the sign that the"
        " validation groups recommend.",
    ),
    Figure(
        "fig_help_kept",
        "What is left when the doubtful structures are left out",
        "help",
        ("kept",),
        "Mean force MAE of the held-out structures that are kept, over that of all, when those with the largest values"
        " of the recommended sign are left out (points; band: {interval}), and when the largest errors themselves are,"
        " which nobody knows (dashed). On the line at 1 the sign is worth no more than chance. n = {sizes}.",
    ),
    Figure(
        "fig_help_payoff",
        "When does help pay?",
        "help",
        ("payoff",),
        "Error after over error before, of held-out structures of all models, against (a) the error before over that"
        " of the prior, and (b) the same ratio as it is expected without a label. Points: structures; line: median of"
        " equally full bins; below 1 the help improves. The error before is part of both axes of (a): some slope"
        " there is no effect.[[beyond: {beyond} points lie beyond the axes.]] n = {n_points}"
        " pairs of {n_structures} structures and {n_models} models.[[runs: Other runs of this workflow: {runs}.]]",
    ),
)
HELP = {figure.name: figure for figure in _HELP}
# of structures of one's own and one model
RESCUED = Figure(
    "fig_rescued",
    "What error to expect",
    "help",
    ("rescued",),
    "Expected error of the rescued forces against that of {name} alone, without a label; coloured by the"
    " estimate of the largest weight. Dashed: {outside} times the expected error on ordinary molecules, beyond which a"
    " structure counts as outside. n = {n} structures.[[missing: Not drawn, for want of a result of the model or of the"
    " prior: {missing}.]]",
)


def reported(section: str | None = None, config: Mapping[str, Any] | None = None) -> dict[str, Figure]:
    """{name: Figure} of the report of a run with the settings `config`, or of one section of it."""
    known = (FIGURES | ASKED).values()
    return {f.name: f for f in known if f.wanted(config or {}) and section in (None, f.section)}


def on_demand(target: str) -> dict[str, Figure]:
    """{name: Figure} that a target draws."""
    return {figure.name: figure for figure in _FIGURES if figure.on_demand == target}

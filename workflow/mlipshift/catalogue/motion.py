"""The figures of molecules in motion: dynamics, energy surfaces, fine-tuning; each where its settings ask for it."""

from mlipshift.catalogue.figure import ACCURACY, Figure

_MOTION: tuple[Figure, ...] = (
    Figure(
        "fig_learning_curves",
        "Force error against the number of labelled structures of a new molecule",
        "simulate",
        ("learning_curves", "labels_needed", "published"),
        "Force MAE after fine-tuning on some labelled structures, which are none of those tested; dashed, open: with"
        " replay of training structures. Panels: new molecules, and the known ones ({known}), where a rise is"
        " forgetting. Mean over structures and seeds, each of which draws other structures to label; bars: {interval};"
        " {sample}. How long each learns is chosen on the labelled structures alone. Dash-dotted: {target} meV/Å, the"
        " error in distribution of the paper.[[published: Stars: numbers of structures it needed for that, {published},"
        " without and with TTT, of molecules it does not name.]]"
        f" {ACCURACY}",
        setting="finetuning.groups",
    ),
)
MOTION = {figure.name: figure for figure in _MOTION}

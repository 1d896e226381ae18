"""The figures of a diagnosis: pure functions from tables to a matplotlib figure and its caption.

House style and helpers are those of plotting.py. A colour is an axis of the shift, or a group of structures.
"""

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mlipshift.base.text import count, listed
from mlipshift.catalogue.names import CRITERIA, GROUPS, group, ordered
from mlipshift.shift import measures
from mlipshift.show.plotting import (
    ACCURACY,
    INK,
    MEAN,
    MUTED,
    PALE,
    _accuracy,
    _accuracy_handle,
    _behind,
    _canvas,
    _extent,
    _head,
    _interval,
    _legend,
    _note,
    _scale,
    _span,
    styled,
)

AXIS_NAMES = {
    "features": "Atomic features",
    "force_norm": "Force norm",
    "connectivity": "Connectivity",
    "representation": "Representation",
}
AXIS_COLOURS = {
    "features": "#009E73",
    "force_norm": "#D55E00",
    "connectivity": "#0072B2",
    "representation": "#CC79A7",
}
NAMES = CRITERIA | {
    "spectrum_padded_nearest": "Spectral distance to the nearest training structure, zero-padded",
    "reference_force_norm_eV_per_A": "Mean norm of the reference forces",
    "predicted_force_norm_eV_per_A": "Mean norm of the predicted forces",
    "embedding_distance": "Distance to the nearest training structure in the representation",
}
SHORT = NAMES | {
    "spectrum_padded_nearest": "Nearest spectrum, zero-padded",
    "unseen_element_fraction": "Atoms of unseen elements",
    "reference_force_norm_eV_per_A": "Reference force norm",
    "prior_force_norm_eV_per_A": "Prior force norm",
    "predicted_force_norm_eV_per_A": "Predicted force norm",
    "spectrum_padded_distance": "Spectrum, zero-padded",
    "spectrum_wasserstein": "Spectrum, Wasserstein",
    "spectrum_wasserstein_nearest": "Nearest spectrum, Wasserstein",
    "embedding_distance": "Nearest training structure, representation",
}
# the criterion that stands for an axis: the first one in which the test structures differ
SHOWN = {
    "features": ("composition_distance", "unseen_element_fraction", "n_atoms"),
    "force_norm": (
        "reference_force_norm_eV_per_A",
        "prior_force_norm_eV_per_A",
        "predicted_force_norm_eV_per_A",
    ),
    "connectivity": ("window_fraction", "spectrum_wasserstein"),
}
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#999933")
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "<")
MOST = 5000  # points of a map per set; beyond it every n-th structure is drawn
ENOUGH = 5  # molecules of a bin (structures, where all are of one), below which no interval of resampled ones is drawn


def interval_of(resampled):
    """What the intervals of a diagnosis are; resampled: "molecules", or "structures" of one molecule alone."""
    text = f"95 % bootstrap interval over {resampled}"
    return text if resampled == "molecules" else f"{text}, too narrow since all are geometries of one molecule"


def short(criterion):
    """Display name of a criterion for a tick label, with its unit."""
    return SHORT.get(criterion, criterion) + (" (eV/Å)" if criterion.endswith("eV_per_A") else "")


def label(criterion):
    """Display name of a criterion for an axis, with its unit."""
    unit = " (eV/Å)" if criterion.endswith("eV_per_A") else ""
    return NAMES.get(criterion, criterion) + unit


def chosen(table):
    """{axis: criterion} that stands for each axis in a table of bins, without axes on which there is one bin alone."""
    filled = table[table.n_structures > 0].groupby("criterion").size()
    known = set(filled[filled > 1].index)
    found = {axis: next((c for c in names if c in known), None) for axis, names in SHOWN.items()}
    return {axis: c for axis, c in found.items() if c}


def looks(groups):
    """{group: keywords of a marker} in the order of naming.GROUPS; a validation group is that of its shift, open."""
    shifts = list(dict.fromkeys(g.removeprefix("val_").removeprefix("ood_") for g in ordered(groups, GROUPS)))
    style = {}
    for g in ordered(groups, GROUPS):
        k = shifts.index(g.removeprefix("val_").removeprefix("ood_"))
        colour, opened = PALETTE[k % len(PALETTE)], g.startswith("val_")
        style[g] = {
            "marker": MARKERS[k % len(MARKERS)],
            "facecolor": "white" if opened else colour,
            "edgecolor": colour if opened else "white",
            "linewidth": 0.9 if opened else 0.3,
        }
    return style


@styled
def error_axes(tables, summary, title):
    """Force MAE binned along the three axes over the training density, and the mean inside and outside."""
    bins = tables["bins"]
    shown = chosen(bins)
    figure, panels = _canvas(3.1, 1, len(shown), left=0.62, right=0.3, top=0.78, bottom=0.85, wspace=0.42, sharey=True)
    used = bins[bins.criterion.isin(shown.values())]
    for k, (panel, (axis, criterion)) in enumerate(zip(panels[0], shown.items())):
        part = used[used.criterion == criterion]
        _behind(panel, part.rename(columns={"training_density": "density"}), "")
        panel.figure.axes[-1].set_yticks([])
        panel.figure.axes[-1].spines["right"].set_visible(False)
        points = part[part.n_structures > 0]
        colour = AXIS_COLOURS[axis]
        centre = (points.bin_left + points.bin_right) / 2
        panel.plot(centre, points[MEAN], color=colour, lw=0.9, alpha=0.55)
        for at, row in zip(centre, points.to_dict("records")):
            if row["n_resampled"] < ENOUGH:
                panel.plot(at, row[MEAN], "o", ms=4.3, mfc="white", mec=colour, mew=1.1)
                continue
            style = {"fmt": "o", "color": colour, "elinewidth": 1.1, "mec": "white", "mew": 0.5, "ms": 5.6}
            panel.errorbar(at, row[MEAN], yerr=_interval(row), **style)
        panel.set_xlim(part.bin_left.min(), part.bin_right.max())
        panel.set_xticks(sorted({*part.bin_left, *part.bin_right}), minor=True)
        panel.tick_params(axis="x", which="minor", length=3, color=MUTED, direction="in")
        panel.xaxis.set_major_locator(MaxNLocator(5))
        panel.set_xlabel(label(criterion))
        panel.set_title(f"{'abc'[k]}  {AXIS_NAMES[axis]}", pad=13)
        row = tables["axes"].set_index("criterion").loc[criterion]
        if np.isfinite(row.ratio):
            _note(panel, f"outside / inside: {row.ratio:.1f} times")
        _accuracy(panel)
    intervals = _extent(used[used.n_resampled >= ENOUGH])
    drawn = np.concatenate([used[MEAN].to_numpy(dtype=float), intervals.ravel()])
    panels[0, 0].set_ylabel(_scale(panels[0, 0], "y", drawn, "Force MAE (meV/Å)"))
    _head(
        figure,
        "Force error along the axes of the shift",
        f"{title}; n = {count(summary['n_errors'])} test structures over the density of"
        f" {count(summary['n_train'])} training structures",
    )
    dot = {"color": MUTED, "marker": "o", "lw": 0.9}
    handles = [
        Line2D([], [], mec="white", ms=5.6, label="Mean of a bin, 95 % interval", **dot),
        Line2D([], [], mfc="white", ms=4.3, label=f"Fewer than {ENOUGH} {summary['resampled']}", **dot),
        Patch(color=PALE, label="Training structures"),
        _accuracy_handle(),
    ]
    _legend(figure, handles, 0.24, 4)
    sizes = ". ".join(
        f"({'abc'[k]}) {label(c)}: {_span(used[(used.criterion == c) & (used.n_structures > 0)].n_structures)}"
        " structures per bin"
        for k, c in enumerate(shown.values())
    )
    caption = (
        f"Force MAE of the model “{title}” on {count(summary['n_errors'])} test structures, binned along"
        " one criterion per axis of the shift. Points: mean over the structures of a bin; bars:"
        f" {interval_of(summary['resampled'])}; open: fewer than {ENOUGH} {summary['resampled']}. {sizes}."
        f" Grey: density of the {count(summary['n_train'])} training structures. Ratio: mean error of the structures"
        f" outside over that of those inside the training distribution by this criterion. {ACCURACY}"
    )
    same = [AXIS_NAMES[axis] for axis in SHOWN if axis not in shown]
    if same:
        caption += f" Not drawn, since all these structures are the same there: {listed(same).lower()}."
    return figure, caption


@styled
def rank_correlations(tables, summary, title):
    """Spearman rank correlation of the error with every criterion, best first."""
    table = tables["ranks"].dropna(subset=["spearman"])
    height = 1.15 + 0.23 * len(table)
    figure, panels = _canvas(height, 1, 1, left=2.75, right=0.55, top=0.55, bottom=0.6)
    panel = panels[0, 0]
    low = min(0.0, np.nanmin(table[["spearman", "ci_low"]]))
    high = max(0.0, np.nanmax(table[["spearman", "ci_high"]]))
    for y, row in enumerate(table.iloc[::-1].to_dict("records")):
        colour = AXIS_COLOURS[row["axis"]]
        fill = "white" if row["needs_labels"] else colour
        panel.barh(y, row["spearman"], height=0.62, color=fill, edgecolor=colour, lw=1, alpha=0.85)
        if np.isfinite(row["ci_low"]):
            panel.plot([row["ci_low"], row["ci_high"]], [y, y], color=INK, lw=1)
        panel.text(
            1.01,
            y,
            f"{row['spearman']:+.2f}".replace("-", "−"),
            va="center",
            transform=panel.get_yaxis_transform(),
            size=7,
            color=MUTED,
        )
    panel.axvline(0, color=MUTED, lw=0.6)
    panel.set_xlim(max(low - 0.05, -1), min(high + 0.05, 1))
    panel.set_yticks(range(len(table)), [short(c) for c in table.criterion[::-1]])
    panel.tick_params(axis="y", length=0)
    panel.set_xlabel("Spearman rank correlation with the force MAE")
    best = short(table.criterion.iloc[0])
    _head(figure, "Which measure predicts the error", f"{title}; first: {best}")
    axes = [a for a in AXIS_NAMES if a in set(table.axis)]
    handles = [Patch(color=AXIS_COLOURS[a], label=AXIS_NAMES[a]) for a in axes]
    handles.append(Line2D([], [], color=INK, lw=1, label="95 % interval"))
    if table.needs_labels.any():
        handles.append(Patch(fc="white", ec=MUTED, label="Needs reference labels"))
    _legend(figure, handles, 0.2, len(handles))
    constant = len(tables["ranks"]) - len(table)
    caption = (
        f"Spearman rank correlation between the force MAE of the model “{title}” and every measure of shift"
        " (distance from the training mean where both sides are a shift), best first."
        f" n = {_span(table.n_structures)} test structures of {_span(table.n_molecules)}"
        f" {'molecule' if table.n_molecules.max() == 1 else 'molecules'}; bars: {interval_of(summary['resampled'])}."
    )
    if constant:
        caption += f" Not shown: {constant} that are the same for all structures."
    return figure, caption


def _thinned(table):
    return table.iloc[:: -(-len(table) // MOST) or 1]


def _shared(table, column):
    """Limits of a component over all structures with a margin of 4 %."""
    low, high = table[column].min(), table[column].max()
    return low - 0.04 * (high - low), high + 0.04 * (high - low)


@styled
def embedding_map(tables, summary, title):
    """Training and test structures in the model's own representation, by group and by error."""
    table = tables["embedding"].dropna(subset=["component_1"])
    joined = table.merge(tables["errors"][["id", "force_mae_meV_per_A"]], on="id")
    train, test = (joined[joined.group == "train"], joined[joined.group != "train"])
    labelled = test[test.force_mae_meV_per_A > 0]
    drawn = 2 if len(labelled) else 1
    style = looks(test.group)
    size = 15 * min(1, max(0.3, 400 / max(len(train), len(test), 1)))
    rows = -(-(len(style) + 1) // 5)
    height = 3.55 + 0.16 * rows
    right = 0.95 if drawn == 2 else 3.2
    margins = {"left": 0.62, "right": right, "top": 0.72, "bottom": 0.65 + 0.16 * rows, "wspace": 0.2}
    figure, panels = _canvas(height, 1, drawn, **margins, sharex=True, sharey=True)
    for panel in panels[0]:
        some = _thinned(train)
        panel.scatter(some.component_1, some.component_2, s=0.6 * size, color="#C4C4C4", lw=0, zorder=1)
        panel.set_xlim(_shared(table, "component_1"))
        panel.set_ylim(_shared(table, "component_2"))
        panel.set_xlabel(f"Component 1 ({100 * summary['explained_variance'][0]:.0f} % of the variance)")
    panels[0, 0].set_ylabel(f"Component 2 ({100 * summary['explained_variance'][1]:.0f} %)")
    for key, marks in style.items():
        part = _thinned(test[test.group == key])
        panels[0, 0].scatter(part.component_1, part.component_2, s=size, zorder=2, **marks)
    panels[0, 0].set_title("a  By group" if drawn == 2 else "By group", pad=4)
    if drawn == 2:
        # in no order, so that neither large nor small errors lie on top
        part = _thinned(labelled).sample(frac=1, random_state=0)
        low, high = np.quantile(labelled.force_mae_meV_per_A, [0.02, 0.98])
        points = panels[0, 1].scatter(
            part.component_1,
            part.component_2,
            c=part.force_mae_meV_per_A,
            norm=LogNorm(low, max(high, low * 1.01)),
            cmap="viridis_r",
            s=size,
            lw=0.3,
            ec="white",
            zorder=2,
        )
        panels[0, 1].set_title("b  By error", pad=4)
        box = panels[0, 1].get_position()
        bar = figure.colorbar(points, cax=figure.add_axes((box.x1 + 0.015, box.y0, 0.016, box.height)))
        bar.set_label("Force MAE (meV/Å), log scale")
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        bar.ax.yaxis.set_minor_formatter(FuncFormatter(lambda v, _: f"{v:g}" if str(v)[0] in "25" else ""))
        bar.outline.set_visible(False)
    _head(
        figure,
        "Structures as the model represents them",
        f"{title}; n = {count(len(train))} training and {count(len(test))} test structures",
    )
    handles = [Line2D([], [], ls="none", marker="o", ms=4, color="#C4C4C4", label="Training")]
    for g, marks in style.items():
        face, edge, width = (marks[key] for key in ("facecolor", "edgecolor", "linewidth"))
        point = {"ls": "none", "ms": 4.5, "mfc": face, "mec": edge, "mew": width}
        handles.append(Line2D([], [], marker=marks["marker"], label=group(g), **point))
    _legend(figure, handles, 0.08 + 0.16 * rows, 5)
    caption = (
        f"Training (grey) and test structures in the representation of the model “{title}”, one vector per"
        " structure, reduced by principal component analysis of both together."
        f" n = {count(len(train))} training and {count(len(test))} test structures."
    )
    if drawn == 2:
        caption += f" (b) coloured by the force MAE of {count(len(labelled))} of them, which has no part in the map."
    if max(len(train), len(test)) > MOST:
        caption += f" At most {MOST} points of a set are drawn."
    return figure, caption


@styled
def criteria(tables, sigma):
    """Distribution of every criterion in the training set and in each group."""
    table = tables["shifts"]
    measured = [c for c in measures.CRITERIA if c in table.columns and table[c].notna().any()]
    names = [c for c in measured if table[c].nunique() > 1] or measured
    groups = ["train", *(g for g in ordered(table.group, GROUPS) if g != "train")]
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    each = 0.3 + 0.145 * len(groups)
    height = 0.75 + rows * each + (rows - 1) * 0.5 + 0.65
    margins = {"left": 1.5, "right": 0.15, "top": 0.75, "bottom": 0.65, "wspace": 0.3, "hspace": 0.5}
    figure, panels = _canvas(height, rows, columns, **margins, sharey=True)
    for panel, name in zip(panels.flat, names):
        known = table[table.group == "train"][name].dropna()
        middle, spread = known.mean(), known.std(ddof=0)
        panel.axvspan(middle - sigma * spread, middle + sigma * spread, color=PALE, alpha=0.6, lw=0)
        for y, key in enumerate(reversed(groups)):
            values = table[table.group == key][name].dropna()
            if not len(values):
                continue
            colour = MUTED if key == "train" else AXIS_COLOURS[measures.CRITERIA[name][0]]
            low, first, median, third, high = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
            panel.plot([low, high], [y, y], color=colour, lw=0.8)
            panel.plot([first, third], [y, y], color=colour, lw=4, alpha=0.55, solid_capstyle="butt")
            panel.plot(median, y, "o", ms=3.6, color=colour, mec="white", mew=0.4)
        panel.set_title(short(name), pad=4, size=7.2)
        panel.xaxis.set_major_locator(MaxNLocator(3))
        panel.set_yticks(range(len(groups)), [group(g) for g in reversed(groups)])
        panel.set_ylim(-0.6, len(groups) - 0.4)
        panel.tick_params(axis="y", length=0)
    for panel in panels.flat[len(names) :]:
        panel.set_visible(False)
    sizes = table.groupby("group").id.size()
    tested = count(len(table) - sizes["train"])
    _head(
        figure,
        "Measures of shift, training set and groups",
        f"n = {count(sizes['train'])} training and {tested} test structures",
    )
    handles = [
        Line2D([], [], color=MUTED, marker="o", ms=3.6, lw=0, label="Median"),
        Line2D([], [], color=MUTED, lw=4, alpha=0.55, label="Middle half"),
        Line2D([], [], color=MUTED, lw=0.8, label="5 % to 95 %"),
        Patch(color=PALE, label=f"Within {sigma:g} σ of the training mean"),
    ]
    _legend(figure, handles, 0.22, 4)
    numbers = "; ".join(f"{group(g)} {count(sizes[g])}" for g in groups)
    caption = (
        "Distribution of every measure of shift in the training set and in each group of test structures: median"
        f" (point), middle half (bar), 5 % to 95 % (line). Band: training mean ± {sigma:g} standard deviations."
        f" Colours: axes of the shift. Structures: {numbers}."
    )
    if len(names) < len(measured):
        same = listed(short(c).lower() for c in measured if c not in names)
        caption += f" Not drawn, since they are the same for all structures: {same}."
    return figure, caption


def of_model(tables, summary, title):
    """{name: (Figure, caption)} of what the tables of a model allow: without labels, no figure of errors."""
    found = {}
    if chosen(tables["bins"]):
        found["fig_error_axes"] = error_axes(tables, summary, title)
    if tables["ranks"].spearman.notna().any():
        found["fig_rank_correlations"] = rank_correlations(tables, summary, title)
    if len(tables["embedding"]):
        found["fig_embedding"] = embedding_map(tables, summary, title)
    return found

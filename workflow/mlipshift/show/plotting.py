"""The figures: pure functions from tables to a matplotlib figure and its caption.

One house style: the same method has the same colour and marker in every figure (Okabe-Ito palette,
which stays distinguishable for colour-blind readers), 95 % intervals are drawn, and every number in a
caption is read from the tables. Widths are in inches for a journal page of 178 mm.
"""

from functools import wraps

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from mlipshift.base.errors import UserError
from mlipshift.base.tables import read_table
from mlipshift.base.text import count, listed, several
from mlipshift.catalogue.names import AXES, GROUPS, METHODS, group, method, ordered, scheme, shift
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY

WIDTH = 7.0
INK, MUTED, PALE = "#222222", "#6B6B6B", "#DCDCDC"
RC = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same bytes on every machine
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 7.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.5,
    "svg.fonttype": "path",
    "svg.hashsalt": "mlipshift",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}
# colour, marker, filled: hue says the training, an open marker says no adaptation or a control
STYLE = {
    "zero": ("#8C8C8C", "x", True),
    "prior": ("#222222", "s", True),
    "supervised": ("#D55E00", "o", True),
    "supervised_rr": ("#D55E00", "<", False),
    "supervised_rr_fallback": ("#D55E00", ">", False),
    "freeze": ("#CC79A7", "D", False),
    "freeze_ttt": ("#CC79A7", "D", True),
    "joint": ("#0072B2", "^", False),
    "joint_rr": ("#56B4E9", "<", False),
    "joint_rr_fallback": ("#56B4E9", ">", False),
    "joint_ttt": ("#0072B2", "^", True),
    "joint_placebo": ("#E69F00", "X", True),
    "delta": ("#009E73", "P", True),
    "probe": ("#D55E00", "h", False),
    "delta_joint": ("#009E73", "p", False),
    "joint_broad": ("#0072B2", "d", False),
    "joint_transductive": ("#0072B2", "*", False),
}
SCHEMES = (("#0072B2", "^"), ("#CC79A7", "D"), ("#E69F00", "v"), ("#009E73", "P"), ("#D55E00", "s"), ("#56B4E9", "o"))
INTERVAL = "95 % bootstrap interval over molecules (over structures where there is one molecule alone)"
ACCURACY = f"Dashed line: chemical accuracy, {CHEMICAL_ACCURACY} meV/Å (1 kcal/mol/Å)."
MEAN, LOW, HIGH = "mean_meV_per_A", "ci_low_meV_per_A", "ci_high_meV_per_A"
COMPARED = ("prior", "supervised", "joint", "joint_ttt", "delta")
TOP = "top10_joint_ttt"  # subset of the b panels
BEFORE = {"joint_ttt": "joint", "joint_placebo": "joint", "freeze_ttt": "freeze"}


def styled(draw):
    """Run a drawing function under the house style."""

    @wraps(draw)
    def inner(*args, **keywords):
        with mpl.rc_context(RC):
            return draw(*args, **keywords)

    return inner


def save(figure, path):
    """Write SVG or PNG by suffix; equal figures give equal bytes."""
    plain = {"Date": None} if path.suffix == ".svg" else {"Software": None}
    with mpl.rc_context(RC):
        figure.savefig(path, metadata=plain, dpi=300)


def look(key):
    """(colour, marker, filled) of a method; grey circles for an unknown one."""
    return STYLE.get(key, (MUTED, "o", False))


def _marks(key):
    colour, marker, filled = look(key)
    line = not filled or marker == "x"  # drawn by its edge; a filled marker has a white edge against overlap
    return {
        "color": colour,
        "marker": marker,
        "markerfacecolor": colour if filled else "white",
        "markeredgecolor": colour if line else "white",
        "markeredgewidth": 1.1 if line else 0.5,
        "markersize": 4.3 if line else 5.6,
    }


def _canvas(height, rows, columns, left, right, top, bottom, wspace=0.5, hspace=0.6, **share):
    """Figure with margins and gaps in inches, and its axes [rows, columns]."""
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.subplots(rows, columns, squeeze=False, **share)
    each = (
        (WIDTH - left - right - (columns - 1) * wspace) / columns,
        (height - top - bottom - (rows - 1) * hspace) / rows,
    )
    figure.subplots_adjust(
        left=left / WIDTH,
        right=1 - right / WIDTH,
        top=1 - top / height,
        bottom=bottom / height,
        wspace=wspace / each[0],
        hspace=hspace / each[1],
    )
    return figure, axes


def _head(figure, title, subtitle):
    height = figure.get_figheight()
    figure.text(0.08 / WIDTH, 1 - 0.08 / height, title, va="top", size=9.5, weight="bold")
    figure.text(0.08 / WIDTH, 1 - 0.27 / height, subtitle, va="top", size=7.5, color=MUTED)


def _legend(figure, handles, y, columns, x=0.08):
    """Legend at `y` inches from the bottom of the figure (upper edge), outside the axes."""
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(x / WIDTH, y / figure.get_figheight()),
        ncols=columns,
        handlelength=1.6,
        columnspacing=1.4,
        borderaxespad=0,
        labelspacing=0.35,
    )


def _handle(key, line=True, name=None):
    return Line2D([], [], ls="-" if line else "none", lw=1.2, label=name or method(key), **_marks(key))


def _accuracy_handle():
    return Line2D([], [], color=MUTED, ls=(0, (4, 2)), lw=0.8, label=f"Chemical accuracy ({CHEMICAL_ACCURACY} meV/Å)")


def _accuracy(axes, horizontal=True):
    line = axes.axhline if horizontal else axes.axvline
    line(CHEMICAL_ACCURACY, color=MUTED, ls=(0, (4, 2)), lw=0.8, zorder=1)


def _scale(axes, which, values, label):
    """Axis of an error: from zero, or logarithmic where the values span more than a factor of six."""
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values) & (values > 0)]
    low, high = min(values.min(), CHEMICAL_ACCURACY), max(values.max(), CHEMICAL_ACCURACY)
    axis = getattr(axes, f"{which}axis")
    limits = getattr(axes, f"set_{which}lim")
    if high > 6 * low:
        getattr(axes, f"set_{which}scale")("log")
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        limits(low / 1.15, high * 1.15)
        return f"{label}, log scale"
    limits(0, high * 1.08)
    return label


def _interval(row):
    """Lengths [2, 1] of the error bar of one row; none where the table has no interval."""
    return np.nan_to_num(np.array([[row[MEAN] - row[LOW]], [row[HIGH] - row[MEAN]]], dtype=float)).clip(0)


def _extent(table):
    return table[[MEAN, LOW, HIGH]].to_numpy(dtype=float)


def _need(table, name, what):
    if len(table) == 0:
        raise UserError(f"{name}.csv: no rows for {what}; re-run the evaluation that writes it")
    return table


def _span(values):
    """'12' or '12 to 14' of counts, nothing for no counts."""
    values = [float(v) for v in values if np.isfinite(float(v))]
    if not values:
        return ""
    low, high = count(min(values)), count(max(values))
    return low if low == high else f"{low} to {high}"


def _sample(summary, groups, methods):
    """`_sizes` of some rows of the summary."""
    rows = summary[summary.group.isin(groups) & summary.method.isin(methods)]
    return _sizes(_need(rows, "summary", f"groups {listed(groups)}"))


def _sizes(rows):
    """'n = 174 structures of 43 molecules, 3 seeds' of rows of a table."""
    seeds = _span(rows.n_seeds.dropna())
    text = f"n = {_span(rows.n_structures)} structures of {several(_span(rows.n_molecules), 'molecule')}"
    return text + (f", {several(seeds, 'seed')}" if seeds else "")


def _samples(summary, groups, methods):
    """'New elements: n = …. Connectivity: n = ….' of several groups."""
    return " ".join(f"{group(g)}: {_sample(summary, [g], methods)}." for g in groups)


def _note(panel, text):
    """Muted text above the right end of a panel."""
    panel.text(1, 1.02, text, ha="right", va="bottom", transform=panel.transAxes, color=MUTED, size=7)


def _foot(panels, used, label):
    """Hide the panels [rows, columns] beyond `used` and label the x axis of the lowest one of each column."""
    columns = panels.shape[1]
    for k, panel in enumerate(panels.flat):
        panel.set_visible(k < used)
        if used - columns <= k < used:
            panel.set_xlabel(label)
            panel.tick_params(labelbottom=True)


@styled
def shift_axes(tables):
    """Force MAE in and out of distribution per shift axis and method, as a dot plot."""
    table, summary = tables["shift_axes"], tables["summary"]
    table = _need(table[table.method.isin(COMPARED)], "shift_axes", "the compared methods")
    shown, methods = ordered(table.axis, AXES), ordered(table.method, METHODS)
    rows = (len(shown) + 1) // 2
    height = 1.2 + rows * (0.45 + 0.2 * len(methods)) + (rows - 1) * 0.25
    margins = {"left": 1.2, "right": 0.15, "top": 0.75, "bottom": 0.8, "wspace": 0.3, "hspace": 0.5}
    figure, panels = _canvas(height, rows, 2, **margins, sharex=True, sharey=True)
    for panel, axis in zip(panels.flat, shown):
        part = table[table.axis == axis]
        inside, outside = part[part.group == "id_test"], part[part.group != "id_test"]
        for y, key in enumerate(reversed(methods)):
            ends = [side[side.method == key] for side in (inside, outside)]
            _dumbbell(panel, y, ends, look(key)[0])
        panel.set_title(shift(axis), pad=4)
        _note(panel, f"n = {_span(inside.n_structures)} in, {_span(outside.n_structures)} out")
        panel.set_yticks(range(len(methods)), [method(k) for k in reversed(methods)])
        panel.set_ylim(-0.6, len(methods) - 0.4)
        panel.tick_params(axis="y", length=0)
        _accuracy(panel, horizontal=False)
    _foot(panels, len(shown), _scale(panels[0, 0], "x", _extent(table), "Force MAE (meV/Å)"))
    _head(figure, "Force error in and out of the training distribution", _spread(table))
    marker = {"marker": "o", "ls": "none", "color": MUTED, "mew": 1.1}
    handles = [
        Line2D([], [], **marker, mfc="white", label="In distribution"),
        Line2D([], [], **marker, label="Held-out shift group"),
        Line2D([], [], color=MUTED, lw=1.4, label="95 % interval"),
        _accuracy_handle(),
    ]
    _legend(figure, handles, 0.22, 4)
    groups = [g for g in ordered(table.group, GROUPS) if g != "id_test"]
    caption = (
        "Force MAE of structures like the training set (open) and of the held-out shift groups (filled), per"
        f" axis of the shift. Mean over structures and seeds; bars: {INTERVAL}."
        f" {_samples(summary, ['id_test', *groups], methods)} {ACCURACY}"
    )
    return figure, caption


def _dumbbell(panel, y, ends, colour):
    """One row of a dot plot: (in, out) tables of at most one row each, joined by a pale line."""
    means = []
    for filled, rows in enumerate(ends):
        for row in rows.to_dict("records"):
            marker = {"fmt": "o", "ms": 4.8, "mew": 1.1, "mec": colour, "mfc": colour if filled else "white"}
            bar = {"xerr": _interval(row), "elinewidth": 1.4, "color": colour, "zorder": 3 + filled}
            panel.errorbar(row[MEAN], y, **marker, **bar)
            means.append(row[MEAN])
    if len(means) == 2:
        panel.plot(means, [y, y], color=PALE, lw=3.5, zorder=1, solid_capstyle="butt")


def _spread(table):
    """Largest loss of accuracy of the supervised model over the shift axes, in words."""
    ratios = {}
    for axis, part in table[table.method == "supervised"].groupby("axis"):
        inside, outside = part[part.group == "id_test"][MEAN], part[part.group != "id_test"][MEAN]
        if len(inside) and len(outside):
            ratios[axis] = outside.iloc[0] / inside.iloc[0]
    if not ratios:
        return "Mean over structures and seeds"
    worst = max(ratios, key=ratios.get)
    return (
        f"Supervised model: largest ratio of held-out to in-distribution error {ratios[worst]:.1f}"
        f" ({shift(worst).lower()})"
    )


def _binned(tables, axis, title, label, unit, explained):
    table = tables["bins"]
    shown = [k for k in COMPARED if k != "delta"]
    table = table[(table.axis == axis) & table.method.isin(shown) & (table.n_structures > 0)]
    table = _need(table.dropna(subset=[MEAN]), "bins", f"axis {axis}")
    everything, best = (table[table.subset == s] for s in ("all", TOP))
    _need(everything, "bins", f"axis {axis}")
    density = tables["training_density"]
    density = _need(density[(density.axis == axis) & (density.density > 0)], "training_density", f"axis {axis}")
    methods = ordered(everything.method, METHODS)
    two = len(best) > 0
    shape = {"left": 0.6, "right": 0.6, "top": 0.85, "bottom": 0.85, "wspace": 0.55}
    figure, panels = _canvas(3.6, 1, 1 + two, **shape, sharey=True, width_ratios=[1.5, 1] if two else [1])
    limits = (
        min(everything.bin_left.min(), density.bin_left.min()),
        max(everything.bin_right.max(), density.bin_right.max()),
    )
    per_bin = _bins_of(panels[0, 0], everything, methods, limits, density, unit if not two else None)
    panels[0, 0].set_ylabel(_scale(panels[0, 0], "y", _extent(table), "Force MAE (meV/Å)"))
    scope, sample = _scope(everything, tables["summary"], methods)
    chosen = ""
    if two:
        few = _bins_of(panels[0, 1], best, methods, limits, density, unit)
        panels[0, 0].set_title("a  All structures", pad=14)
        panels[0, 1].set_title("b  Tenth that TTT improves most", pad=14)
        number = _span([best.groupby("method").n_structures.sum().max()])
        chosen = (
            f" (b) The {number} structures whose error TTT lowers most, chosen by the errors shown and so no estimate"
            f" of what TTT does; {few}."
        )
    for panel in panels[0]:
        _accuracy(panel)
        panel.set_xlabel(label)
    _head(figure, title, f"{scope}, {sample}")
    handles = [*map(_handle, methods), _accuracy_handle(), Patch(color=PALE, label="Training structures")]
    _legend(figure, handles, 0.36, 4)
    caption = (
        f"Force MAE of test structures ({scope[0].lower()}{scope[1:]}), binned by {explained}.{' (a)' if two else ''}"
        f" Points, dodged for clarity: mean over structures and seeds; bars: {INTERVAL}; {per_bin}. In all: {sample}."
        f"{chosen} Grey: normalised density of the training structures. {ACCURACY}"
    )
    return figure, caption


def _bins_of(panel, table, methods, limits, density, unit):
    """Draw the methods of binned errors over the training density; returns where the counts per bin stand."""
    _behind(panel, density, None if unit is None else f"Training density{unit}")
    step = 0.008 * (limits[1] - limits[0])  # dodge of the methods
    for k, key in enumerate(methods):
        part = table[table.method == key].sort_values("bin_left")
        x = (part.bin_left + part.bin_right) / 2 + step * (k - (len(methods) - 1) / 2)
        panel.plot(x, part[MEAN], lw=0.9, color=look(key)[0], alpha=0.55, zorder=2)
        for at, row in zip(x, part.to_dict("records")):
            panel.errorbar(at, row[MEAN], yerr=_interval(row), elinewidth=1.1, ls="none", zorder=3, **_marks(key))
    panel.set_xlim(*limits)
    panel.set_xticks(sorted({*table.bin_left, *table.bin_right}), minor=True)
    panel.tick_params(axis="x", which="minor", length=3, color=MUTED, direction="in")
    return _counts(panel, table, limits)


def _behind(panel, density, label):
    """Histogram of the training structures in the lower half behind a panel, with its own axis if it has a label."""
    axes = panel.twinx()
    axes.set_zorder(0)
    panel.set_zorder(1)
    panel.patch.set_visible(False)
    width = density.bin_right - density.bin_left
    axes.bar(density.bin_left, density.density, width=width, align="edge", color=PALE, lw=0)
    highest = density.density.max()
    axes.set_ylim(0, highest * 2.2)
    if label is None:
        axes.set_yticks([])
        return
    axes.set_yticks([t for t in MaxNLocator(3).tick_values(0, highest) if t <= 1.1 * highest])
    axes.spines["right"].set_visible(True)
    axes.spines["right"].set_color(PALE)
    axes.tick_params(axis="y", color=PALE, labelcolor=MUTED)
    axes.set_ylabel(label, color=MUTED, loc="bottom")


def _counts(panel, table, limits):
    """Write the structures per bin above a panel, each over its bin where there is room; caption in words."""
    counts = table.groupby(["bin_left", "bin_right"]).n_structures.agg(["min", "max"]).reset_index()
    centres = (counts.bin_left + counts.bin_right) / 2
    names = [_span([a, b]).replace(" to ", "–") for a, b in zip(counts["min"], counts["max"])]
    room = np.diff(centres).min(initial=np.inf) / (limits[1] - limits[0])
    if room < 0.012 * max(map(len, names)) + 0.005:
        per_bin = f"n = {_span([counts['min'].min(), counts['max'].max()])} structures per bin"
        _note(panel, per_bin)
        return per_bin
    for at, name in zip(centres, names):
        above = {"transform": panel.get_xaxis_transform(), "color": MUTED, "size": 7}
        panel.text(at, 1.01, name, ha="center", va="bottom", **above)
    panel.text(-0.012, 1.01, "n =", ha="right", va="bottom", transform=panel.transAxes, color=MUTED, size=7)
    return "numbers above: structures per bin (inner ticks)"


def _scope(table, summary, methods):
    """Which structures the bins hold (in distribution or not), and their number; judged by the counts."""
    total = table[table.method.isin(methods)].groupby("method").n_structures.sum().max()
    sizes = summary[summary.method.isin(methods)].groupby("group").n_structures.max()
    if total > sizes.get("ood_all", 0) and "id_test" in sizes:
        return "In distribution and held-out shift groups", f"n = {count(total)} structures"
    return "Held-out shift groups", _sample(summary, ["ood_all"], methods)


@styled
def force_norm(tables):
    """Force MAE by mean force norm over the training density."""
    return _binned(
        tables,
        "force_norm",
        "Force error by force norm, before and after test-time training (TTT)",
        "Mean norm of the reference forces (eV/Å)",
        " (Å/eV)",
        "the mean over atoms of the norm of the reference force",
    )


@styled
def connectivity(tables):
    """Force MAE by fraction of Laplacian eigenvalues in [0.9, 1.1] over the training density."""
    return _binned(
        tables,
        "window_fraction",
        "Force error by connectivity, before and after test-time training (TTT)",
        "Fraction of the eigenvalues in [0.9, 1.1]",
        "",
        "the fraction of the eigenvalues of the normalised graph Laplacian in [0.9, 1.1]",
    )


@styled
def error_bins(tables):
    """Structures per error bin, before and after TTT."""
    table, summary = tables["error_bins"], tables["summary"]
    found = set(table.method)
    pairs = [(BEFORE[k], k) for k in ("joint_ttt", "freeze_ttt") if {k, BEFORE[k]} <= found]
    _need(pairs, "error_bins", "a method before and after TTT")
    left, right = "bin_left_meV_per_A", "bin_right_meV_per_A"
    margins = {"left": 0.6, "right": 0.15, "top": 0.75, "bottom": 0.8, "hspace": 0.55}
    height = 1.55 + 1.25 * len(pairs) + 0.55 * (len(pairs) - 1)
    figure, panels = _canvas(height, len(pairs), 1, **margins, sharex=True, sharey=True)
    highest = 0
    for panel, keys in zip(panels[:, 0], pairs):
        pair = [table[table.method == k].sort_values(left).reset_index() for k in keys]
        highest = max(highest, _bars(panel, *pair, look(keys[1])[0]))
        panel.set_title(f"{method(keys[0])} → {method(keys[1])}", pad=6)
    panels[0, 0].set_ylim(0, highest * 1.15)
    _foot(panels, len(pairs), "Force MAE of the structure (meV/Å)")
    sample = _sample(summary, ["ood_all"], [k for pair in pairs for k in pair])
    _head(
        figure,
        "Structures per error bin before and after test-time training",
        f"Held-out shift groups, {sample}",
    )
    _legend(figure, _bar_handles(), 0.22, 3)
    below = "; ".join(f"{method(b)} {_lowest(table, a)} before, {_lowest(table, b)} after" for a, b in pairs)
    lowest = table[table.method == pairs[0][0]].sort_values(left).iloc[0]
    caption = (
        "Number of structures of all held-out shift groups per bin of the force MAE, before (open) and after"
        " (filled) test-time training; numbers: change. Counts are means over seeds."
        f" In all {sample}. Structures below {lowest[right]:g} meV/Å: {below}."
    )
    return figure, caption


def _bars(panel, before, after, colour):
    """Bars of the structures per error bin before and after, with the change; returns the highest bar."""
    x, bar = np.arange(len(before)), {"width": 0.38, "edgecolor": colour, "lw": 0.9}
    panel.bar(x - 0.2, before.n_structures, color="white", **bar)
    panel.bar(x + 0.2, after.n_structures, color=colour, **bar)
    tops = np.maximum(before.n_structures, after.n_structures)
    for at, top, change in zip(x, tops, after.n_structures - before.n_structures):
        text = "0" if abs(change) < 0.05 else f"{'+' if change > 0 else '−'}{count(abs(change))}"
        above = {"textcoords": "offset points", "ha": "center", "va": "bottom", "size": 7}
        panel.annotate(text, (at, top), (0, 2.5), **above, color=INK if text != "0" else MUTED)
    ends = zip(before.bin_left_meV_per_A, before.bin_right_meV_per_A)
    panel.set_xticks(x, [f"{a:g}–{b:g}" if np.isfinite(b) else f"> {a:g}" for a, b in ends])
    panel.tick_params(axis="x", length=0)
    panel.set_ylabel("Structures")
    return tops.max()


def _bar_handles():
    return [
        Patch(facecolor="white", edgecolor=MUTED, lw=0.9, label="Before TTT"),
        Patch(facecolor=MUTED, edgecolor=MUTED, label="After TTT"),
        Line2D([], [], ls="none", marker="$\\pm$", color=INK, ms=6, mew=0.3, label="Change (structures)"),
    ]


def _lowest(table, key):
    """'12 of 174': structures in the lowest error bin."""
    part = table[table.method == key].sort_values("bin_left_meV_per_A")
    return f"{count(part.n_structures.iloc[0])} of {count(part.n_structures.sum())}"


@styled
def ttt_steps(tables):
    """Force MAE against the TTT step, per group."""
    table, summary = tables["steps"], tables["summary"]
    table = table[~table.group.str.startswith("val_") & table.method.isin(BEFORE)]
    table = _need(table, "steps", "the reported groups")
    groups, methods = ordered(table.group, GROUPS), ordered(table.method, METHODS)
    columns = min(3, len(groups))
    rows = -(-len(groups) // columns)
    margins = {"left": 0.6, "right": 0.15, "top": 0.75, "bottom": 0.8, "wspace": 0.25, "hspace": 0.5}
    figure, panels = _canvas(1.4 + 1.55 * rows, rows, columns, **margins, sharex=True, sharey=True)
    for panel, key in zip(panels.flat, groups):
        part = table[table.group == key]
        for name in methods:
            line = part[part.method == name].sort_values("step")
            panel.fill_between(line.step, line[LOW], line[HIGH], color=look(name)[0], alpha=0.15, lw=0, zorder=1)
            panel.plot(line.step, line[MEAN], zorder=3, **_marks(name))
        _accuracy(panel)
        panel.set_title(group(key), pad=4)
        _note(panel, f"n = {_span(part.n_structures)}")
    label = _scale(panels[0, 0], "y", _extent(table), "Force MAE (meV/Å)")
    for panel in panels[:, 0]:
        panel.set_ylabel(label)
    _foot(panels, len(groups), "TTT step")
    last = table.step.max()
    panels[0, 0].set_xlim(-0.03 * last, 1.03 * last)
    explained = "Step 0 is the model before adaptation"
    if "joint_placebo" in methods:
        explained += "; the placebo adapts to the prior labels of another structure"
    _head(figure, "Force error during test-time training (TTT)", explained)
    band = Patch(color=MUTED, alpha=0.2, lw=0, label="95 % interval")
    _legend(figure, [*map(_handle, methods), band, _accuracy_handle()], 0.22, 5)
    caption = (
        "Force MAE against the number of TTT steps. Lines: mean over structures and seeds; bands:"
        f" {INTERVAL}. {_samples(summary, groups, methods)} {ACCURACY}"
    )
    return figure, caption


def _staircase(panel, x, y, end):
    """Lowest error reachable at a given cost or less, up to the cost `end`."""
    order = np.lexsort((y, x))
    x, y = np.asarray(x)[order], np.minimum.accumulate(np.asarray(y)[order])
    panel.step([*x, end], [*y, y[-1]], where="post", color=PALE, lw=2.5, zorder=1)


def _by_calls(panel, table):
    """Methods in one column per number of prior calls, side by side in the order of their error."""
    calls = table.prior_calls_per_structure.round(3)
    levels = sorted(calls.unique())
    lowest = []
    for cluster, level in enumerate(levels):
        members = table[calls == level].sort_values(MEAN)
        for k, (key, row) in enumerate(members.iterrows()):
            x = cluster + 0.8 * ((k + 0.5) / len(members) - 0.5)
            panel.errorbar(x, row[MEAN], yerr=_interval(row), elinewidth=1.1, ls="none", **_marks(key))
        lowest.append(members[MEAN].iloc[0])
        if cluster:
            panel.axvline(cluster - 0.5, color=PALE, lw=0.6)
    _staircase(panel, np.arange(len(levels)) - 0.5, lowest, len(levels) - 0.5)
    panel.set_xlim(-0.5, len(levels) - 0.5)
    panel.set_xticks(range(len(levels)), [f"{v:.2g}" for v in levels])
    panel.tick_params(axis="x", length=0)
    panel.set_xlabel("Prior calls per predicted structure")


def _by_seconds(panel, table, seconds):
    """Methods by their time per structure; seconds: Series indexed by method."""
    for key in seconds.index:
        row = table.loc[key]
        panel.errorbar(seconds[key], row[MEAN], yerr=_interval(row), elinewidth=1.1, ls="none", **_marks(key))
    panel.set_xscale("log")
    _staircase(panel, seconds, table[MEAN][seconds.index], seconds.max() * 2)
    panel.set_xlim(seconds.min() / 2, seconds.max() * 2)
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    panel.set_xlabel("Seconds per structure, log scale")


@styled
def frontier(tables):
    """Force MAE against prior calls and against seconds per structure, all methods."""
    table = _need(tables["frontier"].dropna(subset=[MEAN]), "frontier", "any method").set_index("method")
    methods = ordered(table.index, METHODS)
    seconds = tables["seconds"].set_index("method").seconds_per_structure
    seconds = _need(seconds[seconds.index.isin(methods) & (seconds > 0)], "seconds", "any method of frontier.csv")
    margins = {"left": 0.65, "right": 2.05, "top": 0.75, "bottom": 0.5, "wspace": 0.3}
    figure, panels = _canvas(3.5, 1, 2, **margins, sharey=True)
    _by_calls(panels[0, 0], table)
    _by_seconds(panels[0, 1], table, seconds)
    panels[0, 0].set_ylabel(_scale(panels[0, 0], "y", _extent(table), "Force MAE (meV/Å)"))
    for title, panel in zip(("a  Cost in prior calls", "b  Cost in time (one core)"), panels[0]):
        _accuracy(panel)
        panel.set_title(title, pad=4)
    sample = _sample(tables["summary"], ["ood_all"], methods)
    _head(figure, "Accuracy and cost of every method", f"Held-out shift groups, {sample}")
    lowest = Line2D([], [], color=PALE, lw=2.5, label="Lowest error at this cost")
    handles = [*(_handle(k, line=False) for k in methods), lowest, _accuracy_handle()]
    _legend(figure, handles, 2.8, 1, x=WIDTH - 1.95)
    missing = [method(k) for k in methods if k not in seconds.index]
    caption = (
        "Force MAE over all held-out shift groups against the cost of a prediction: (a) prior calls per"
        " structure (methods with equal numbers side by side, best first), (b) seconds per structure on one"
        f" core, adaptation and prior calls included. Mean over structures and seeds; bars: {INTERVAL};"
        f" {sample}. Grey line: lowest mean error at this cost or less. {ACCURACY}"
    )
    return figure, caption + (f" Not in (b), as no time was measured: {listed(missing)}." if missing else "")


def _empty(title, reason):
    """Figure that says why there is nothing to draw."""
    figure = Figure(figsize=(WIDTH, 1.0))
    _head(figure, title, reason)
    return figure, f"{title}: {reason[0].lower()}{reason[1:]}"


@styled
def conformers(tables):
    """Force MAE on unseen geometries of a molecule against the number of geometries it was adapted on."""
    table = tables["conformers"]
    table = table[table.group == "ood_common"]
    if len(table) == 0:
        return _empty("Other geometries of a molecule", "No held-out molecule has two or more geometries.")
    margins = {"left": 0.65, "right": 2.2, "top": 0.75, "bottom": 0.5, "wspace": 0.6}
    figure, panels = _canvas(3.5, 1, 2, **margins)
    left, right = panels[0]
    shown = table.drop_duplicates(["scheme", "geometries"])
    largest = shown.geometries.max()
    handles, ends = [], [0.8, largest * 1.25]
    for key, part in table.drop_duplicates(["baseline"]).groupby("baseline"):
        colour = look(key)[0]
        left.axhline(part.baseline_mean_meV_per_A.iloc[0], color=colour, lw=0.9, ls=(0, (1, 1.5)), zorder=1)
        note = " (a prior call each)" if key in ("prior", "delta") else ", unadapted"
        handles.append(Line2D([], [], color=colour, lw=0.9, ls=(0, (1, 1.5)), label=method(key) + note))
    # dodged for clarity, by a factor on the logarithmic axis
    schemes = list(shown.groupby("scheme", sort=False))
    for k, ((colour, marker), (name, part)) in enumerate(zip(SCHEMES * 9, schemes)):
        dodge = 1.03 ** (k - (len(schemes) - 1) / 2)
        # hollow when the colours begin again
        again = {"markerfacecolor": "white", "markeredgecolor": colour, "markeredgewidth": 1.1, "ls": (0, (3, 1.5))}
        solid = {"markeredgecolor": "white", "markeredgewidth": 0.5}
        marks = {"color": colour, "marker": marker, "ms": 5.6} | (again if k >= len(SCHEMES) else solid)
        own = part.sort_values("geometries")
        bars = np.clip([own[MEAN] - own[LOW], own[HIGH] - own[MEAN]], 0, None)
        left.errorbar(own.geometries * dodge, own[MEAN], yerr=bars, elinewidth=0.9, **marks)
        own = table[(table.scheme == name) & (table.baseline == table.strategy)].sort_values("geometries")
        difference = own.difference_meV_per_A
        bars = [difference - own.difference_ci_low_meV_per_A, own.difference_ci_high_meV_per_A - difference]
        right.errorbar(own.geometries * dodge, difference, yerr=np.clip(bars, 0, None), elinewidth=0.9, **marks)
        handles.append(Line2D([], [], label=scheme(name), **marks))
    values = np.concatenate([_extent(shown).ravel(), table.baseline_mean_meV_per_A.to_numpy(dtype=float)])
    left.set_ylabel(_scale(left, "y", values, "Force MAE (meV/Å)"))
    right.axhline(0, color=MUTED, lw=0.8)
    right.set_ylabel("Change of the force MAE (meV/Å)")
    counts = sorted(shown.geometries.unique())
    for panel, title in ((left, "a  Error on unseen geometries"), (right, "b  Change by adaptation")):
        panel.set_xscale("log")
        panel.set_xlim(*ends)
        panel.set_xticks(counts, [f"{v:g}" for v in counts])
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_xlabel("Geometries adapted on")
        panel.set_title(title, pad=4)
    _accuracy(left)
    sample = _sizes(shown)
    _head(figure, "Other geometries of a molecule, without a prior call for them", f"Held-out shift groups, {sample}")
    _legend(figure, [*handles, _accuracy_handle()], 2.8, 1, x=WIDTH - 2.1)
    calls = shown.groupby("geometries").prior_calls_per_molecule.first()
    spent = listed(f"{k:g}: {v:g}" for k, v in calls.items())
    caption = (
        "Force MAE on geometries of held-out molecules that were not adapted on, against the number of geometries"
        f" that were (with their rattled copies; prior calls per molecule by number of geometries: {spent})."
        " (a) Mean over structures and seeds; dotted: methods on the same structures without adaptation."
        f" (b) Paired difference to the same model before adaptation. Bars: {INTERVAL}; {sample}. {ACCURACY}"
    )
    return figure, caption


@styled
def variants(tables):
    """Force MAE of every further adaptation before and after, and the paired difference to the unadapted model."""
    table = tables["variants_paired"]
    table = _need(table[table.group == "ood_all"], "variants_paired", "held-out shift groups")
    own = table.drop_duplicates("method").sort_values("method_mean_meV_per_A", ascending=False)
    others = {k: table[table.baseline == k].baseline_mean_meV_per_A for k in ("supervised", "prior", "delta")}
    rows = len(own)
    margins = {"left": 2.1, "right": 0.15, "top": 0.75, "bottom": 0.8, "wspace": 0.3}
    figure, panels = _canvas(1.75 + 0.2 * rows, 1, 2, **margins, sharey=True)
    left, right = panels[0]
    place = np.arange(rows)
    left.hlines(place, own.baseline_mean_meV_per_A, own.method_mean_meV_per_A, color=PALE, lw=1.2, zorder=1)
    left.plot(own.method_mean_meV_per_A, place, ls="none", **_marks("joint_ttt"))
    left.plot(own.baseline_mean_meV_per_A, place, ls="none", **_marks("joint"))
    handles = [_handle("joint", False, "Its model, not adapted"), _handle("joint_ttt", False, "Adapted")]
    for key, values in others.items():
        if len(values):
            line = {"color": look(key)[0], "lw": 0.9, "ls": (0, (1, 1.5))}
            left.axvline(values.iloc[0], zorder=1, **line)
            handles.append(Line2D([], [], label=method(key), **line))
    shown = [own.baseline_mean_meV_per_A, own.method_mean_meV_per_A, *others.values()]
    left.set_xlabel(_scale(left, "x", np.concatenate(shown), "Force MAE (meV/Å)"))
    _accuracy(left, horizontal=False)
    difference = own.difference_meV_per_A
    bars = [difference - own.ci_low_meV_per_A, own.ci_high_meV_per_A - difference]
    right.errorbar(difference, place, xerr=np.clip(bars, 0, None), ls="none", elinewidth=1.1, **_marks("joint_ttt"))
    right.axvline(0, color=MUTED, lw=0.8)
    # linear as far as the improvements go; a placebo may do ten times as much harm
    straight = 100 * np.ceil(max(100, -own.ci_low_meV_per_A.min()) / 100)
    label = "Change of the force MAE (meV/Å)"
    if own.ci_high_meV_per_A.max() > 1.5 * straight:
        right.set_xscale("symlog", linthresh=straight, linscale=2)
        right.set_xticks([-straight, 0, straight])
        label = f"Change (meV/Å), linear within ±{straight:g}"
    right.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}".replace("-", "−")))
    right.set_xlabel(label)
    left.set_yticks(place, [scheme(k) for k in own.method])
    for panel, title in ((left, "a  Error"), (right, "b  Change, paired")):
        panel.set_title(title, pad=4)
        panel.set_ylim(-0.6, rows - 0.4)
    sample = _sizes(own)
    _head(figure, "Ways to adapt a model to test structures", f"Held-out shift groups, {sample}")
    _legend(figure, [*handles, _accuracy_handle()], 0.3, 6)
    caption = (
        "Adaptations of section variants, best last. (a) Mean force MAE of the model before and after its adaptation;"
        " dotted: what one could use instead. (b) Paired difference to the model before adaptation, mean over"
        f" structures and seeds with the {INTERVAL}; {sample}. {ACCURACY}"
    )
    return figure, caption


@styled
def ablations(tables):
    """Force MAE before and after TTT for every prior and amount of reference data."""
    table = tables["ablations"]
    table = _need(table[table.group == "ood_all"], "ablations", "held-out shift groups")
    methods = ["prior", "supervised", "joint", "joint_ttt", "delta"]
    rows = len(table)
    margins = {"left": 1.5, "right": 0.15, "top": 0.75, "bottom": 0.8, "wspace": 0.3}
    figure, panels = _canvas(1.75 + 0.27 * rows, 1, 2, **margins, sharey=True)
    left, right = panels[0]
    place = np.arange(rows)[::-1]
    for key in methods:
        left.plot(table[f"{key}_meV_per_A"], place, ls="none", zorder=3, **_marks(key))
    values = table[[f"{key}_meV_per_A" for key in methods]].to_numpy(dtype=float)
    left.set_xlabel(_scale(left, "x", values, "Force MAE (meV/Å)"))
    _accuracy(left, horizontal=False)
    gain = table.gain_meV_per_A
    bars = [gain - table.gain_ci_low_meV_per_A, table.gain_ci_high_meV_per_A - gain]
    right.errorbar(gain, place, xerr=bars, ls="none", elinewidth=1.1, **_marks("joint_ttt"))
    right.axvline(0, color=MUTED, lw=0.8)
    right.set_xlabel("Gain of TTT over the joint model (meV/Å)")
    names = []
    for row in table.to_dict("records"):
        text = row["prior"]
        text += f", noise {row['noise']:g}σ" if row["noise"] else ""
        text += f", {100 * row['fraction']:g} % of labels" if row["fraction"] < 1 else ""
        names.append(text)
    left.set_yticks(place, names)
    for panel, title in ((left, "a  Error"), (right, "b  Gain, paired")):
        panel.set_title(title, pad=4)
        panel.set_ylim(-0.6, rows - 0.4)
    sample = _sizes(table)
    _head(figure, "Quality of the prior, amount of reference data", f"Held-out shift groups, {sample}")
    _legend(figure, [*(_handle(k, line=False) for k in methods), _accuracy_handle()], 0.3, 6)
    caption = (
        "Every row is pre-trained, fine-tuned and adapted anew with its prior and its share of the reference labels."
        " (a) Mean force MAE; (b) how much TTT lowers it, mean over structures and seeds with the"
        f" {INTERVAL}; {sample}. Noise is Gaussian, in standard deviations of the prior forces. {ACCURACY}"
    )
    return figure, caption


@styled
def prior_gain(tables):
    """TTT's gain, and the error after it, against the prior's error, one point per structure."""
    table, ranks = tables["gains"], tables["gain_correlation"]
    table = table[(table.method == "joint_ttt") & (table.group != "id_test")]
    table = _need(table, "gains", "held-out shift groups")
    prior, before, after = (table[f"{k}_meV_per_A"] for k in ("prior_error", "before", "after"))
    groups = ordered(table.group, GROUPS)
    margins = {"left": 0.65, "right": 0.15, "top": 0.75, "bottom": 0.85, "wspace": 0.6}
    figure, panels = _canvas(3.7, 1, 2, **margins)
    left, right = panels[0]
    handles = []
    for (colour, marker), name in zip(SCHEMES * 9, groups):
        own = table.group == name
        marks = {"ls": "none", "marker": marker, "ms": 3.2, "mfc": colour, "mec": "white", "mew": 0.3, "alpha": 0.75}
        left.plot(prior[own], (before - after)[own], **marks)
        right.plot(prior[own], after[own], **marks)
        handles.append(Line2D([], [], label=group(name), **{**marks, "ms": 4.5, "alpha": 1}))
    for panel in (left, right):
        panel.set_xlabel(_scale(panel, "x", prior, "Force MAE of the prior (meV/Å)"))
        panel.set_xlim(prior.min() / 1.15, prior.max() * 1.15)
    left.set_yscale("symlog", linthresh=100, linscale=0.8)
    left.set_ylabel("Gain of TTT (meV/Å), linear within ±100")
    left.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}".replace("-", "−")))
    left.axhline(0, color=MUTED, lw=0.8)
    right.set_ylabel(_scale(right, "y", after, "Force MAE after TTT (meV/Å)"))
    ends = [max(min(prior.min(), after.min()), 1e-3), max(prior.max(), after.max())]
    right.plot(ends, ends, color=INK, lw=0.8, label="_")
    _accuracy(right)
    found = ranks[(ranks.method == "joint_ttt") & (ranks.group == "ood_all")].set_index("with")
    for panel, title in ((left, "a  Gain"), (right, "b  Error after TTT")):
        panel.set_title(title, pad=4)
    better = (after < prior).mean()
    sample = _sample(tables["summary"], ["ood_all"], ["joint_ttt"])
    _head(figure, "Error of the prior and what test-time training makes of it", f"Held-out shift groups, {sample}")
    same = Line2D([], [], color=INK, lw=0.8, label="As good as the prior")
    _legend(figure, [*handles, same, _accuracy_handle()], 0.36, 3)
    rank = lambda row: f"{row.spearman:.2f} [{row.ci_low:.2f}, {row.ci_high:.2f}]".replace("-", "−")
    words = {"prior_error": "the error of the prior", "error_before": "the error before TTT"}
    of_gain = [f"{rank(r)} with {words[k]}" for k, r in found.iterrows() if r["of"] == "gain"]
    caption = (
        "Every point is a structure, seeds averaged. (a) Force MAE of the Joint model minus that after TTT, against the"
        " force MAE of the prior that TTT learns from; rank correlation of the gain"
        f" {listed(of_gain)} ({INTERVAL}). (b) Force MAE after TTT; below the line TTT is better than its prior, as for"
        f" {100 * better:.0f} % of the structures; {sample}. {ACCURACY}"
    )
    return figure, caption


@styled
def prior_bins(tables):
    """Structures per error bin before and after TTT, for every prior."""
    table, points = tables["ablation_bins"], tables["ablations"]
    points = points[(points.group == "ood_all") & (points.noise == 0) & (points.fraction == 1)]
    points = _need(points.drop_duplicates("prior"), "ablations", "a prior without noise, all labels")
    left, right = "bin_left_meV_per_A", "bin_right_meV_per_A"
    margins = {"left": 0.6, "right": 0.15, "top": 0.75, "bottom": 0.8, "hspace": 0.55}
    height = 1.55 + 1.25 * len(points) + 0.55 * (len(points) - 1)
    figure, panels = _canvas(height, len(points), 1, **margins, sharex=True, sharey=True)
    highest, words = 0, []
    for panel, point in zip(panels[:, 0], points.to_dict("records")):
        own = table[table.point == point["point"]]
        pair = [own[own.method == k].sort_values(left).reset_index() for k in ("joint", "joint_ttt")]
        highest = max(highest, _bars(panel, *pair, look("joint_ttt")[0]))
        panel.set_title(f"{point['prior']}, force MAE {point['prior_meV_per_A']:.0f} meV/Å", pad=6)
        first, last = ([t[t[right] == 25.0].n_structures.sum(), t.n_structures.sum()] for t in pair)
        words.append(f"{point['prior']} {count(first[0])} before, {count(last[0])} after, of {count(last[1])}")
    panels[0, 0].set_ylim(0, highest * 1.15)
    _foot(panels, len(points), "Force MAE of the structure (meV/Å)")
    sample = _sizes(points)
    _head(figure, "Structures per error bin before and after TTT, by prior", f"Held-out shift groups, {sample}")
    _legend(figure, _bar_handles(), 0.22, 3)
    caption = (
        "Number of structures of all held-out shift groups per bin of the force MAE of the Joint model, before (open)"
        " and after (filled) test-time training on each prior, with which the model was pre-trained as well; numbers:"
        f" change. Counts are means over seeds. In all {sample}. Structures below 25 meV/Å: {'; '.join(words)}."
    )
    return figure, caption


FIGURES = {
    "fig_conformers": (conformers, ("conformers",)),
    "fig_shift_axes": (shift_axes, ("shift_axes", "summary")),
    "fig_force_norm": (force_norm, ("bins", "training_density", "summary")),
    "fig_connectivity": (connectivity, ("bins", "training_density", "summary")),
    "fig_error_bins": (error_bins, ("error_bins", "summary")),
    "fig_ttt_steps": (ttt_steps, ("steps", "summary")),
    "fig_prior_gain": (prior_gain, ("gains", "gain_correlation", "summary")),
    "fig_frontier": (frontier, ("frontier", "seconds", "summary")),
}


# drawn on demand, no part of the report
EXTRA_FIGURES = {
    "fig_variants": (variants, ("variants_paired",)),
    "fig_ablations": (ablations, ("ablations",)),
    "fig_prior_bins": (prior_bins, ("ablation_bins", "ablations")),
}


def draw(name, paths):
    """(Figure, caption) of a figure of FIGURES or EXTRA_FIGURES from the tables at `paths` {table: path}.

    Raises UserError for an unknown figure and for a missing or incomplete table.
    """
    known = FIGURES | EXTRA_FIGURES
    if name not in known:
        raise UserError(f"figure {name!r} is unknown; use one of {', '.join(known)}")
    function, needed = known[name]
    for table in needed:
        if table not in paths:
            raise UserError(f"{name} needs the table {table}.csv, which was not given; run the evaluation first")
    tables = {t: read_table(paths[t]) for t in needed}
    try:
        return function(tables)
    except (KeyError, AttributeError) as error:
        raise UserError(f"{name}: a column is missing in {', '.join(f'{t}.csv' for t in needed)} ({error})") from error


def find_tables(given):
    """{table name: path} of CSV files and of folders that hold them; later entries win."""
    files = [f for item in given for f in (sorted(item.glob("*.csv")) if item.is_dir() else [item])]
    return {f.stem: f for f in files}

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

from mlipshift.errors import UserError
from mlipshift.naming import AXES, CHEMICAL_ACCURACY, GROUPS, METHODS, count, group, listed, method, ordered
from mlipshift.tables import read_table

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
    "joint_ttt_other": ("#56B4E9", "v", True),
    "delta": ("#009E73", "P", True),
}
INTERVAL = "95 % bootstrap interval over molecules"
ACCURACY = f"Dashed line: chemical accuracy, {CHEMICAL_ACCURACY} meV/Å (1 kcal/mol/Å)."
MEAN, LOW, HIGH = "mean_meV_per_A", "ci_low_meV_per_A", "ci_high_meV_per_A"
COMPARED = ("prior", "supervised", "joint", "joint_ttt", "delta")
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
    each = (WIDTH - left - right - (columns - 1) * wspace) / columns, (height - top - bottom - (rows - 1) * hspace) / rows
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
    """Axis of an error: from zero, or logarithmic with plain numbers where the values span more than a factor of six."""
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
    """'n = 174 structures of 43 molecules, 3 seeds' of summary rows."""
    rows = summary[summary.group.isin(groups) & summary.method.isin(methods)]
    _need(rows, "summary", f"groups {listed(groups)}")
    seeds = _span(rows.n_seeds.dropna())
    return (
        f"n = {_span(rows.n_structures)} structures of {_span(rows.n_molecules)} molecules"
        + (f", {seeds} seed{'' if seeds == '1' else 's'}" if seeds else "")
    )  # fmt: skip


@styled
def shift_axes(tables):
    """Force MAE in and out of distribution per shift axis and method, as a dot plot."""
    table = tables["shift_axes"]
    table = _need(table[table.method.isin(COMPARED)], "shift_axes", "the compared methods")
    axes_shown, methods = ordered(table.axis, AXES), ordered(table.method, METHODS)
    rows = (len(axes_shown) + 1) // 2
    figure, panels = _canvas(
        1.2 + rows * (0.45 + 0.2 * len(methods)) + (rows - 1) * 0.25, rows, 2,
        left=1.2, right=0.15, top=0.75, bottom=0.8, wspace=0.3, hspace=0.5, sharex=True, sharey=True,
    )  # fmt: skip
    label = None
    for panel, axis in zip(panels.flat, axes_shown):
        part = table[table.axis == axis]
        inside, outside = part[part.group == "id_test"], part[part.group != "id_test"]
        for y, key in enumerate(reversed(methods)):
            colour = look(key)[0]
            points = []
            for side, rows_of in ((0, inside), (1, outside)):
                for _, row in rows_of[rows_of.method == key].iterrows():
                    panel.errorbar(
                        row[MEAN], y, xerr=_interval(row), fmt="o", ms=4.8, color=colour, mec=colour, mew=1.1,
                        mfc=colour if side else "white", elinewidth=1.4, zorder=3 + side,
                    )  # fmt: skip
                    points.append(row[MEAN])
            if len(points) == 2:
                panel.plot(points, [y, y], color=PALE, lw=3.5, zorder=1, solid_capstyle="butt")
        panel.set_title(f"{AXES.get(axis, axis)}", pad=4)
        panel.text(
            1, 1.02, f"n = {_span(inside.n_structures)} in, {_span(outside.n_structures)} out", ha="right", va="bottom",
            transform=panel.transAxes, color=MUTED, size=7,
        )  # fmt: skip
        panel.set_yticks(range(len(methods)), [method(k) for k in reversed(methods)])
        panel.set_ylim(-0.6, len(methods) - 0.4)
        panel.tick_params(axis="y", length=0)
        _accuracy(panel, horizontal=False)
    for panel in panels.flat[len(axes_shown) :]:
        panel.set_visible(False)
    label = _scale(panels[0, 0], "x", _extent(table), "Force MAE (meV/Å)")
    for panel in panels[-1]:
        panel.set_xlabel(label)
    _head(figure, "Force error in and out of the training distribution", _spread(table))
    _legend(
        figure,
        [
            Line2D([], [], marker="o", ls="none", color=MUTED, mfc="white", mew=1.1, label="In distribution"),
            Line2D([], [], marker="o", ls="none", color=MUTED, label="Held-out shift group"),
            Line2D([], [], color=MUTED, lw=1.4, label="95 % interval"),
            _accuracy_handle(),
        ],
        0.22,
        4,
    )
    groups = list(table.group.unique())
    caption = (
        f"Force MAE of structures like the training set (open) and of the held-out shift groups (filled), per axis of"
        f" the shift. Mean over structures and seeds; bars: {INTERVAL}. In distribution:"
        f" {_sample(tables['summary'], ['id_test'], methods)}. "
        + " ".join(
            f"{group(g)}: {_sample(tables['summary'], [g], methods)}." for g in ordered(groups, GROUPS) if g != "id_test"
        )
        + f" {ACCURACY}"
    )
    return figure, caption


def _spread(table):
    """Largest loss of accuracy of the supervised model over the shift axes, in words."""
    best = None
    for axis, part in table[table.method == "supervised"].groupby("axis"):
        inside, outside = part[part.group == "id_test"][MEAN], part[part.group != "id_test"][MEAN]
        if len(inside) and len(outside):
            ratio = outside.iloc[0] / inside.iloc[0]
            best = max(best or (0, ""), (ratio, AXES.get(axis, axis)))
    if best is None:
        return "Mean over structures and seeds"
    return f"Supervised model: held-out error up to {best[0]:.1f} times the in-distribution error ({best[1].lower()})"


def _binned(tables, axis, title, label, unit, explained):
    table = tables["bins"]
    shown = [k for k in COMPARED if k != "delta"]
    table = table[(table.axis == axis) & table.method.isin(shown) & (table.n_structures > 0)]
    table = _need(table.dropna(subset=[MEAN]), "bins", f"axis {axis}")
    density = _need(tables["training_density"], "training_density", f"axis {axis}")
    density = density[density.axis == axis]
    methods = ordered(table.method, METHODS)
    figure, panels = _canvas(3.5, 1, 1, left=0.65, right=0.65, top=0.68, bottom=0.85)
    panel = panels[0, 0]
    behind = panel.twinx()
    behind.set_zorder(0)
    panel.set_zorder(1)
    panel.patch.set_visible(False)
    behind.bar(
        density.bin_left, density.density, width=density.bin_right - density.bin_left, align="edge", color=PALE, lw=0
    )
    highest = max(density.density.max(), 1e-9)
    behind.set_ylim(0, highest * 2.2)
    behind.set_yticks([t for t in MaxNLocator(3).tick_values(0, highest) if t <= 1.1 * highest])
    behind.spines["right"].set_visible(True)
    behind.spines["right"].set_color(PALE)
    behind.tick_params(axis="y", color=PALE, labelcolor=MUTED)
    behind.set_ylabel(f"Training density{unit}", color=MUTED, loc="bottom")
    width = (table.bin_right - table.bin_left).min()
    for k, key in enumerate(methods):
        part = table[table.method == key].sort_values("bin_left")
        x = (part.bin_left + part.bin_right) / 2 + width * 0.09 * (k - (len(methods) - 1) / 2)
        panel.plot(x, part[MEAN], lw=0.9, color=look(key)[0], alpha=0.55, zorder=2)
        for at, (_, row) in zip(x, part.iterrows()):
            panel.errorbar(at, row[MEAN], yerr=_interval(row), elinewidth=1.1, ls="none", zorder=3, **_marks(key))
    counts = table.groupby(["bin_left", "bin_right"]).n_structures.agg(["min", "max"]).reset_index()
    for _, row in counts.iterrows():
        text = count(row["min"]) if row["min"] == row["max"] else f"{count(row['min'])}–{count(row['max'])}"
        panel.text(
            (row.bin_left + row.bin_right) / 2, 1.01, text, ha="center", va="bottom", size=7, color=MUTED,
            transform=panel.get_xaxis_transform(),
        )  # fmt: skip
    low = min(table.bin_left.min(), density[density.density > 0].bin_left.min())
    high = max(table.bin_right.max(), density[density.density > 0].bin_right.max())
    panel.set_xlim(low, high)
    panel.text(-0.012, 1.01, "n =", ha="right", va="bottom", size=7, color=MUTED, transform=panel.transAxes)
    panel.set_xlabel(label)
    panel.set_ylabel(_scale(panel, "y", _extent(table), "Force MAE (meV/Å)"))
    _accuracy(panel)
    sample = _sample(tables["summary"], ["ood_all"], methods)
    _head(figure, title, f"Held-out shift groups, {sample}")
    _legend(figure, [*map(_handle, methods), _accuracy_handle(), Patch(color=PALE, label="Training structures")], 0.36, 4)
    caption = (
        f"Force MAE of the structures of all held-out shift groups, binned by {explained}. Points, dodged for clarity:"
        f" mean over structures and seeds; bars: {INTERVAL}; numbers above: structures per bin. In all:"
        f" {sample}. Grey: normalised density of the training structures. {ACCURACY}"
    )
    return figure, caption


@styled
def force_norm(tables):
    """Force MAE by mean force norm over the training density."""
    return _binned(
        tables,
        "force_norm",
        "Force error by force norm, before and after test-time training (TTT)",
        "Mean norm of the reference forces of a structure (eV/Å)",
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
        "Fraction of the eigenvalues of the graph Laplacian in [0.9, 1.1]",
        "",
        "the fraction of the eigenvalues of the normalised graph Laplacian in [0.9, 1.1]",
    )


@styled
def error_bins(tables):
    """Structures per error bin, before and after TTT."""
    table = tables["error_bins"]
    found = set(table.method)
    pairs = [(BEFORE[k], k) for k in ("joint_ttt", "freeze_ttt") if {k, BEFORE[k]} <= found]
    _need(pairs, "error_bins", "a method before and after TTT")
    left, right = "bin_left_meV_per_A", "bin_right_meV_per_A"
    figure, panels = _canvas(3.1, 1, len(pairs), left=0.6, right=0.15, top=0.75, bottom=0.95, wspace=0.35, sharey=True)
    highest = 0
    for panel, keys in zip(panels[0], pairs):
        parts = [table[table.method == k].sort_values(left).reset_index() for k in keys]
        names = [
            f"{a:g}–{b:g}" if np.isfinite(b) else f"> {a:g}" for a, b in zip(parts[0][left], parts[0][right])
        ]  # fmt: skip
        x = np.arange(len(names))
        colour = look(keys[1])[0]
        for side, part in zip((-1, 1), parts):
            panel.bar(
                x + side * 0.2, part.n_structures, 0.38, color=colour if side > 0 else "white", edgecolor=colour, lw=0.9
            )
        change = parts[1].n_structures - parts[0].n_structures
        tops = np.maximum(parts[0].n_structures, parts[1].n_structures)
        highest = max(highest, tops.max())
        for at, top, value in zip(x, tops, change):
            text = "0" if abs(value) < 0.05 else f"{'+' if value > 0 else '−'}{count(abs(value))}"
            panel.annotate(
                text, (at, top), (0, 2.5), textcoords="offset points", ha="center", va="bottom", size=7,
                color=INK if text != "0" else MUTED,
            )  # fmt: skip
        panel.set_xticks(x, names, rotation=35, ha="right", rotation_mode="anchor")
        panel.set_xlabel("Force MAE of the structure (meV/Å)")
        panel.set_title(f"{method(keys[0])} → {method(keys[1])}", pad=8)
        panel.tick_params(axis="x", length=0)
    panels[0, 0].set_ylabel("Structures (mean over seeds)")
    panels[0, 0].set_ylim(0, highest * 1.12)
    sample = _sample(tables["summary"], ["ood_all"], [k for pair in pairs for k in pair])
    _head(figure, "Structures per error bin before and after test-time training", f"Held-out shift groups, {sample}")
    _legend(
        figure,
        [
            Patch(facecolor="white", edgecolor=MUTED, lw=0.9, label="Before TTT"),
            Patch(facecolor=MUTED, edgecolor=MUTED, label="After TTT"),
            Line2D([], [], ls="none", marker="$\\pm$", color=INK, ms=6, mew=0.3, label="Change (structures)"),
        ],
        0.22,
        3,
    )
    below = "; ".join(
        f"{method(keys[1])}: {_below(table, keys[0])} before, {_below(table, keys[1])} after" for keys in pairs
    )
    low = table[table.method == pairs[0][0]].sort_values(left).iloc[0]
    caption = (
        f"Number of structures of all held-out shift groups per bin of the force MAE, before (open) and after (filled)"
        f" test-time training; numbers: change. Counts are means over seeds. {sample}."
        f" Structures below {low[right]:g} meV/Å: {below}."
    )
    return figure, caption


def _below(table, key):
    part = table[table.method == key].sort_values("bin_left_meV_per_A")
    return f"{count(part.n_structures.iloc[0])} of {count(part.n_structures.sum())}"


@styled
def ttt_steps(tables):
    """Force MAE against the TTT step, per group."""
    table = tables["steps"]
    table = table[~table.group.str.startswith("val_") & table.method.isin(BEFORE)]
    table = _need(table, "steps", "the reported groups")
    groups = ordered(table.group, GROUPS)
    methods = [k for k in ("joint_ttt", "joint_placebo", "freeze_ttt") if k in set(table.method)]
    columns = min(3, len(groups))
    rows = -(-len(groups) // columns)
    figure, panels = _canvas(
        1.4 + 1.55 * rows, rows, columns, left=0.6, right=0.15, top=0.75, bottom=0.8, wspace=0.25, hspace=0.5,
        sharex=True, sharey=True,
    )  # fmt: skip
    for panel, key in zip(panels.flat, groups):
        part = table[table.group == key]
        for name in methods:
            line = part[part.method == name].sort_values("step")
            if len(line) == 0:
                continue
            panel.fill_between(line.step, line[LOW], line[HIGH], color=look(name)[0], alpha=0.15, lw=0, zorder=1)
            panel.plot(line.step, line[MEAN], zorder=3, **_marks(name))
        _accuracy(panel)
        panel.set_title(group(key), pad=4)
        panel.text(
            1, 1.02, f"n = {_span(part.n_structures)}", ha="right", va="bottom", transform=panel.transAxes, color=MUTED,
            size=7,
        )  # fmt: skip
    for panel in panels.flat[len(groups) :]:
        panel.set_visible(False)
    label = _scale(panels[0, 0], "y", _extent(table), "Force MAE (meV/Å)")
    for panel in panels[:, 0]:
        panel.set_ylabel(label)
    for k in range(columns):
        shown = [panels[r, k] for r in range(rows) if r * columns + k < len(groups)]
        shown[-1].set_xlabel("TTT step")
        shown[-1].tick_params(labelbottom=True)
    last = table.step.max()
    panels[0, 0].set_xlim(-0.03 * last, 1.03 * last)
    _head(
        figure,
        "Force error during test-time training (TTT)",
        "Step 0 is the model before adaptation; the placebo adapts to the prior labels of another structure",
    )
    band = Patch(color=MUTED, alpha=0.2, lw=0, label="95 % interval")
    _legend(figure, [*map(_handle, methods), band, _accuracy_handle()], 0.22, 5)
    caption = (
        f"Force MAE against the number of TTT steps. Lines: mean over structures and seeds; bands: {INTERVAL}. "
        + " ".join(f"{group(g)}: {_sample(tables['summary'], [g], methods)}." for g in groups)
        + f" {ACCURACY}"
    )
    return figure, caption


def _staircase(panel, x, y, ends):
    """Lowest error reachable at a given cost or less; ends: the right limit."""
    order = np.lexsort((y, x))
    x, y = np.asarray(x)[order], np.minimum.accumulate(np.asarray(y)[order])
    panel.step([*x, ends], [*y, y[-1]], where="post", color=PALE, lw=2.5, zorder=1)


@styled
def frontier(tables):
    """Force MAE against prior calls and against seconds per structure, all methods."""
    table = _need(tables["frontier"].dropna(subset=[MEAN]), "frontier", "any method").set_index("method")
    seconds = tables["seconds"].set_index("method").seconds_per_structure
    methods = ordered(table.index, METHODS)
    timed = [k for k in methods if k in seconds.index and seconds[k] > 0]
    figure, panels = _canvas(3.5, 1, 2, left=0.65, right=2.05, top=0.75, bottom=0.5, wspace=0.3, sharey=True)
    calls, clock = panels[0]
    levels = sorted(table.prior_calls_per_structure.round(3).unique())
    centres = []
    for cluster, level in enumerate(levels):
        members = [k for k in methods if round(table.prior_calls_per_structure[k], 3) == level]
        members.sort(key=lambda k: table[MEAN][k])
        for k, key in enumerate(members):
            x = cluster + 0.8 * ((k + 0.5) / len(members) - 0.5)
            calls.errorbar(x, table[MEAN][key], yerr=_interval(table.loc[key]), elinewidth=1.1, ls="none", **_marks(key))
        centres.append(table[MEAN][members].min())
        if cluster:
            calls.axvline(cluster - 0.5, color=PALE, lw=0.6)
    _staircase(calls, np.arange(len(levels)) - 0.5, centres, len(levels) - 0.5)
    calls.set_xlim(-0.5, len(levels) - 0.5)
    calls.set_xticks(range(len(levels)), [f"{v:.2g}" for v in levels])
    calls.tick_params(axis="x", length=0)
    calls.set_xlabel("Prior calls per predicted structure")
    for key in timed:
        clock.errorbar(
            seconds[key], table[MEAN][key], yerr=_interval(table.loc[key]), elinewidth=1.1, ls="none", **_marks(key)
        )
    if timed:
        clock.set_xscale("log")
        low, high = seconds[timed].min() / 2, seconds[timed].max() * 2
        _staircase(clock, seconds[timed], table[MEAN][timed], high)
        clock.set_xlim(low, high)
        clock.xaxis.set_minor_locator(NullLocator())
        clock.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    clock.set_xlabel("Seconds per structure, log scale")
    calls.set_ylabel(_scale(calls, "y", _extent(table), "Force MAE (meV/Å)"))
    for title, panel in zip(("a  Cost in prior calls", "b  Cost in time (one core)"), (calls, clock)):
        _accuracy(panel)
        panel.set_title(title, pad=4)
    sample = _sample(tables["summary"], ["ood_all"], methods)
    _head(figure, "Accuracy and cost of every method", f"Held-out shift groups, {sample}")
    lowest = Line2D([], [], color=PALE, lw=2.5, label="Lowest error at this cost")
    _legend(
        figure, [*(_handle(k, line=False) for k in methods), lowest, _accuracy_handle()],2.8, 1, x=WIDTH - 1.95
    )
    missing = [method(k) for k in methods if k not in timed]
    caption = (
        f"Force MAE over all held-out shift groups against the cost of a prediction: (a) prior calls per structure"
        f" (methods with equal numbers side by side, best first), (b) seconds per structure on one core, adaptation and"
        f" prior calls included. Mean over structures and seeds; bars: {INTERVAL}; {sample}. Grey line: lowest mean error"
        f" at this cost or less. {ACCURACY}" + (f" Not in (b), as no time was measured: {listed(missing)}." if missing else "")
    )
    return figure, caption


FIGURES = {
    "fig_shift_axes": (shift_axes, ("shift_axes", "summary")),
    "fig_force_norm": (force_norm, ("bins", "training_density", "summary")),
    "fig_connectivity": (connectivity, ("bins", "training_density", "summary")),
    "fig_error_bins": (error_bins, ("error_bins", "summary")),
    "fig_ttt_steps": (ttt_steps, ("steps", "summary")),
    "fig_frontier": (frontier, ("frontier", "seconds", "summary")),
}


def draw(name, paths):
    """(Figure, caption) of a figure of FIGURES from the tables at `paths` {table: path}.

    Raises UserError for an unknown figure and for a missing or incomplete table.
    """
    if name not in FIGURES:
        raise UserError(f"figure {name!r} is unknown; use one of {', '.join(FIGURES)}")
    function, needed = FIGURES[name]
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

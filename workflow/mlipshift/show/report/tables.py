"""Tables of the report that every run has."""

from itertools import product

from mlipshift.base.text import count
from mlipshift.base.timing import CPU
from mlipshift.catalogue.groups import GROUPS, POOLED, group, ordered
from mlipshift.catalogue.methods import METHODS
from mlipshift.show.report import cells
from mlipshift.show.report.cells import ERROR_HEAD, cell, counted, error, group_cell, method_cell, shared
from mlipshift.show.report.format import MEAN, duration, interval, number, sample
from mlipshift.show.report.results import Results


def methods_table(results: Results) -> dict[str, list]:
    """All methods on the pooled held-out groups, with cost."""
    calls = results.tables["frontier"].set_index("method").prior_calls_per_structure
    timed = results.tables["seconds"].set_index("method")
    rows = []
    for key in ordered(results.summary.method, METHODS):
        row = results.error(key)
        if row is None:
            continue
        cost = [
            cell(f"{calls[key]:.2g}", calls[key]) if key in calls.index else cell("–"),
            _time(timed.loc[key]) if key in timed.index else cell("–"),
        ]
        rows.append([method_cell(key), *cells.error_cells(row), *cost, counted(row["n_structures"])])
    return cells.table(["Method", *ERROR_HEAD, "Prior calls per structure", "Time per structure", "n"], rows)


def _time(row):
    """Time per structure, how it was measured when pointed at."""
    seconds, measured = row["seconds_per_structure"], row["measured"]
    return cell(duration(seconds) + ("" if measured == CPU else " (GPU)"), seconds, measured)


def groups_table(results: Results) -> dict[str, list]:
    """Mean force MAE of every method in every reported group; intervals as tooltips."""
    groups = [g for g in ordered(results.summary.group, GROUPS) if not g.startswith("val_")]
    sizes = results.summary.groupby("group").n_structures.max()
    rows = []
    for key in ordered(results.summary.method, METHODS):
        line = [method_cell(key)]
        for g in groups:
            row = results.error(key, g)
            if row is None:
                line.append(cell("–"))
            else:
                title = f"95 % interval {interval(row)} meV/Å; {sample(row)}"
                line.append(cell(number(row[MEAN]), row[MEAN], title))
        rows.append(line)
    return cells.table(["Method", *(f"{group(g)} (n = {count(sizes[g])})" for g in groups)], rows)


def summary_table(results: Results) -> dict[str, list]:
    """Every method in every group, validation groups included."""
    rows = []
    for g, key in product(ordered(results.summary.group, GROUPS), ordered(results.summary.method, METHODS)):
        row = results.error(key, g)
        if row is not None:
            sizes = [counted(row[k]) for k in ("n_structures", "n_molecules", "n_seeds")]
            rows.append([group_cell(g), method_cell(key), *cells.error_cells(row), *sizes])
    return cells.table(["Group", "Method", *ERROR_HEAD, "Structures", "Molecules", "Seeds"], rows)


def paired_table(results: Results) -> dict[str, list]:
    """Every paired comparison of every group."""
    head = ["Group", "Method", "Baseline", "Baseline mean (meV/Å)", "Method mean (meV/Å)", "Difference (meV/Å)"]
    head += ["95 % interval (meV/Å)", "Median relative change", "Improved", "Worsened", "Below 25 meV/Å before"]
    head += ["Below 25 meV/Å after", "Structures", "Molecules"]
    place = {g: k for k, g in enumerate([POOLED, *(g for g in GROUPS if g != POOLED)])}
    table = results.paired.assign(_place=results.paired.group.map(place)).sort_values("_place", kind="stable")
    rows = []
    for row in table.to_dict("records"):
        relative = row["median_relative_change"]
        shares = ("fraction_improved", "fraction_worsened", "below_25_before", "below_25_after")
        rows.append(
            [
                group_cell(row["group"]),
                *(method_cell(row[k]) for k in ("method", "baseline")),
                *(error(row[k]) for k in ("baseline_mean_meV_per_A", "method_mean_meV_per_A")),
                *cells.difference_cells(row),
                cell(f"{number(100 * relative, True)} %", relative),
                *(shared(row[k], row["n_structures"]) for k in shares),
                *(counted(row[k]) for k in ("n_structures", "n_molecules")),
            ]
        )
    return cells.table(head, rows)


def known_table(results: Results) -> dict[str, list]:
    """What each method sees of a test structure."""
    calls = results.tables["frontier"].set_index("method").prior_calls_per_structure
    rows = []
    for key in ordered(results.summary.method, METHODS):
        number_of = calls[key] if key in calls.index else 0.0
        rows.append(
            [
                method_cell(key),
                cell(METHODS[key].meaning if key in METHODS else ""),
                cell("none" if number_of == 0 else f"{number_of:.2g} per structure"),
                cell("none"),
            ]
        )
    return cells.table(["Method", "What it is", "Prior labels", "Reference labels"], rows)


def failures_table(results: Results) -> dict[str, list]:
    """Structures that were left out, or without a result, with group, stage and reason."""
    rows = [row for name in ("failures", "method_failures") for row in results.tables[name].to_dict("records")]
    columns = ("id", "group", "stage", "reason")
    return cells.table(
        ["Structure", "Group", "Stage", "Reason"], ([cell(str(row[c])) for c in columns] for row in rows)
    )


def durations_table(results: Results) -> dict[str, list]:
    """Time and memory per rule."""
    rows = [
        [
            cell(row["rule"]),
            counted(row["jobs"]),
            cell(duration(row["seconds_total"]), row["seconds_total"]),
            cell(f"{row['max_rss_MB']:.0f}", row["max_rss_MB"]),
        ]
        for row in results.tables["durations"].to_dict("records")
    ]
    return cells.table(["Rule", "Jobs", "Wall time", "Largest memory (MB)"], rows)

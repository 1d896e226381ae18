"""The report: sentences and tables computed from the result tables, and one self-contained HTML page.

Every sentence is worded by the sign and the interval of the numbers it states, so that it stays true
whatever the result.
"""

import base64
import re
from itertools import product

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from mlipshift.base.errors import UserError
from mlipshift.base.text import count, listed, several
from mlipshift.catalogue.names import AXES, CRITERIA, GROUPS, MEANING, METHODS, group, method, ordered, scheme, shift
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY
from mlipshift.show.plotting import INTERVAL, look

ALL = "ood_all"
MEAN, LOW, HIGH = "mean_meV_per_A", "ci_low_meV_per_A", "ci_high_meV_per_A"
SECTIONS = (
    ("shift", "Understanding the shift", ("fig_shift_axes", "fig_force_norm", "fig_connectivity")),
    ("mitigation", "Mitigation", ("fig_error_bins", "fig_ttt_steps", "fig_prior_gain")),
    ("cost", "Cost", ("fig_conformers", "fig_frontier")),
)
TILES = ("supervised", "joint", "joint_ttt", "prior", "delta")
NO_CHOICE = ("zero", "joint_placebo")  # controls
NEEDED = ("summary", "paired", "frontier", "failures", "seconds", "durations")
OPTIONAL = ("shift_summary", "refinement", "conformers", "variants_paired", "decision", "published")


def number(value, sign=False):
    """'1,194', '131.0' or '−4.2' with a true minus sign; '–' for a missing value."""
    if value is None or not np.isfinite(value):
        return "–"
    text = f"{abs(value):,.{0 if abs(value) >= 999.95 else 1}f}"
    if text == "0.0":
        return text
    return f"{'−' if value < 0 else '+' if sign else ''}{text}"


def share(value):
    """'23 %' or '0.4 %' of a fraction; '–' for a missing value."""
    if not np.isfinite(value):
        return "–"
    return f"{100 * value:.1f} %" if 0 < abs(value) < 0.0995 else f"{100 * value:.0f} %"


def duration(seconds):
    """'0.0032 s', '0.95 s', '42 s', '13 min' or '2.1 h'."""
    if not np.isfinite(seconds):
        return "–"
    if seconds < 90:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def bracket(low, high, sign=False):
    """'[a, b]', or 'no interval' where the table has none."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return "no interval"
    return f"[{number(low, sign)}, {number(high, sign)}]"


def error_of(row):
    """'72.4 meV/Å [61.3, 88.0]' of a row of the summary."""
    return f"{number(row[MEAN])} meV/Å {bracket(row[LOW], row[HIGH])}"


def sample(row):
    """'174 structures of 43 molecules, 3 seeds' of a row of the summary or of the paired table."""
    seeds = row["n_seeds"]
    text = f"{count(row['n_structures'])} structures of {several(count(row['n_molecules']), 'molecule')}"
    if np.isfinite(seeds) and seeds > 0:
        text += f", {several(count(seeds), 'seed')}"
    return text


def verdict(row):
    """'lower', 'higher', 'same', or 'unclear' where the 95 % interval holds zero or is missing.

    Differences that round to 0.0 meV/Å are none: they come from the order of summation.
    """
    low, high = row["ci_low_meV_per_A"], row["ci_high_meV_per_A"]
    if max(abs(low), abs(high), abs(row["difference_meV_per_A"])) < RESOLUTION:
        return "same"
    return "lower" if high <= -RESOLUTION else "higher" if low >= RESOLUTION else "unclear"


RESOLUTION = 0.05  # meV/Å, half a unit of the last digit shown
VERBS = {
    "lower": "lowers",
    "higher": "raises",
    "unclear": "does not measurably change",
    "same": "does not change",
}
COMPARES = {
    "lower": "is more accurate than",
    "higher": "is less accurate than",
    "unclear": "cannot be told apart from",
    "same": "is as accurate as",
}


class Results:
    """The tables of a run with look-ups by group and method.

    tables: {name: DataFrame} of NEEDED, and of OPTIONAL if there.
    """

    def __init__(self, tables):
        self.tables = tables
        self.summary, self.paired = tables["summary"], tables["paired"]

    def error(self, key, where=ALL):
        """Row of the summary, or None."""
        return _first(self.summary[(self.summary.group == where) & (self.summary.method == key)])

    @property
    def shifts(self):
        """Names of the held-out groups, without ood_, in display order."""
        groups = {g.removeprefix("ood_") for g in self.summary.group if g.startswith("ood_") and g != ALL}
        return ordered(groups, AXES)

    def pair(self, key, baseline, where=ALL):
        """Row of the paired table, or None."""
        t = self.paired
        return _first(t[(t.group == where) & (t.method == key) & (t.baseline == baseline)])


def _first(rows):
    return None if len(rows) == 0 else rows.iloc[0]


def change(row, sampled=True):
    """'from X to Y meV/Å (paired difference D, 95 % interval [a, b]; sample)'."""
    return (
        f"from {number(row['baseline_mean_meV_per_A'])} to {number(row['method_mean_meV_per_A'])} meV/Å"
        f" (paired difference {number(row['difference_meV_per_A'], True)},"
        f" 95 % interval {bracket(row['ci_low_meV_per_A'], row['ci_high_meV_per_A'], True)}"
        + (f"; {sample(row)})" if sampled else ")")
    )


def sentences(results):
    """The summary in plain words: list of {title, text}."""
    parts = (_choice, _shift, _ttt, _per_group, _placebo, _alternatives, _transfer, _refinement)
    found = [part(results) for part in parts]
    return [{"title": title, "text": text} for title, text in filter(None, found)]


def _shift(r):
    near, far = r.error("supervised", "id_test"), r.error("supervised")
    if near is None or far is None:
        return None
    parts = {a: r.error("supervised", f"ood_{a}") for a in r.shifts}
    parts = {a: row for a, row in parts.items() if row is not None}
    text = (
        "On structures like the training set the supervised model has a force MAE of"
        f" {error_of(near)}, on the held-out shift groups {error_of(far)}:"
        f" {far[MEAN] / near[MEAN]:.1f} times the in-distribution error."
    )
    if len(parts) > 1:
        worst = max(parts, key=lambda a: parts[a][MEAN])
        each = listed(f"{shift(a).lower()} {number(row[MEAN])}" for a, row in parts.items())
        text += f" By group: {each} meV/Å; the largest is that of {shift(worst).lower()}."
    return "The shift", text


def _ttt(r):
    texts = []
    for key, before in (("joint_ttt", "joint"), ("freeze_ttt", "freeze")):
        row = r.pair(key, before)
        if row is None:
            continue
        texts.append(
            f"TTT {VERBS[verdict(row)]} the force MAE of the {method(before)} model on the held-out shift"
            f" groups: {change(row)}. It improves {share(row['fraction_improved'])} of the structures and"
            f" worsens {share(row['fraction_worsened'])}; {share(row['below_25_before'])} are below 25 meV/Å"
            f" before and {share(row['below_25_after'])} after."
        )
    return ("Test-time training (TTT)", " ".join(texts)) if texts else None


def _by_group(r, key, baseline):
    """Verdict counts and paired differences per shift group as two sentences' parts, None without such groups."""
    rows = {a: r.pair(key, baseline, f"ood_{a}") for a in r.shifts}
    rows = {a: row for a, row in rows.items() if row is not None}
    if len(rows) < 2:
        return None
    found = [verdict(row) for row in rows.values()]
    lower, higher = found.count("lower"), found.count("higher")
    counts = (
        f"lowers the error in {lower} of {len(rows)} shift groups, raises it in {higher}, and changes it by less"
        f" than can be measured in {len(rows) - lower - higher}"
    )
    each = "; ".join(
        f"{shift(a).lower()} {number(row['difference_meV_per_A'], True)}"
        f" {bracket(row['ci_low_meV_per_A'], row['ci_high_meV_per_A'], True)}"
        for a, row in rows.items()
    )
    return f"{counts}. Paired differences in meV/Å: {each}."


def _per_group(r):
    parts = _by_group(r, "joint_ttt", "joint")
    if parts is None:
        return None
    text = f"With the Joint model, TTT {parts}"
    near = r.pair("joint_ttt", "joint", "id_test")
    if near is not None:
        text += f" In distribution it {VERBS[verdict(near)]} the error: {change(near)}."
    return "By kind of shift", text


def _placebo(r):
    placebo, real = r.pair("joint_placebo", "joint"), r.pair("joint_ttt", "joint")
    if placebo is None:
        return None
    text = (
        f"The placebo, TTT on the prior labels of another structure, {VERBS[verdict(placebo)]} the force MAE:"
        f" {change(placebo)}."
    )
    if real is not None and verdict(real) == "lower":
        if verdict(placebo) != "lower":
            text += " The gain of TTT therefore needs the prior labels of the structure itself."
        else:
            gain = placebo["difference_meV_per_A"] / real["difference_meV_per_A"]
            text += (
                f" The placebo reaches {share(gain)} of the gain of TTT, so this part does not need the prior"
                " labels of the structure itself."
            )
    return "Control", text


def _alternatives(r):
    rows = {k: r.error(k) for k in ("prior", "delta")}
    stated = [f"{method(k)} gives {error_of(row)}" for k, row in rows.items() if row is not None]
    if not stated:
        return None
    text = f"On the same structures {listed(stated)}."
    for key in ("supervised", "prior", "delta"):
        row = r.pair("joint_ttt", key)
        if row is not None:
            text += (
                f" Joint + TTT {COMPARES[verdict(row)]} {method(key)} (paired difference"
                f" {number(row['difference_meV_per_A'], True)} meV/Å"
                f" {bracket(row['ci_low_meV_per_A'], row['ci_high_meV_per_A'], True)})."
            )
    return "What a user could do instead", text


def _difference(row):
    """A row of the conformers as one of the paired table."""
    names = {f"difference_{k}_meV_per_A": f"{k}_meV_per_A" for k in ("ci_low", "ci_high")}
    return row.drop([LOW, HIGH]).rename({MEAN: "method_mean_meV_per_A", **names})


def _transfer(r):
    table = r.tables.get("conformers")
    if table is None or len(table) == 0:
        return None
    own = table[(table.group == ALL) & (table.baseline == table.strategy)]
    if len(own) == 0:
        return None
    fewest, most = own.geometries.min(), own.geometries.max()
    number_of = lambda k: several(f"{k:.0f}", "geometry", "geometries")
    texts = ["Geometries of a molecule other than those it was adapted on, for which no further prior call is made."]
    for _, row in own[own.geometries == fewest].iterrows():
        pair = _difference(row)
        texts.append(
            f"Adapted on {number_of(fewest)}, {scheme(row['scheme'])} {VERBS[verdict(pair)]} the force MAE:"
            f" {change(pair)}."
        )
        harmed = [
            shift(a).lower()
            for a in r.shifts
            for _, part in table[
                (table.group == f"ood_{a}")
                & (table.scheme == row["scheme"])
                & (table.geometries == fewest)
                & (table.baseline == table.strategy)
            ].iterrows()
            if verdict(_difference(part)) == "higher"
        ]
        if harmed and len(r.shifts) > 1:
            texts[-1] += f" It raises the error on: {listed(harmed)}."
    if most > fewest:
        last = own[own.geometries == most]
        best = last.loc[last[MEAN].idxmin()]
        text = f"On {number_of(most)} the best scheme is {scheme(best['scheme'])}, {change(_difference(best))}."
        for key in ("prior", "delta"):
            other = table[
                (table.group == ALL)
                & (table.scheme == best["scheme"])
                & (table.geometries == most)
                & (table.baseline == key)
            ]
            if len(other):
                pair = _difference(other.iloc[0])
                text += (
                    f" It {COMPARES[verdict(pair)]} {method(key)}, which needs a prior call for every prediction"
                    f" ({number(pair['baseline_mean_meV_per_A'])} meV/Å, paired difference"
                    f" {number(pair['difference_meV_per_A'], True)}"
                    f" {bracket(pair['ci_low_meV_per_A'], pair['ci_high_meV_per_A'], True)})."
                )
        texts.append(text)
    return "One adaptation, many predictions", " ".join(texts)


def _refinement(r):
    texts, idle = [], []
    kinds = {"rr": "as published", "rr_fallback": "with a fallback to the trained radius"}
    for base, suffix in product(("supervised", "joint"), kinds):
        row = r.pair(f"{base}_{suffix}", base)
        if row is None:
            continue
        if verdict(row) == "same":
            idle.append(f"{method(base)} {kinds[suffix]}")
        else:
            texts.append(
                f"Radius refinement {kinds[suffix]} {VERBS[verdict(row)]} the force MAE of the {method(base)}"
                f" model: {change(row, sampled=False)}."
            )
    if idle:
        texts.append(
            f"Radius refinement leaves the force MAE as it is for {listed(idle)}: the paired differences and"
            " their intervals are below 0.05 meV/Å."
        )
    return ("Radius refinement (RR)", " ".join(texts)) if texts else None


def _choice(r):
    """Which method has the lowest mean error, with and without prior calls."""
    table = r.tables["frontier"].dropna(subset=[MEAN])
    table = table[~table.method.isin(NO_CHOICE)]
    if len(table) == 0:
        return None
    seconds = r.tables["seconds"].set_index("method").seconds_per_structure

    def named(row):
        key = row["method"]
        cost = f", {duration(seconds[key])} per structure on one core" if key in seconds.index else ""
        return f"{method(key)} ({error_of(row)}{cost})"

    # a tie goes to the plainer method
    table = table.assign(place=[list(METHODS).index(k) for k in table.method]).sort_values("place")
    table[MEAN] = table[MEAN].round(1)
    best = table.loc[table[MEAN].idxmin()]
    free = table[table.prior_calls_per_structure == 0]
    text = f"The lowest mean force MAE on the held-out shift groups has {named(best)}"
    if len(free) and best["prior_calls_per_structure"] > 0:
        second = free.loc[free[MEAN].idxmin()]
        text += f"; among the methods that need no prior call per structure it is {named(second)}"
    reached = "below" if best[MEAN] < CHEMICAL_ACCURACY else "not below"
    text += f". The lowest mean is {reached} chemical accuracy ({CHEMICAL_ACCURACY} meV/Å)."
    return "Which to use", text


def tiles(results):
    """Headline numbers: list of {name, key, value, interval, colour}."""
    rows = [(k, results.error(k)) for k in TILES]
    return [
        {
            "name": method(k),
            "key": k,
            "value": number(row[MEAN]),
            "interval": bracket(row[LOW], row[HIGH]),
            "colour": look(k)[0],
        }
        for k, row in rows
        if row is not None
    ]


def cell(text, value=None, title=None, colour=None):
    """One table cell; `value` is what sorting uses, numbers are aligned right."""
    if value is not None and not np.isfinite(value):
        value = None
    return {
        "text": text,
        "sort": text if value is None else value,
        "title": title,
        "colour": colour,
        "number": value is not None or text == "–",
    }


def method_cell(key):
    meaning = MEANING.get(key)
    return cell(method(key), title=f"{key}: {meaning}" if meaning else key, colour=look(key)[0])


ERROR_HEAD = (
    "Mean (meV/Å)",
    "95 % interval (meV/Å)",
    "Median (meV/Å)",
    "Quartiles (meV/Å)",
    "Below 25 meV/Å",
    f"Below {CHEMICAL_ACCURACY} meV/Å",
)


def _error_cells(row):
    """Cells under ERROR_HEAD of one row of the summary."""
    median, q25, q75 = (row[f"{k}_meV_per_A"] for k in ("median", "q25", "q75"))
    return [
        cell(number(row[MEAN]), row[MEAN]),
        cell(bracket(row[LOW], row[HIGH]), row[LOW]),
        cell(number(median), median),
        cell(f"{number(q25)} to {number(q75)}", q25),
        *(cell(share(row[k]), row[k]) for k in ("below_25_meV_per_A", "below_43_meV_per_A")),
    ]


def methods_table(results):
    """All methods on the pooled held-out groups, with cost."""
    calls = results.tables["frontier"].set_index("method").prior_calls_per_structure
    seconds = results.tables["seconds"].set_index("method").seconds_per_structure
    rows = []
    for key in ordered(results.summary.method, METHODS):
        row = results.error(key)
        if row is None:
            continue
        cost = [
            cell(f"{calls[key]:.2g}", calls[key]) if key in calls.index else cell("–"),
            cell(duration(seconds[key]), seconds[key]) if key in seconds.index else cell("–"),
        ]
        rows.append(
            [
                method_cell(key),
                *_error_cells(row),
                *cost,
                cell(count(row["n_structures"]), row["n_structures"]),
            ]
        )
    return {
        "head": ["Method", *ERROR_HEAD, "Prior calls per structure", "Time per structure", "n"],
        "rows": rows,
    }


def groups_table(results):
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
                title = f"95 % interval {bracket(row[LOW], row[HIGH])} meV/Å; {sample(row)}"
                line.append(cell(number(row[MEAN]), row[MEAN], title))
        rows.append(line)
    return {"head": ["Method", *(f"{group(g)} (n = {count(sizes[g])})" for g in groups)], "rows": rows}


def summary_table(results):
    """Every method in every group, validation groups included."""
    rows = []
    for g, key in product(ordered(results.summary.group, GROUPS), ordered(results.summary.method, METHODS)):
        row = results.error(key, g)
        if row is not None:
            sizes = [cell(_whole(row[k]), row[k]) for k in ("n_structures", "n_molecules", "n_seeds")]
            rows.append([cell(group(g), title=g), method_cell(key), *_error_cells(row), *sizes])
    return {"head": ["Group", "Method", *ERROR_HEAD, "Structures", "Molecules", "Seeds"], "rows": rows}


def _whole(value):
    return count(value) if np.isfinite(value) else "–"


def paired_table(results):
    """Every paired comparison of every group."""
    head = [
        "Group",
        "Method",
        "Baseline",
        "Baseline mean (meV/Å)",
        "Method mean (meV/Å)",
        "Difference (meV/Å)",
        "95 % interval (meV/Å)",
        "Median relative change",
        "Improved",
        "Worsened",
        "Below 25 meV/Å before",
        "Below 25 meV/Å after",
        "Structures",
        "Molecules",
    ]
    place = {g: k for k, g in enumerate([ALL, *(g for g in GROUPS if g != ALL)])}
    table = results.paired.assign(_place=results.paired.group.map(place)).sort_values("_place", kind="stable")
    rows = []
    for row in table.to_dict("records"):
        numbers = [row[k] for k in ("baseline_mean_meV_per_A", "method_mean_meV_per_A")]
        difference, low, high = (row[f"{k}_meV_per_A"] for k in ("difference", "ci_low", "ci_high"))
        shares = [row[k] for k in ("fraction_improved", "fraction_worsened", "below_25_before", "below_25_after")]
        relative = row["median_relative_change"]
        rows.append(
            [
                cell(group(row["group"]), title=row["group"]),
                method_cell(row["method"]),
                method_cell(row["baseline"]),
                *(cell(number(v), v) for v in numbers),
                cell(number(difference, True), difference),
                cell(bracket(low, high, True), low),
                cell(f"{number(100 * relative, True)} %", relative),
                *(cell(share(v), v) for v in shares),
                cell(count(row["n_structures"]), row["n_structures"]),
                cell(count(row["n_molecules"]), row["n_molecules"]),
            ]
        )
    return {"head": head, "rows": rows}


def known_table(results):
    """What each method sees of a test structure."""
    calls = results.tables["frontier"].set_index("method").prior_calls_per_structure
    rows = []
    for key in ordered(results.summary.method, METHODS):
        number_of = calls[key] if key in calls.index else 0.0
        rows.append(
            [
                method_cell(key),
                cell(MEANING.get(key, "")),
                cell("none" if number_of == 0 else f"{number_of:.2g} per structure"),
                cell("none"),
            ]
        )
    return {"head": ["Method", "What it is", "Prior labels", "Reference labels"], "rows": rows}


def diagnosis_table(results):
    """Share of structures outside the training distribution by criterion and group; None without one."""
    table = results.tables.get("shift_summary")
    if table is None or len(table) == 0:
        return None
    table = table[(table.group != "train") & ~table.group.str.startswith("val_")]
    table = table[~table.criterion.str.startswith("reference_")]  # the caption promises no reference label
    groups = ordered(table.group, GROUPS)
    rows = []
    for criterion in ordered(table.criterion, CRITERIA):
        line = [cell(CRITERIA.get(criterion, criterion), title=criterion)]
        for g in groups:
            row = _first(table[(table.criterion == criterion) & (table.group == g)])
            if row is None:
                line.append(cell("–"))
                continue
            known = f"{row['training_mean']:.3g} ± {row['training_standard_deviation']:.2g}"
            outside = row["fraction_outside"]
            line.append(cell(share(outside), outside, f"mean {row['mean']:.3g}; training {known}"))
        rows.append(line)
    return {"head": ["Criterion", *(group(g) for g in groups)], "rows": rows}


def refinement_table(results):
    """Which radii radius refinement chose and what that changed; None where it was not run."""
    table = results.tables.get("refinement")
    if table is None or len(table) == 0:
        return None
    head = ["Model", "Group", "Structures", "Trained cutoff (Å)", "Mean chosen radius (Å)"]
    head += ["Chosen below the cutoff", "Edges removed", "Refined with fallback"]
    rows = []
    for row in table.to_dict("records"):
        shares = ("fraction_below_trained", "fraction_edges_removed", "fraction_refined_with_fallback")
        lengths = ("trained_cutoff_A", "mean_radius_A")
        rows.append(
            [
                method_cell(row["strategy"]),
                cell(group(row["group"]), title=row["group"]),
                cell(count(row["n_structures"]), row["n_structures"]),
                *(cell(f"{row[k]:.2f}", row[k]) for k in lengths),
                *(cell(share(row[k]), row[k]) for k in shares),
            ]
        )
    return {"head": head, "rows": rows}


def conformers_table(results):
    """Error on unseen geometries per scheme and number of geometries; None where there is no such molecule."""
    table = results.tables.get("conformers")
    if table is None or len(table) == 0:
        return None
    head = ["Group", "Scheme", "Geometries", "Prior calls per molecule", "Mean (meV/Å)", "95 % interval (meV/Å)"]
    head += ["Against", "Its mean (meV/Å)", "Difference (meV/Å)", "95 % interval (meV/Å)", "Improved", "n"]
    rows = []
    for row in table[table.group.isin([ALL, "ood_common"])].to_dict("records"):
        difference, low, high = (row[f"difference_{k}meV_per_A"] for k in ("", "ci_low_", "ci_high_"))
        rows.append(
            [
                cell(group(row["group"]), title=row["group"]),
                cell(scheme(row["scheme"]), title=row["scheme"]),
                *(cell(f"{row[k]:g}", row[k]) for k in ("geometries", "prior_calls_per_molecule")),
                cell(number(row[MEAN]), row[MEAN]),
                cell(bracket(row[LOW], row[HIGH]), row[LOW]),
                method_cell(row["baseline"]),
                cell(number(row["baseline_mean_meV_per_A"]), row["baseline_mean_meV_per_A"]),
                cell(number(difference, True), difference),
                cell(bracket(low, high, True), low),
                cell(share(row["fraction_improved"]), row["fraction_improved"]),
                cell(count(row["n_structures"]), row["n_structures"]),
            ]
        )
    return {"head": head, "rows": rows}


def variants_table(results):
    """Paired differences of the further adaptations on the held-out groups; None where there are none."""
    table = results.tables.get("variants_paired")
    if table is None or len(table) == 0:
        return None
    rows = []
    for row in table[table.group == ALL].to_dict("records"):
        difference, low, high = (row[f"{k}_meV_per_A"] for k in ("difference", "ci_low", "ci_high"))
        rows.append(
            [
                cell(scheme(row["method"]), title=row["method"]),
                method_cell(row["baseline"]),
                *(cell(number(row[k]), row[k]) for k in ("method_mean_meV_per_A", "baseline_mean_meV_per_A")),
                cell(number(difference, True), difference),
                cell(bracket(low, high, True), low),
                *(cell(share(row[k]), row[k]) for k in ("fraction_improved", "fraction_worsened")),
                cell(count(row["n_structures"]), row["n_structures"]),
            ]
        )
    head = ["Adaptation", "Against", "Its mean (meV/Å)", "Mean of the other (meV/Å)", "Difference (meV/Å)"]
    return {"head": [*head, "95 % interval (meV/Å)", "Improved", "Worsened", "n"], "rows": rows}


def decision_table(results):
    """The rational choice over predictions per adaptation and cost of the prior; None without one."""
    table = results.tables.get("decision")
    if table is None or len(table) == 0:
        return None
    rows = []
    for row in table.to_dict("records"):
        budget = row["budget_seconds_per_prediction"]
        chosen = isinstance(row["choice"], str)
        rows.append(
            [
                cell(duration(row["prior_seconds"]), row["prior_seconds"]),
                cell(f"{row['predictions_per_adaptation']:,.0f}", row["predictions_per_adaptation"]),
                cell(duration(budget) if np.isfinite(budget) else "any", budget),
                cell(scheme(row["choice"]) if chosen else "none is that cheap"),
                cell(number(row["error_meV_per_A"]), row["error_meV_per_A"]),
                cell(duration(row["seconds_per_prediction"]), row["seconds_per_prediction"]),
                cell(" > ".join(map(scheme, row["frontier"].split(" > ")))),
            ]
        )
    head = ["A prior call takes", "Predictions per adaptation", "Allowed per prediction", "Choice", "Error (meV/Å)"]
    return {"head": [*head, "Takes per prediction", "No method is better at its cost, best first"], "rows": rows}


def published_table(results):
    """Published values beside those of the run; None without that table."""
    table = results.tables.get("published")
    if table is None or len(table) == 0:
        return None
    rows = []
    for row in table.to_dict("records"):
        unit = row["unit"] if isinstance(row["unit"], str) else ""
        unit = "" if unit == "ratio" else f" {unit}"
        made = np.isfinite(row["ours"])
        if not made and isinstance(row["ours_is"], str):
            continue  # this run has no such group
        ours = f"{row['ours']:.3g}{unit}" if made else "–"
        rows.append(
            [
                cell(row["quantity"]),
                cell(f"{row['model']}, {row['data']}"),
                cell(f"{row['published']:g}{unit}", row["published"]),
                cell(row["reading"], title=row["place"]),
                cell(ours, row["ours"], title=row["ours_is"] if made else "not made by this run"),
            ]
        )
    return {"head": ["Quantity", "Published for", "Published", "Reading", "This run"], "rows": rows}


def failures_table(results):
    """Failed structures with stage and reason."""
    return {
        "head": ["Structure", "Stage", "Reason"],
        "rows": [
            [cell(str(r[c])) for c in ("id", "stage", "reason")] for r in results.tables["failures"].to_dict("records")
        ],
    }


def durations_table(results):
    """Time and memory per rule."""
    return {
        "head": ["Rule", "Jobs", "Total time", "Largest memory (MB)"],
        "rows": [
            [
                cell(r["rule"]),
                cell(count(r["jobs"]), r["jobs"]),
                cell(duration(r["seconds_total"]), r["seconds_total"]),
                cell(f"{r['max_rss_MB']:.0f}", r["max_rss_MB"]),
            ]
            for r in results.tables["durations"].to_dict("records")
        ],
    }


def flat(settings, prefix=""):
    """Rows (key path, value) of nested settings; lists of plain values stay on one line."""
    if isinstance(settings, dict):
        return [r for k, v in settings.items() for r in flat(v, f"{prefix}.{k}" if prefix else str(k))]
    if isinstance(settings, list) and any(isinstance(v, (dict, list)) for v in settings):
        return [r for k, v in enumerate(settings) for r in flat(v, f"{prefix}[{k}]")]
    text = ", ".join(map(str, settings)) if isinstance(settings, list) else str(settings)
    return [(prefix, text)]


def figures(folder):
    """{name: {number, source, caption, title}} of the drawn figures; the SVG as data URI."""
    out = {}
    names = [n for _, _, members in SECTIONS for n in members]
    for k, name in enumerate(names, 1):
        drawing, caption = folder / f"{name}.svg", folder / f"{name}.txt"
        for path in (drawing, caption):
            if not path.exists():
                raise UserError(f"{path}: the report needs this figure; run `snakemake {name}`")
        out[name] = {"number": k, **embedded(drawing)}
    return out


def embedded(drawing):
    """{source, caption, alt} of an SVG file and the text file beside it; the SVG as data URI."""
    text = drawing.with_suffix(".txt").read_text(encoding="utf-8").strip()
    code = base64.b64encode(drawing.read_bytes()).decode()
    return {
        "source": f"data:image/svg+xml;base64,{code}",
        "caption": text,
        "alt": re.split(r"(?<=[a-zÅ)])\. ", text)[0],
    }


def unbroken(text):
    """Escaped text in which units and sample sizes do not break across lines."""
    return Markup(re.sub(r"(1 kcal/mol/Å|meV/Å|eV/Å|n = [\d.]+)", r'<span class="u">\1</span>', str(escape(text))))


def page(template):
    """Jinja template of a report, from its path."""
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["units"] = unbroken
    return environment.get_template(template.name)


def render(template, tables, drawn, info):
    """HTML of the report.

    template: path of the Jinja template; tables: {name: DataFrame} of NEEDED, and of OPTIONAL if there;
    drawn: from `figures`; info: the dictionary of run_info.json.
    """
    results = Results(tables)
    return page(template).render(
        info=info,
        interval=INTERVAL,
        accuracy=CHEMICAL_ACCURACY,
        tiles=tiles(results),
        pooled=results.error("supervised"),
        sample=sample,
        sentences=sentences(results),
        sections=SECTIONS,
        figures=drawn,
        methods=methods_table(results),
        groups=groups_table(results),
        summary=summary_table(results),
        paired=paired_table(results),
        diagnosis=diagnosis_table(results),
        refinement=refinement_table(results),
        published=published_table(results),
        conformers=conformers_table(results),
        variants=variants_table(results),
        decision=decision_table(results),
        known=known_table(results),
        failures=failures_table(results),
        durations=durations_table(results),
        config=flat(info.get("config", {})),
    )

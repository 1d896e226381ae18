"""The answer, first on the page: what shifted, what it cost, what to do.

As in the sentences, every word follows from the sign and the interval of the numbers it is said with.
"""

from typing import Any

import pandas as pd

from mlipshift.base.text import count, listed, several
from mlipshift.catalogue.groups import shift
from mlipshift.catalogue.methods import METHODS, look, title
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY
from mlipshift.show.report import shifts
from mlipshift.show.report.format import (
    HIGH,
    LOW,
    MEAN,
    VERBS,
    difference,
    duration,
    error_of,
    interval,
    number,
    sample,
    share,
    verdict,
)
from mlipshift.show.report.results import Results

Block = dict[str, Any]
TILES = ("supervised", "joint", "joint_ttt", "joint_corrected", "prior", "delta", "joint_corrected_delta")
BESIDE = {
    "lower": "more accurate",
    "higher": "less accurate",
    "unclear": "cannot be told apart",
    "same": "as accurate",
}
SIMPLER = ("prior", "delta", "joint_corrected")  # what a user could do instead of TTT


def blocks(results: Results) -> list[Block]:
    """[{title, headline, lines}] of the answer; lines: {term, text}, the term may be empty."""
    return [_shifted(results), _cost(results), _advice(results)]


def tiles(results: Results) -> list[dict[str, str]]:
    """Headline numbers: list of {name, key, value, interval, spent, colour}."""
    calls = results.tables["frontier"].set_index("method").prior_calls_per_structure
    seconds = results.tables["seconds"].set_index("method").seconds_per_structure
    rows = [(k, results.error(k)) for k in TILES]
    return [
        {
            "name": title(k),
            "key": k,
            "value": number(row[MEAN]),
            "interval": interval(row),
            "spent": _spent(calls.get(k), seconds.get(k)),
            "colour": look(k)[0],
        }
        for k, row in rows
        if row is not None
    ]


def _spent(calls, seconds):
    """'1 prior call, 0.0015 s' of what is known of the cost of a structure."""
    words = [] if calls is None else ["no prior call" if calls == 0 else several(f"{calls:.2g}", "prior call")]
    return ", ".join(words + ([] if seconds is None else [duration(seconds)]))


def _block(name, headline, *lines):
    found = [line if isinstance(line, tuple) else ("", line) for line in lines if line]
    return {"title": name, "headline": headline, "lines": [{"term": a, "text": b} for a, b in found]}


def _shifted(r):
    """How many groups lie outside the training distribution, and each by what."""
    name, table = "What shifted", r.optional("shift_summary")
    found = [] if table is None else shifts.briefly(table[~table.group.str.startswith("val_")])
    held_out = [f for f in found if f["key"].startswith("ood_")]
    known = [f for f in held_out if f["far"] is not None]
    if not known:
        rows = [(a, r.error("supervised", f"ood_{a}")) for a in r.shifts]
        lines = [(shift(a), _structures(row)) for a, row in rows if row is not None]
        headline = f"{several(len(r.shifts), 'group')} of structures held out of training"
        return _block(name, headline, *lines, "How far they lie from the training data was not measured.")
    outside = sum(bool(f["far"]) for f in known)
    whole = "Both" if len(known) == 2 else f"All {len(known)}"
    everything = whole if outside == len(known) else f"{outside} of {len(known)}"
    headline = f"{everything} held-out {'group' if len(known) == 1 else 'groups'} lie outside the training data"
    if len(known) == 1:
        headline = f"The held-out group {'lies' if outside else 'does not lie'} outside the training data"
    inside = [f | {"title": "Like training"} for f in found if f["key"] == "id_test"]
    named = [(f["title"].removeprefix("Held out: "), f) for f in held_out + inside]
    lines = [(f"{name[:1].upper()}{name[1:]} ({count(f['number'])})", _far(f)) for name, f in named]
    usual = max((usual for f in held_out + inside for *_, usual in f["far"] or []), default=0.0)
    note = "Shares of structures further out than the limit of the settings"
    return _block(name, headline, *lines, f"{note}{f' (of training itself: up to {share(usual)})' if usual else ''}.")


def _far(found):
    if found["far"] is None:
        return "not known"
    if not found["far"]:
        return "no further out than training itself"
    return listed(f"{share(s, found['number'])} by {aspect}" for aspect, s, _ in found["far"][:3])


def _structures(row):
    return f"{count(row['n_structures'])} structures of {several(count(row['n_molecules']), 'molecule')}"


def _cost(r):
    """What the shift costs in accuracy: the error outside beside that inside."""
    name, near, far = "What it cost", r.error("supervised", "id_test"), r.error("supervised")
    if far is None:
        return _block(name, "Not measured", "No supervised model was evaluated on held-out structures.")
    outside = ("Held out", f"{error_of(far)}; {sample(far)}")
    rows = [(a, r.error("supervised", f"ood_{a}")) for a in r.shifts]
    rows = sorted(((a, row) for a, row in rows if row is not None), key=lambda one: -one[1][MEAN])
    each = [(shift(a), f"{number(row[MEAN])} {interval(row)}") for a, row in rows] if len(rows) > 1 else []
    if near is None:
        return _block(name, f"A force error of {number(far[MEAN])} meV/Å", outside, *each)
    apart = far[LOW] > near[HIGH] or far[HIGH] < near[LOW]
    times = f"{far[MEAN] / near[MEAN]:.1f} times the force error"
    headline = times if apart else "No change of the force error that can be measured"
    lines = [("Like training", f"{error_of(near)}; {_structures(near)}"), outside, *each]
    return _block(name, headline, *lines, "Mean force MAE of the supervised model, for which nothing was done.")


def _advice(r):
    """The most accurate method and its price, TTT beside what is simpler, and what needs no prior call."""
    name, table = "What to do", r.candidates
    if len(table) == 0:
        return _block(name, "Nothing can be said", "No method was evaluated on held-out structures.")
    calls, best = table.set_index("method").prior_calls_per_structure, table.loc[table[MEAN].idxmin()]
    headline = f"{title(best['method'])}: {number(best[MEAN])} meV/Å"
    meaning = METHODS[best["method"]].meaning
    price = f"{_price(r, best['method'], calls)}; interval {interval(best)}.{_as_good(r, best['method'])}"
    lines = [("Most accurate", f"{meaning}; {price}")]
    lines += _beside(r)
    if (refined := r.pair("supervised_rr", "supervised")) is not None:
        said = f"{VERBS[verdict(refined)]} the error of {title('supervised')} ({difference(refined)})."
        lines.append(("Radius refinement (RR)", said))
    free = table[table.prior_calls_per_structure == 0]
    if len(free) and best["prior_calls_per_structure"] > 0:
        row = free.loc[free[MEAN].idxmin()]
        lines.append(("Without a prior call", f"{title(row['method'])}, {error_of(row)}."))
    reached = table[table[MEAN] < CHEMICAL_ACCURACY].method.map(title).tolist()
    who = listed(reached) if reached else "no method"
    lines.append(("Chemical accuracy", f"{CHEMICAL_ACCURACY} meV/Å is reached by {who}, in the mean."))
    return _block(name, headline, *lines)


def _price(r, key, calls):
    seconds = r.tables["seconds"].set_index("method")
    words = [several(f"{calls[key]:.2g}", "prior call") if calls[key] else "no prior call"]
    if key in seconds.index:
        words.append(f"{duration(seconds.seconds_per_structure[key])} of {seconds.measured[key]}")
    return f"{' and '.join(words)} per structure"


def _as_good(r, key):
    """Which simpler methods the best one is not shown to be better than."""
    rows: dict[str, pd.Series | None] = {k: r.against(key, k) for k in SIMPLER if k != key}
    same = [title(k) for k, row in rows.items() if row is not None and verdict(row) in ("unclear", "same")]
    return f" It cannot be told apart from {listed(same)}." if same else ""


def _beside(r):
    """Lines on TTT against its own model, and against each of the simpler methods."""
    before = METHODS["joint_ttt"].before
    own = r.pair("joint_ttt", before)
    if own is None:
        return []
    text = (
        f"{VERBS[verdict(own)]} the error of {title(before)}, from {number(own['baseline_mean_meV_per_A'])} to"
        f" {number(own['method_mean_meV_per_A'])} meV/Å ({difference(own)})."
    )
    rows: dict[str, pd.Series | None] = {k: r.against("joint_ttt", k) for k in SIMPLER}
    beside = [
        (f"TTT beside {title(k)}", f"{BESIDE[verdict(row)]}, {difference(row)}.")
        for k, row in rows.items()
        if row is not None
    ]
    return [("Test-time training (TTT)", text), *beside]

"""The summary in plain words.

Every sentence is worded by the sign and the interval of the numbers it states, so that it stays true whatever the
result.
"""

from itertools import product

import pandas as pd

from mlipshift.base.text import listed, several
from mlipshift.catalogue.groups import POOLED, shift
from mlipshift.catalogue.methods import METHODS, scheme_title, title
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY
from mlipshift.show.report import shifts
from mlipshift.show.report.format import (
    COMPARES,
    HIGH,
    LOW,
    MEAN,
    VERBS,
    change,
    difference,
    duration,
    error_of,
    interval,
    number,
    portion,
    share,
    verdict,
)
from mlipshift.show.report.motion import dynamics_sentence
from mlipshift.show.report.results import Results
from mlipshift.show.report.rewiring import rewiring_sentence

CORRECTED = "joint_corrected"


def sentences(results: Results) -> list[dict[str, str]]:
    """The summary: list of {title, text}."""
    parts = (_choice, _shift, _where, _ttt, _per_group, _correction, _placebo, _alternatives, _transfer, _refinement)
    parts = (*parts, rewiring_sentence, dynamics_sentence)
    found = [part(results) for part in parts]
    return [{"title": title, "text": text} for title, text in filter(None, found)]


def _choice(r):
    """Which method has the lowest mean error, with and without prior calls."""
    table = r.candidates
    if len(table) == 0:
        return None
    seconds = r.tables["seconds"].set_index("method")
    timed, how = seconds.seconds_per_structure, seconds.measured

    def named(row):
        key = row["method"]
        cost = f", {duration(timed[key])} of {how[key]} per structure" if key in timed.index else ""
        return f"{title(key)} ({error_of(row)}{cost})"

    best = table.loc[table[MEAN].idxmin()]
    free = table[table.prior_calls_per_structure == 0]
    text = f"The lowest mean force MAE on the held-out shift groups has {named(best)}"
    if len(free) and best["prior_calls_per_structure"] > 0:
        second = free.loc[free[MEAN].idxmin()]
        text += f"; among the methods that need no prior call per structure it is {named(second)}"
    text += _correction_in_short(r)
    reached = "below" if best[MEAN] < CHEMICAL_ACCURACY else "not below"
    text += f". The lowest mean is {reached} chemical accuracy ({CHEMICAL_ACCURACY} meV/Å)."
    return "Which to use", text


def _correction_in_short(r):
    """What the correction gives at what cost, behind the choice."""
    row, calls = r.error(CORRECTED), METHODS[CORRECTED].prior_calls
    if row is None or calls != 1:
        return ""
    text = f". {title(CORRECTED)} ({error_of(row)}) costs one prior call per prediction and no gradient step"
    other = r.pair(CORRECTED, "joint_ttt")
    if other is not None:
        text += f"; it {COMPARES[verdict(other)]} Joint + TTT, paired difference {difference(other)} meV/Å"
    return text


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


def _where(r):
    """How the held-out groups lie to the training structures."""
    table = r.optional("shift_summary")
    if table is None:
        return None
    held_out = table[(table.group == "train") | table.group.str.startswith("ood_")]
    found = [f"{part['title']}: {part['text']}" for part in shifts.sentences(held_out)]
    return ("Where the held-out groups lie", " ".join(found)) if found else None


def _ttt(r):
    texts = []
    for key in ("joint_ttt", "freeze_ttt"):
        before = METHODS[key].before
        row = r.pair(key, before)
        if row is None:
            continue
        n = row["n_structures"]
        texts.append(
            f"TTT {VERBS[verdict(row)]} the force MAE of the {title(before)} model on the held-out shift"
            f" groups: {change(row)}. It improves {portion(row['fraction_improved'], n)} and worsens"
            f" {share(row['fraction_worsened'], n)}; {share(row['below_25_before'], n)} are below 25 meV/Å"
            f" before and {share(row['below_25_after'], n)} after."
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
    each = "; ".join(f"{shift(a).lower()} {difference(row)}" for a, row in rows.items())
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


def _correction(r):
    texts = []
    for key in (CORRECTED, "freeze_corrected"):
        before = METHODS[key].before
        row = r.pair(key, before)
        if row is None:
            continue
        n = row["n_structures"]
        texts.append(
            f"Adding what the prior head lacks to the prior label {VERBS[verdict(row)]} the force MAE of the"
            f" {title(before)} model on the held-out shift groups: {change(row)}. It improves"
            f" {portion(row['fraction_improved'], n)} and worsens {share(row['fraction_worsened'], n)}."
        )
    if not texts:
        return None
    for key, other in ((CORRECTED, "delta"), (f"{CORRECTED}_delta", "delta"), ("joint_ttt_delta", "delta")):
        row = r.pair(key, other)
        if row is not None:
            found = f"paired difference {difference(row)} meV/Å"
            texts.append(f"“{title(key)}” {COMPARES[verdict(row)]} {title(other)} ({found}).")
    texts.append(
        "A correction needs a prior call for every prediction, as Δ-learning does; a model that is adapted once"
        " predicts further geometries without one. Its forces are conservative where those of network and prior are."
    )
    return "Residual correction", " ".join([*texts, *_weight(r)])


def _weight(r):
    """Whether the weight of the correction is the best one of the validation groups, a sentence for each model."""
    table = r.optional("correction_weights")
    if table is None:
        return []
    texts = []
    for key, part in table.groupby("method", sort=False):
        used, best = part[part.used].iloc[0], part.loc[part[MEAN].round(1).idxmin()]
        if round(used[MEAN], 1) <= round(best[MEAN], 1):
            texts.append(f"On the validation groups no other weight of {title(key)} is better than {used['weight']:g}.")
        else:
            texts.append(
                f"On the validation groups the weight {best['weight']:g} of {title(key)} has a lower force MAE"
                f" ({error_of(best)}) than the one of the settings, {used['weight']:g} ({error_of(used)}); set"
                " correction.weight."
            )
    return texts


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
    corrected = r.pair("joint_corrected_placebo", "joint")
    if corrected is not None:
        text += f" The correction by the same foreign labels {VERBS[verdict(corrected)]} it: {change(corrected)}."
    return "Control", text


def _alternatives(r):
    rows = {k: r.error(k) for k in ("prior", CORRECTED, "delta", f"{CORRECTED}_delta")}
    stated = [f"{title(k)} gives {error_of(row)}" for k, row in rows.items() if row is not None]
    if not stated:
        return None
    text = f"On the same structures {listed(stated)}."
    for key in ("supervised", "prior", "delta"):
        row = r.pair("joint_ttt", key)
        if row is not None:
            found = f"{number(row['difference_meV_per_A'], True)} meV/Å {interval(row, True)}"
            text += f" Joint + TTT {COMPARES[verdict(row)]} {title(key)} (paired difference {found})."
    return "What a user could do instead", text


def _transfer(r):
    table = r.optional("conformers")
    if table is None:
        return None
    own = table[(table.group == POOLED) & (table.baseline == table.strategy)]
    if len(own) == 0:
        return None
    fewest, most = own.geometries.min(), own.geometries.max()
    texts = ["Geometries of a molecule other than those it was adapted on, for which no further prior call is made."]
    for _, row in own[own.geometries == fewest].iterrows():
        pair = _as_pair(row)
        texts.append(
            f"Adapted on {_geometries(fewest)}, {scheme_title(row['scheme'])} {VERBS[verdict(pair)]} the force MAE:"
            f" {change(pair)}."
        )
        harmed = _harmed(r, table[(table.scheme == row["scheme"]) & (table.geometries == fewest)])
        if harmed and len(r.shifts) > 1:
            texts[-1] += f" It raises the error on: {listed(harmed)}."
    if most > fewest:
        last = own[own.geometries == most]
        texts.append(_best_scheme(last.loc[last[MEAN].idxmin()], table[table.group == POOLED]))
    return "One adaptation, many predictions", " ".join(texts)


def _as_pair(row: pd.Series) -> pd.Series:
    """A row of the conformers as one of the paired table."""
    names = {f"difference_{k}_meV_per_A": f"{k}_meV_per_A" for k in ("ci_low", "ci_high")}
    return row.drop([LOW, HIGH]).rename({MEAN: "method_mean_meV_per_A", **names})


def _geometries(number_of):
    return several(f"{number_of:.0f}", "geometry", "geometries")


def _harmed(r, table):
    """Shifts on which a scheme raises the error; table: its rows of the conformers."""
    table = table[table.baseline == table.strategy]
    rows = [(a, row) for a in r.shifts for _, row in table[table.group == f"ood_{a}"].iterrows()]
    return [shift(a).lower() for a, row in rows if verdict(_as_pair(row)) == "higher"]


def _best_scheme(best, table):
    """The best scheme after most geometries, beside what needs a prior call for every prediction."""
    text = (
        f"On {_geometries(best['geometries'])} the best scheme is {scheme_title(best['scheme'])},"
        f" {change(_as_pair(best))}."
    )
    table = table[(table.scheme == best["scheme"]) & (table.geometries == best["geometries"])]
    for key in ("prior", CORRECTED, "delta"):
        other = table[table.baseline == key]
        if len(other):
            pair = _as_pair(other.iloc[0])
            text += (
                f" It {COMPARES[verdict(pair)]} {title(key)}, which needs a prior call for every prediction"
                f" ({number(pair['baseline_mean_meV_per_A'])} meV/Å, paired difference {difference(pair)})."
            )
    return text


def _refinement(r):
    texts, idle = [], []
    kinds = {"rr": "as published", "rr_fallback": "with a fallback to the trained radius"}
    for base, suffix in product(("supervised", "joint"), kinds):
        row = r.pair(f"{base}_{suffix}", base)
        if row is None:
            continue
        if verdict(row) == "same":
            idle.append(f"{title(base)} {kinds[suffix]}")
        else:
            texts.append(
                f"Radius refinement {kinds[suffix]} {VERBS[verdict(row)]} the force MAE of the {title(base)}"
                f" model: {change(row, sampled=False)}."
            )
    if idle:
        texts.append(
            f"Radius refinement leaves the force MAE as it is for {listed(idle)}: the paired differences and"
            " their intervals are below 0.05 meV/Å."
        )
    return ("Radius refinement (RR)", " ".join(texts)) if texts else None

"""Sentences on models as they are and what helps them, each from the tables of the run."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mlipshift.base.text import count, listed
from mlipshift.catalogue.groups import VALIDATION
from mlipshift.show import help_groups
from mlipshift.show.report.format import HIGH, LOW, MEAN, bracket, duration, number

Titles = Mapping[str, str]
ALL, ORDINARY = "ood_all", "ood_ordinary"
WAYS = ("corrected", "rescued", "ttt", "distilled")
HARM = 1.0  # meV/Å on ordinary structures that are no harm


def row_of(table: pd.DataFrame, group: str, method: str) -> pd.Series | None:
    """Row of a method in a group, None where there is none."""
    found = table[(table.group == group) & (table.method == method)]
    return found.iloc[0] if len(found) else None


def _against(row, prefix):
    """'lower', 'higher' or 'unclear' of the paired difference of a row, None where there is none."""
    low, high = row[f"{prefix}_ci_low_meV_per_A"], row[f"{prefix}_ci_high_meV_per_A"]
    if not np.isfinite(row[f"{prefix}_difference_meV_per_A"]):
        return None
    return "lower" if high < 0 else "higher" if low > 0 else "unclear"


def _change(row, prefix):
    """'−4.2 [−6.0, −1.1]' of the paired difference of a row."""
    value, low, high = (row[f"{prefix}_{c}"] for c in ("difference_meV_per_A", LOW, HIGH))
    return f"{number(value, True)} {bracket(low, high, True)}"


def _named(groups):
    return listed([help_groups.title(g).lower() for g in groups])


def single_sentence(table: pd.DataFrame, titles: Titles) -> str:
    """Which model is best, chosen on validation groups, and how it stands beside the prior in every held-out group."""
    name = table.best_single.dropna().iloc[0]
    row, prior = row_of(table, ALL, name), row_of(table, ALL, "prior")
    if row is None or prior is None:
        return "No held-out structure has an error of the best single model and of the prior."
    groups = help_groups.held_out(table.group)
    worse = [g for g in groups if (r := row_of(table, g, name)) is not None and _against(r, "prior") == "higher"]
    same = [g for g in groups if (r := row_of(table, g, name)) is not None and _against(r, "prior") == "unclear"]
    text = (
        f"{help_groups.method(name, titles)} is the best single model of the validation groups: {number(row[MEAN])}"
        f" meV/Å {bracket(row[LOW], row[HIGH])} on {count(row.n_structures)} held-out structures of"
        f" {count(row.n_molecules)} molecules, beside {number(prior[MEAN])} of GFN2-xTB."
    )
    text += _next_best(table, titles, name)
    if worse:
        text += f" It is worse than GFN2-xTB for {_named(worse)}."
    if same:
        text += f" It cannot be told apart from GFN2-xTB for {_named(same)}."
    return text


def _next_best(table, titles, single):
    """How far the next model is behind the best single one, on the structures of both."""
    rows = [r for m in titles if m != single and (r := row_of(table, ALL, m)) is not None]
    rows = [r for r in rows if np.isfinite(r.single_difference_meV_per_A)]
    if not rows:
        return ""
    row = min(rows, key=lambda r: r.single_difference_meV_per_A)
    return f" The next one is {help_groups.method(row.method, titles)}, {_change(row, 'single')} on those of both."


def worse_models(table: pd.DataFrame, titles: Titles) -> str:
    """Which models are worse than the prior over all held-out structures that they take."""
    rows = [(m, row_of(table, ALL, m)) for m in titles]
    worse = [help_groups.method(m, titles) for m, r in rows if r is not None and _against(r, "prior") == "higher"]
    if not worse:
        return "No model is worse than GFN2-xTB over all held-out structures that it takes."
    return (
        f"{listed(worse)} {'are' if len(worse) > 1 else 'is'} worse than GFN2-xTB over the held-out structures taken;"
        " errors contain the difference between the level of theory that a model learned and that of the labels."
    )


def strategy_sentence(table: pd.DataFrame, method: str, titles: Titles, prefix: str, beside: str) -> str:
    """What a strategy gives in every held-out group beside the model or the best single one, and its harm."""
    row = row_of(table, ALL, method)
    if row is None:
        return ""
    groups = [g for g in help_groups.held_out(table.group) if row_of(table, g, method) is not None]
    sides: dict[str, list[str]] = {"lower": [], "unclear": [], "higher": []}
    for g in groups:
        side = _against(row_of(table, g, method), prefix)
        if side:
            sides[side].append(g)
    text = (
        f"{help_groups.method(method, titles)}: {number(row[MEAN])} meV/Å {bracket(row[LOW], row[HIGH])} over"
        f" {count(row['n_structures'])} held-out structures, {_change(row, prefix)} against {beside} on those of both."
    )
    words = {"lower": "lower", "unclear": "within its interval", "higher": "higher"}
    parts = [f"{words[side]} for {_named(found)}" for side, found in sides.items() if found]
    text += f" The paired difference is {'; '.join(parts)}."
    ordinary = row_of(table, ORDINARY, method)
    if ordinary is not None and np.isfinite(change := ordinary[f"{prefix}_difference_meV_per_A"]):
        ends = [ordinary[f"{prefix}_{c}"] for c in (LOW, HIGH)]
        verdict = "a gain" if ends[1] < 0 else "no harm" if change <= HARM else "harm" if ends[0] > 0 else "maybe harm"
        text += f" On ordinary structures {_change(ordinary, prefix)}: {verdict}."
    return text


def sign_sentence(table: pd.DataFrame, titles: Titles) -> str:
    """Which sign validation recommends for which models, with its AUROC on held-out structures."""
    rows = table[(table.group == ALL) & table.recommended.eq(True)]  # noqa: FBT003
    by_sign: dict[str, list[str]] = {}
    for row in rows.to_dict("records"):
        text = f"{help_groups.method(row['model'], titles)} ({row['auroc']:.2f}"
        text += f" [{row['auroc_ci_low']:.2f}, {row['auroc_ci_high']:.2f}])"
        by_sign.setdefault(help_groups.SIGNS.get(row["sign"], row["sign"]), []).append(text)
    parts = [f"the {sign} for {listed(models)}" for sign, models in by_sign.items()]
    return (
        "The sign of being outside that validation recommends, with its AUROC for the worst tenth of the held-out"
        f" structures: {'; '.join(parts)}."
    )


def crossing_sentence(table: pd.DataFrame) -> str:
    """How often help improves on either side of the crossover, by the true and by the expected ratio."""
    own = table[table.method.str.endswith("_rescued") & ~table.method.str.startswith("committee")]
    if not len(own):
        return ""
    parts = []
    for side in dict.fromkeys(own.side):
        rows = own[own.side == side]
        total, improved = rows.n_structures.sum(), (rows.improved * rows.n_structures).sum()
        parts.append(f"{count(improved)} of {count(total)} with an {side}")
    return f"Help by weights of every structure improves {'; '.join(parts)} (pairs of a structure and a model)."


def without_head_sentence(table: pd.DataFrame, titles: Titles) -> str:
    """What weights of every structure give models without a prior head, against the model alone."""
    names = set(table.method)
    sides: dict[str, list[str]] = {"lower": [], "unclear": [], "higher": []}
    for m in titles:
        row = row_of(table, ALL, f"{m}_rescued")
        if f"{m}_corrected" in names or row is None or (side := _against(row, "model")) is None:
            continue
        sides[side].append(f"{help_groups.method(m, titles)} ({number(row[MEAN])} meV/Å, {_change(row, 'model')})")
    words = {"lower": "lower the error of", "unclear": "do not measurably change that of", "higher": "raise that of"}
    parts = [f"{words[side]} {listed(found)}" for side, found in sides.items() if found]
    return f"Models without a prior head: weights of model and GFN2-xTB {'; they '.join(parts)}." if parts else ""


def decision_sentence(table: pd.DataFrame, titles: Titles) -> str:
    """Whether choosing where to help, without a label, is better than to help always, and what is lost by it."""
    words = {"lower": "better than", "higher": "worse than", "unclear": "no different from", None: "beside"}
    own = table[(table.group == ALL) & table.method.str.endswith("_rescued")]
    parts = []
    for row in own[own.model.map(lambda m: f"{m}_corrected" in set(table.method))].to_dict("records"):
        regret = bracket(row["regret_ci_low_meV_per_A"], row["regret_ci_high_meV_per_A"])
        parts.append(
            f"{help_groups.method(row['method'], titles)}: {number(row['decided_meV_per_A'])} meV/Å,"
            f" {words[_against(row, 'always')]} help for all ({number(row['always_meV_per_A'])}), beside none"
            f" ({number(row['never_meV_per_A'])}); the best choice of every structure, which needs labels, would be"
            f" lower by {number(row['regret_difference_meV_per_A'])} {regret}"
        )
    if not parts:
        return ""
    return (
        "Helping only where the expected ratio of the errors of model and GFN2-xTB is above a threshold, chosen on the"
        f" validation groups: {'. '.join(parts)}."
    )


def cost_sentence(table: pd.DataFrame, titles: Titles, single: str) -> str:
    """CPU seconds per structure of the best single model, of its help, of a prior call and of the committee."""
    seconds = table.set_index("method").seconds.astype(float)
    prior = table.of_prior_seconds[table.prior_calls == 1].dropna()
    parts = []
    for method in (single, f"{single}_corrected", f"{single}_rescued", "committee_rescued"):
        if method in seconds.index and np.isfinite(seconds[method]):
            parts.append(f"{duration(seconds[method])} for {help_groups.method(method, titles)}")
    if len(prior):
        parts.append(f"{duration(float(prior.iloc[0]))} for a call of GFN2-xTB")
    return f"CPU time of one core per structure: {listed(parts)}." if parts else ""


def worst_harm(table: pd.DataFrame, titles: Titles) -> str:
    """Strategies that raise the error of their model on ordinary structures, beyond their interval."""
    found = []
    for row in table[(table.group == ORDINARY) & (table.method != table.model)].to_dict("records"):
        worse = _against(row, "model") == "higher" and row["model_difference_meV_per_A"] > HARM
        if worse and row["method"].rpartition("_")[2] in WAYS:
            found.append(f"{help_groups.method(row['method'], titles)} ({_change(row, 'model')} meV/Å)")
    if not found:
        return (
            f"No label-free help raises the error of its model on ordinary structures by more than {HARM:g} meV/Å and"
            " beyond its interval."
        )
    return f"On ordinary structures, where no help is needed, harm is done by {listed(found)}."


def recommended(table: pd.DataFrame) -> list[str]:
    """Strategies over all models, that of the least mean error on the validation groups first."""
    rows = table[(table.group == VALIDATION) & table.method.str.startswith("committee_")]
    return [*rows.sort_values(MEAN).method]


def answer(tables: Mapping[str, pd.DataFrame], titles: Titles) -> list[dict[str, str]]:
    """The answer of the page, [{title, text}]: best model, what strategies give, signs, when help pays, costs."""
    groups = tables["groups"]
    names = [*dict.fromkeys(groups.method)]
    together = recommended(groups)
    own = [(m, f"{m}_{way}") for m in titles for way in WAYS if f"{m}_corrected" in names and f"{m}_{way}" in names]
    single = next(iter(groups.best_single.dropna()), "")
    given = [strategy_sentence(groups, m, titles, "model", "the model alone") for _, m in own]
    parts = {
        "The best single model": [single_sentence(groups, titles)],
        "Against the prior": [worse_models(groups, titles)],
        "All models together, of which validation recommends the first": [
            strategy_sentence(groups, m, titles, "single", "the best single model") for m in together[:2]
        ],
        "One given model": [*given, without_head_sentence(groups, titles)],
        "Harm": [worst_harm(groups, titles)],
        "Am I outside?": [sign_sentence(tables["signs"], titles)],
        "When help pays": [crossing_sentence(tables["crossing"]), decision_sentence(tables["decision"], titles)],
        "Costs": [cost_sentence(tables["costs"], titles, single)],
    }
    found = {title: [text for text in texts if text] for title, texts in parts.items()}
    return [
        {"title": title if k == 0 else "", "text": text}
        for title, texts in found.items()
        for k, text in enumerate(texts)
    ]

"""What each figure of the report shows, in one sentence with its numbers; its title where the tables do not say."""

from collections.abc import Callable

from mlipshift.base.text import several
from mlipshift.catalogue.figures import ASKED, FIGURES
from mlipshift.catalogue.groups import POOLED, shift
from mlipshift.catalogue.methods import scheme_title, title
from mlipshift.show.report import messages_motion
from mlipshift.show.report.format import HIGH, LOW, MEAN, VERBS, difference, number, portion, share, verdict
from mlipshift.show.report.results import Results

Message = str | None


def message(name: str, results: Results) -> str:
    """The message of a figure, without a full stop."""
    known = FIGURES | ASKED
    return (MAKERS[name](results) if name in MAKERS else None) or known[name].title


def _shift_axes(r: Results) -> Message:
    near, far = r.error("supervised", "id_test"), r.error("supervised")
    parts = {a: r.error("supervised", f"ood_{a}") for a in r.shifts}
    parts = {a: row for a, row in parts.items() if row is not None}
    if near is None or far is None or not parts:
        return None
    worst = max(parts, key=lambda a: parts[a][MEAN])
    apart = [a for a, row in parts.items() if row[LOW] > near[HIGH]]
    said = f"Force errors of {len(apart)} of {several(len(parts), 'shift group')} lie above those in distribution"
    return (
        f"{said}; the largest is that of {shift(worst).lower()}, {number(parts[worst][MEAN])} against"
        f" {number(near[MEAN])} meV/Å"
    )


def _by_axis(axis: str) -> Callable[[Results], Message]:
    def made(r: Results) -> Message:
        row = r.pair("joint_ttt", "joint", f"ood_{axis}")
        if row is None:
            return None
        return (
            f"Test-time training {VERBS[verdict(row)]} the error of the group held out by {shift(axis).lower()}:"
            f" {number(row['baseline_mean_meV_per_A'])} to {number(row['method_mean_meV_per_A'])} meV/Å"
        )

    return made


def _error_bins(r: Results) -> Message:
    row = r.pair("joint_ttt", "joint")
    if row is None:
        return None
    n = row["n_structures"]
    return (
        f"Test-time training improves {portion(row['fraction_improved'], n)}; below 25 meV/Å are"
        f" {share(row['below_25_before'], n)} before it and {share(row['below_25_after'], n)} after"
    )


def _steps(r: Results) -> Message:
    row, other = r.pair("joint_ttt", "joint"), r.error("delta")
    if row is None:
        return None
    text = (
        f"Its steps take the error of Joint from {number(row['baseline_mean_meV_per_A'])} to"
        f" {number(row['method_mean_meV_per_A'])} meV/Å"
    )
    return text + (
        f"; {title('delta')}, of as many prior calls, has {number(other[MEAN])}" if other is not None else ""
    )


def _prior_gain(r: Results) -> Message:
    row = r.pair("joint_ttt", "prior")
    if row is None:
        return None
    words = {"lower": "is better than", "higher": "is worse than"}.get(verdict(row), "cannot be told apart from")
    n = row["n_structures"]
    return (
        f"After test-time training the model {words} the prior that it learns from, {difference(row)} meV/Å; it is the"
        f" better one for {portion(row['fraction_improved'], n)}"
    )


def _conformers(r: Results) -> Message:
    table = r.optional("conformers")
    if table is None:
        return None
    own = table[(table.group == POOLED) & (table.geometries == table.geometries.max())]
    if len(own) == 0:
        return None
    best = own.loc[own[MEAN].idxmin()]
    beside = own[(own.scheme == best["scheme"]) & (own.baseline == "delta")]
    text = (
        f"Adapted on {several(int(best['geometries']), 'geometry', 'geometries')}, {scheme_title(best['scheme'])} has"
        f" {number(best[MEAN])} meV/Å on others"
    )
    if len(beside):
        text += f"; with a prior call for each, {title('delta')} has {number(beside.iloc[0].baseline_mean_meV_per_A)}"
    return text


def _frontier(r: Results) -> Message:
    table = r.candidates
    free = table[table.prior_calls_per_structure == 0]
    paid = table[table.prior_calls_per_structure > 0]
    if not len(free) or not len(paid):
        return None
    best, without = paid.loc[paid[MEAN].idxmin()], free.loc[free[MEAN].idxmin()]
    calls = several(f"{best['prior_calls_per_structure']:.2g}", "prior call")
    return (
        f"{calls} per structure: at best {number(best[MEAN])} meV/Å ({title(best['method'])}); none:"
        f" {number(without[MEAN])} ({title(without['method'])})"
    )


MAKERS: dict[str, Callable[[Results], Message]] = {
    "fig_shift_axes": _shift_axes,
    "fig_force_norm": _by_axis("force_norm"),
    "fig_connectivity": _by_axis("connectivity"),
    "fig_error_bins": _error_bins,
    "fig_ttt_steps": _steps,
    "fig_prior_gain": _prior_gain,
    "fig_conformers": _conformers,
    "fig_frontier": _frontier,
    **messages_motion.MAKERS,
}

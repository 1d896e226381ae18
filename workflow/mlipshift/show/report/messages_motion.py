"""Messages of the figures of molecules in motion, energy surfaces and moving radii; see `messages`."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from mlipshift.base.text import listed, several
from mlipshift.catalogue.groups import POOLED
from mlipshift.catalogue.runs import MOVING
from mlipshift.show import runs, surfaces
from mlipshift.show.report.format import duration, number, verdict
from mlipshift.show.report.results import Results

Message = str | None


def _simulated(r: Results, ensemble: str) -> pd.DataFrame | None:
    """Rows of the simulated molecules with or without a thermostat, with the name of each run; None without any."""
    table = r.optional("dynamics_summary")
    if table is None:
        return None
    names = runs.titles(table)
    table = table[table.ensemble == ensemble]
    return None if len(table) == 0 else table.assign(name=[names[run] for run in table.run])


def _stable_time(r: Results) -> Message:
    table = _simulated(r, "nvt")
    if table is None:
        return None
    whole = table.n_stable == table.n_replicas
    text = f"In {whole.sum()} of {several(len(table), 'run')} every replica stays whole to the end"
    if whole.all():
        return text
    row = table.loc[table.stable_ps.idxmin()]
    return f"{text}; the first to break is {row['name']}, {runs.molecule(row.molecule)}, after {row.stable_ps:.2g} ps"


def _h_of_r(r: Results) -> Message:
    table = _simulated(r, "nvt")
    if table is None:
        return None
    errors = table.set_index(["molecule", "run"]).h_of_r_error
    said = [
        f"{runs.molecule(m)} {errors[m, 'joint']:.2f} to {errors[m, 'joint_ttt']:.2f}"
        for m in runs.molecules(table.molecule)
        if {(m, "joint"), (m, "joint_ttt")} <= set(errors.index)
    ]
    return f"Error of h(r) of Joint before and after test-time training: {listed(said)}" if said else None


def _energy_traces(r: Results) -> Message:
    table = _simulated(r, "nve")
    if table is None:
        return None
    drift = table.groupby("name").drift_meV_per_atom_per_ps.max().sort_values()
    text = f"Steepest drift without a thermostat: {drift.iloc[0]:.3g} meV per atom and ps ({drift.index[0]})"
    return text + (f" to {drift.iloc[-1]:.3g} ({drift.index[-1]})" if len(drift) > 1 else "")


def _unphysical(r: Results) -> Message:
    table = r.optional("dynamics_summary")
    if table is None:
        return None
    broken, whole = (table.n_replicas - table.n_stable).sum(), table.n_replicas.sum()
    return f"{broken:.0f} of {whole:.0f} simulated replicas do not stay whole"


def _dynamics_cost(r: Results) -> Message:
    table, costs = r.optional("dynamics_summary"), r.optional("dynamics_costs")
    if table is None or costs is None:
        return None
    names = runs.titles(table)
    mean = costs.groupby("run").seconds_per_ps.mean().dropna().sort_values()
    mean = mean[[run in names for run in mean.index]]
    if len(mean) < 2:
        return None
    ends = (f"{duration(mean.iloc[k])} ({names[mean.index[k]]})" for k in (0, -1))
    return f"A picosecond takes {' to '.join(ends)}"


def _learning_curves(r: Results) -> Message:
    table = r.optional("labels_needed")
    if table is None:
        return None
    reached = np.isfinite(table.n_labels_needed)
    target = f"{table.target_meV_per_A.iloc[0]:g}"
    if not reached.any():
        most, least = table.n_labels_most.max(), number(table.best_meV_per_A.min())
        return f"No start comes below {target} meV/Å with up to {most:.0f} labels; the least is {least}"
    fewest = table.n_labels_needed.min()
    return f"{reached.sum()} of {len(table)} curves come below {target} meV/Å, the first with {fewest:.0f} labels"


def _on_surfaces(r: Results, column: str) -> list[tuple[str, float]]:
    """[(name, median over molecules and seeds)] of Joint and its adaptations along the softest directions."""
    table = r.optional("roughness")
    if table is None:
        return []
    own = table[(table.scan == "soft") & table.method.isin(["joint", "joint_ttt_minimum", "joint_ttt_directions"])]
    medians = own.groupby("method")[column].median().dropna()
    return [(surfaces.title(key), medians[key]) for key in surfaces.ordered(medians.index)]


def _surfaces(r: Results) -> Message:
    said = [f"{name} {value:.3g} meV" for name, value in _on_surfaces(r, "difference_to_prior_meV")]
    return f"Difference of the energy surfaces to those of the prior, medians: {listed(said)}" if said else None


def _roughness(r: Results) -> Message:
    said = [f"{name} {value:.2f}" for name, value in _on_surfaces(r, "roughness_over_prior")]
    return f"Roughness over that of the prior along the softest directions: {listed(said)}" if said else None


def _bonds(r: Results) -> Message:
    table = r.optional("bond_scores")
    if table is None:
        return None
    scores = table.set_index("method").sound_percent.dropna()
    scores = scores[[surfaces.split(key)[1] == "" for key in scores.index]]
    said = [f"{surfaces.title(key)} {scores[key]:.0f} %" for key in surfaces.ordered(scores.index)]
    return f"Stretched and compressed bonds without any fault: {listed(said)}" if said else None


def _radius_rules(r: Results) -> Message:
    table = r.optional("radius_rules")
    if table is None:
        return None
    pooled = table[table.group == POOLED]
    found = [verdict(row) for row in pooled[pooled.rule == "published"].to_dict("records")]
    if not found:
        return None
    best = pooled[pooled.rule == "best"].relative_change.min()
    text = (
        f"The published rule lowers the error of {found.count('lower')} and raises that of {found.count('higher')} of"
        f" {several(len(found), 'network')}"
    )
    return text + (
        f"; the best radius, by labels, changes it by {number(100 * best, True)} % at most" if best < 0 else ""
    )


def _radius_motion(r: Results) -> Message:
    table = r.optional("radius_motion")
    if table is None:
        return None
    jumps = table.groupby("mode", sort=False).largest_jump_meV_per_atom.max()
    said = [f"{MOVING[mode]} {value:.2g}" for mode, value in jumps.items()]
    return f"Largest jump of the energy, meV per atom: {listed(said)}"


MAKERS: dict[str, Callable[[Results], Message]] = {
    "fig_stable_time": _stable_time,
    "fig_h_of_r": _h_of_r,
    "fig_energy_traces": _energy_traces,
    "fig_unphysical": _unphysical,
    "fig_dynamics_cost": _dynamics_cost,
    "fig_learning_curves": _learning_curves,
    "fig_surfaces": _surfaces,
    "fig_roughness": _roughness,
    "fig_bonds": _bonds,
    "fig_radius_rules": _radius_rules,
    "fig_radius_motion": _radius_motion,
}

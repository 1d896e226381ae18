"""Simulated molecules in the report: the table, and what is said of them in words."""

import numpy as np

from mlipshift.base.text import listed
from mlipshift.show import runs
from mlipshift.show.report import cells
from mlipshift.show.report.cells import cell
from mlipshift.show.report.format import number
from mlipshift.show.report.results import Results, first

SHOWN = ("joint_direct", "joint_ttt_direct", "joint", "joint_ttt", "prior")  # runs whose h(r) is said


def dynamics_table(results: Results) -> dict[str, list] | None:
    """What became of every simulated molecule in every run; None where nothing was simulated."""
    table = results.optional("dynamics_summary")
    if table is None:
        return None
    names, costs = runs.titles(table), results.optional("dynamics_costs")
    head = ["Molecule", "Run", "Stable (ps)", "Whole to the end", "h(r) error", "Between halves", "Temperature (K)"]
    head += ["Drift (meV/atom/ps)", "Force MAE (meV/Å)", "Prior calls before", "Prior calls per ps", "Seconds per ps"]
    rows = []
    for row in table.to_dict("records"):
        known = f"{row['stable_low_ps']:.3g} to {row['stable_high_ps']:.3g} ps, of {row['attempted_ps']:g} attempted"
        h = f"single replicas: {row['h_of_r_low']:.3f} to {row['h_of_r_high']:.3f}"
        still = row["ensemble"] == "nve"
        far = f"largest distance from the start: {row['excursion_meV_per_atom']:.3g} meV per atom"
        rows.append(
            [
                cell(runs.molecule(row["molecule"]), title=row["molecule"]),
                cell(names[row["run"]], title=row["run"], colour=runs.colour(row)),
                cell(f"{row['stable_ps']:.3g}", row["stable_ps"], known),
                cell(f"{row['n_stable']:g} of {row['n_replicas']:g}", row["n_stable"]),
                cell(f"{row['h_of_r_error']:.3f}", row["h_of_r_error"], h),
                cell(f"{row['h_of_r_floor']:.3f}", row["h_of_r_floor"]),
                cell(f"{row['temperature_K']:.0f}", row["temperature_K"]),
                cell(f"{row['drift_meV_per_atom_per_ps']:.2g}", row["drift_meV_per_atom_per_ps"], far)
                if still
                else cell("–"),
                _error(row),
                *(cell(f"{row[k]:.3g}", row[k]) for k in ("prior_calls_before", "prior_calls_per_ps")),
                _seconds(costs, row),
            ]
        )
    return cells.table(head, rows)


def _error(row):
    value = row["force_mae_meV_per_A"]
    if not np.isfinite(value):
        return cell("–")
    return cell(number(value), value, f"on {row['n_structures']:g} test structures that no model is adapted to")


def _seconds(costs, row):
    """Seconds per ps and replica."""
    if costs is None:
        return cell("–")
    found = first(costs[(costs.molecule == row["molecule"]) & (costs.run == row["run"])])
    if found is None or not np.isfinite(found.seconds_per_ps):
        return cell("–")
    return cell(f"{found.seconds_per_ps:.3g}", found.seconds_per_ps, str(found.measured))


def dynamics_sentence(results: Results) -> tuple[str, str] | None:
    """What adaptation did to the stability of every molecule, and what conserves the energy."""
    table = results.optional("dynamics_summary")
    if table is None:
        return None
    names, parts = runs.titles(table), []
    for molecule in runs.molecules(table.molecule):
        own = table[(table.molecule == molecule) & (table.ensemble == "nvt")].to_dict("records")
        whole = [names[row["run"]] for row in own if row["n_stable"] == row["n_replicas"]]
        lost = [_lost(row, names) for row in own if row["n_stable"] < row["n_replicas"]]
        said = [f"whole to the end in all replicas: {listed(whole) or 'none'}"]
        said += [f"not with {listed(lost)}"] if lost else []
        h = [f"{names[row['run']]} {row['h_of_r_error']:.2f}" for row in own if row["run"] in SHOWN]
        said += [f"error of h(r): {listed(h)}"] if h else []
        parts.append(f"{runs.molecule(molecule)}: {'; '.join(said)}.")
    text = f"Langevin dynamics. {' '.join(parts)}"
    still = table[(table.ensemble == "nve")]
    if len(still):
        drifts = [
            f"{names[run]} {part.drift_meV_per_atom_per_ps.max():.2g}" for run, part in still.groupby("run", sort=False)
        ]
        text += f" Steepest drift of the total energy without thermostat (meV per atom and ps): {listed(drifts)}."
    return "Molecules in motion", text


def _lost(row: dict, names: dict[str, str]) -> str:
    """A run in which something happened, in words."""
    return f"{names[row['run']]} ({row['n_stable']:g} of {row['n_replicas']:g}, {row['stable_ps']:.2g} ps on average)"

"""Energy surfaces and bonds in the report, beside what became of the same models in dynamics."""

import numpy as np
import pandas as pd

from mlipshift.catalogue import methods
from mlipshift.show import surfaces
from mlipshift.show.report import cells
from mlipshift.show.report.cells import Cell, cell
from mlipshift.show.report.results import Results

Table = dict[str, list] | None
NOT_AVERAGED = ("jumps", "false_minima")


def _method(key: str) -> Cell:
    return cell(surfaces.title(key), title=key, colour=methods.look(surfaces.split(key)[0])[0])


def _value(value: float, form: str = "{:.3g}", said: str | None = None) -> Cell:
    return cell(form.format(value), value, said) if np.isfinite(value) else cell("–")


def roughness_table(results: Results) -> Table:
    """Medians over molecules and seeds of what is told of the surfaces, by scan and method; None without any."""
    table = results.optional("roughness")
    if table is None:
        return None
    head = ["Surface", "Method", "Roughness (meV)", "Over the prior's", "Force mismatch (eV/Å)"]
    head += ["Difference to prior (meV)", "To DFT (meV)", "Jumps", "False minima", "Molecules"]
    columns = ["roughness_meV", "roughness_over_prior", "force_mismatch_eV_per_A"]
    columns += ["difference_to_prior_meV", "difference_to_reference_meV"]
    rows = []
    for scan in (s for s in surfaces.SCANS if s in set(table.scan)):
        own = table[table.scan == scan]
        for key in surfaces.ordered(own.method):
            part = own[own.method == key]
            line = [cell(surfaces.SCANS[scan].capitalize(), title=scan), _method(key)]
            line += [_spread(part[column]) for column in columns]
            line += [_value(part[column].sum(), "{:.0f}") for column in NOT_AVERAGED]
            rows.append([*line, cells.counted(part[part.roughness_meV.notna()].molecule.nunique())])
    return cells.table(head, rows)


def _spread(values: pd.Series) -> Cell:
    """Median, least and largest value when pointed at."""
    values = values.dropna()
    if len(values) == 0:
        return cell("–")
    return _value(values.median(), said=f"{values.min():.3g} to {values.max():.3g}, {len(values)} values")


def bonds_table(results: Results) -> Table:
    """Score of every model in the bond test, and the least time that the same model kept a molecule whole."""
    table = results.optional("bond_scores")
    if table is None:
        return None
    head = ["Model", "Sound bonds (%)", "Energy sound (%)", "Jumps (%)", "False minima (%)", "Forces do not fit (%)"]
    head += ["No energy (%)", "Lowest barrier (eV)", "Median barrier (eV)", "Whole in dynamics (ps)", "Not run"]
    columns = ["sound_energy_percent", "jumps_percent", "false_minima_percent", "wrong_forces_percent"]
    own, rows = set(surfaces.FORCES) - {surfaces.split(m)[1] for m in table.method}, []
    for row in table.set_index("method").loc[surfaces.ordered(table.method)].reset_index().to_dict("records"):
        seeds = f"seeds: {row['sound_lowest_seed_percent']:.0f} to {row['sound_highest_seed_percent']:.0f} %"
        line = [_method(row["method"]), _value(row["sound_percent"], "{:.0f}", seeds)]
        line += [_value(row[column], "{:.0f}") for column in [*columns, "missing_percent"]]
        line += [_value(row[column], "{:.2f}") for column in ("lowest_barrier_eV", "median_barrier_eV")]
        reason = row["reason"] if isinstance(row["reason"], str) else ""
        rows.append([*line, _stable(results, row["method"], own), cell(reason)])
    return cells.table(head, rows)


def _stable(results: Results, method: str, own: set[str]) -> Cell:
    """Mean stable time of a method in Langevin dynamics of all molecules; a dash for one that was not simulated so."""
    table = results.optional("dynamics_summary")
    found = None if table is None else simulated(table, method, own)
    if found is None or len(found) == 0:
        return cell("–")
    said = f"{found.n_stable.sum():.0f} of {found.n_replicas.sum():.0f} replicas whole to the end"
    return _value(float(np.average(found.stable_ps, weights=found.n_replicas)), said=said)


def simulated(table: pd.DataFrame, method: str, own: set[str]) -> pd.DataFrame:
    """Rows of dynamics_summary.csv of the model that a method of the surfaces is, unadapted, with a thermostat.

    own: kinds of forces that a method without a kind in its name may have.
    """
    base, kind = surfaces.split(method)
    model = base.removesuffix("_corrected")
    chosen = (table.ensemble == "nvt") & table.scheme.isna() & (table.model == model)
    chosen &= table.corrected.astype(bool) == (base != model)
    if model != "prior":
        chosen &= table.forces.isin({kind} if kind else own)
    return table[chosen]

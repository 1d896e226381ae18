"""The figures and tables of Kreiman & Krishnapriyan 2026, and what of this workflow answers to each.

Numbers of figures that only the text of the paper tells are not known here; these have a name of their own.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """title: what the paper shows; experiment: entry of config/paper.yaml; files: below the results of its run."""

    title: str
    experiment: str
    files: tuple[str, ...]


def _figures(*names: str) -> tuple[str, ...]:
    return tuple(f"figures/{name}.svg" for name in names)


ITEMS = {
    "fig_1": Item("The three shifts, on SPICE 1 and 2", "spice", ("diagnosis/figures", "tables/shift_summary.csv")),
    "fig_2a": Item("MACE-OFF on SPICE 2", "spice", ("diagnosis/mace_off23_medium/figures",)),
    "fig_2b": Item("MACE-MP on MPtrj by force norm", "mptrj", ("diagnosis/mace_mp0_small/figures",)),
    "fig_2c": Item("EquiformerV2 on OC20 by force norm", "oc20", ("diagnosis/equiformer_v2/figures",)),
    "fig_2d": Item("JMP on ANI-1x", "ani1x", ("diagnosis/jmp_l/figures",)),
    "fig_3": Item("Radius refinement: edges, spectra", "spice", _figures("fig_radius_molecules", "fig_radius_curve")),
    "fig_4b": Item("Energy surface of salicylic acid before and after TTT", "md17", _figures("fig_surfaces")),
    "fig_5": Item("SPICE 2, error by force norm", "spice", _figures("fig_force_norm")),
    "fig_6": Item("SPICE 2, error by connectivity", "spice", _figures("fig_connectivity", "fig_radius_bins")),
    "fig_7": Item("SPICE 2, error by atomic features", "spice", _figures("fig_shift_axes")),
    "fig_8": Item("h(r) and stable times of molecules not seen", "md17", _figures("fig_h_of_r", "fig_stable_time")),
    "fig_error_bins": Item("Molecules per bin of the error", "spice", _figures("fig_error_bins")),
    "fig_labels_needed": Item("Labels until 15 meV/Å", "md17", _figures("fig_learning_curves")),
    "fig_finetuning": Item("Shares of SPICE 2", "spice_finetuning", _figures("fig_learning_curves")),
    "fig_low_to_high": Item("Stachyose from low to high forces", "md22", _figures("fig_force_norm")),
    "table_1": Item("Force MAE on SPICE 2", "spice", ("tables/summary.csv", "tables/radius_rules.csv")),
    "table_2": Item("GemNet with and without TTT", "spice", ("tables/paired.csv",)),
    "table_3": Item("GemNet with and without TTT, molecules simulated", "md17", ("tables/dynamics_summary.csv",)),
}

"""Links from the figures of a report to the explorer, with what they show on its axes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

FORCES, WINDOW = "reference_force_norm_eV_per_A", "window_fraction"
JOINT, ADAPTED, GAIN = "joint_meV_per_A", "joint_ttt_meV_per_A", "gain_meV_per_A"
LOSS = "prior_loss_{when}_meV_per_A"
# figures whose points, bins and means are of single structures: {figure: axes}; {model} is that of the figure
AXES = {
    "fig_shift_axes": {"x": "composition_distance", "y": JOINT},
    "fig_force_norm": {"x": FORCES, "y": JOINT},
    "fig_connectivity": {"x": WINDOW, "y": JOINT},
    "fig_error_bins": {"x": JOINT, "y": ADAPTED},
    "fig_ttt_steps": {"x": LOSS.format(when="before"), "y": LOSS.format(when="after")},
    "fig_prior_gain": {"x": "prior_meV_per_A", "y": GAIN},
    "fig_frontier": {"x": ADAPTED, "y": "delta_meV_per_A"},
    "fig_criteria": {"x": WINDOW, "y": "composition_distance"},
    "fig_error_axes": {"x": WINDOW, "y": "{model}_meV_per_A"},
    "fig_rank_correlations": {"x": "composition_distance", "y": "{model}_meV_per_A"},
    "fig_embedding": {"x": "{model}_component_1", "y": "{model}_component_2", "color": "{model}_meV_per_A"},
    "fig_rescued": {"x": "expected_model_meV_per_A", "y": "expected_error_meV_per_A"},
}


def address(figure: str, explorer: Path | None, model: str = "") -> str:
    """Address of the explorer, which lies beside the report, with the axes of a figure; "" without either."""
    if explorer is None or figure not in AXES:
        return ""
    return f"{explorer.name}#{urlencode({axis: key.format(model=model) for axis, key in AXES[figure].items()})}"


def linked(
    figures: Mapping[str, Mapping[str, Any]], explorer: Path | None, model: str = ""
) -> dict[str, dict[str, Any]]:
    """Figures {name: {...}} with the key `explorer`, the address where their structures are; "" where there is none."""
    return {name: {**figure, "explorer": address(name, explorer, model)} for name, figure in figures.items()}

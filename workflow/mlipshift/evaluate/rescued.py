"""Per structure: what is trusted, why, and the signs of being outside, without a label; and true errors, by labels."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mlipshift.base.frames import Frames, Labels
from mlipshift.evaluate import statistics
from mlipshift.mitigate import rescue

ABOUT = ["id", "group", "molecule", "atoms", "strategy"]
SIGNS = {
    "spread": "spread_meV_per_A",
    "residual": "prior_residual_meV_per_A",
    "prior": "prior_difference_meV_per_A",
    "disagreement": "disagreement_meV_per_A",
}
SAID = ["trusted", "trusted_weight", "expected_model_meV_per_A", "expected_error_meV_per_A", "weights"]
COLUMNS = [*ABOUT, *SIGNS.values(), *SAID]


def table(
    frames: Frames, said: rescue.Said, weights: Mapping[str, Any], results: Mapping[str, rescue.Result]
) -> list[dict[str, Any]]:
    """Rows of COLUMNS: every structure with every strategy whose weights depend on it; results: of `rescue.apply`."""
    rows = []
    for strategy, result in results.items():
        if result.expected is None:
            continue
        name = strategy.rsplit("_", 1)[0]
        signs = said.signs(name, others=len(said.models) > 1) if name in said.models else {}
        alone = np.full(len(frames), np.nan)
        if name in said.models:
            own = np.isfinite(np.add.reduceat(said.models[name].sum(-1), frames.offsets[:-1]))
            alone = np.where(own, rescue.expected(said, weights, name)["model"], np.nan)  # no error without forces
        names, shares = [*result.weights], np.stack([*result.weights.values()])
        for k in range(len(frames)):
            known = np.isfinite(shares[:, k]).all()
            best = int(shares[:, k].argmax()) if known else -1
            row = dict(zip(ABOUT, (frames.ids[k], frames.group[k], frames.molecule[k], frames.sizes[k], strategy)))
            row |= {SIGNS[sign]: 1000 * values[k] for sign, values in signs.items()}
            row |= {
                "trusted": names[best] if known else "",
                "trusted_weight": shares[best, k] if known else np.nan,
                "expected_model_meV_per_A": 1000 * alone[k],
                "expected_error_meV_per_A": 1000 * result.expected[k],
                "weights": "; ".join(f"{n} {w:.2f}" for n, w in zip(names, shares[:, k]) if known and w >= 0.005),
            }
            rows.append(row)
    return rows


def true_errors(frames: Frames, reference: Labels, forces: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """id and true_NAME_meV_per_A [S] of forces {name: [N, 3] eV/Å}, NaN without reference or predicted forces."""
    errors = {
        f"true_{name}_meV_per_A": statistics.force_mae(values, reference.forces, frames.offsets)
        for name, values in forces.items()
    }
    return pd.DataFrame({"id": frames.ids.astype(str), **errors})

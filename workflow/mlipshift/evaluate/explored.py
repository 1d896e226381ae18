"""What the explorer shows of every structure and no table holds: disagreement of models, and values by their id."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from mlipshift.base.averages import over_atoms


def disagreement(forces: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Disagreement [S] of M models in meV/Å, NaN where one has no forces; forces [M, N, 3] eV/Å, offsets [S + 1].

    Root mean square, over models and atoms, of the distance of a force from the mean of the models.
    """
    apart = forces - forces.mean(axis=0)
    return 1000 * np.sqrt(over_atoms((apart**2).sum(axis=-1).mean(axis=0), offsets))


def root_mean_square(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Root mean square [S] over atoms of values [N] eV/Å, in meV/Å; offsets [S + 1]."""
    return 1000 * np.sqrt(over_atoms(values**2, offsets))


def by_id(table: pd.DataFrame, column: str, ids: Iterable[str]) -> np.ndarray:
    """Values [S] of a column in the order of the ids, NaN for those that the table does not have."""
    return table.drop_duplicates("id").set_index("id")[column].reindex([str(name) for name in ids]).to_numpy()


def errors(table: pd.DataFrame, ids: Iterable[str]) -> dict[str, np.ndarray]:
    """{method: force MAE [S] in meV/Å} of the table per_structure, averaged over seeds, NaN where a seed has none."""
    known = table.groupby(["method", "id"], sort=False).force_mae_meV_per_A
    # a structure without an answer of one seed has no mean, as in all other tables
    complete = known.mean().where(known.count() == known.size())
    rows = {method: values.droplevel(0) for method, values in complete.groupby(level=0, sort=False)}
    wanted = [str(name) for name in ids]
    return {method: values.reindex(wanted).to_numpy() for method, values in rows.items()}

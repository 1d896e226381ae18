"""sGDML (Chmiela et al. 2018, doi:10.1038/s41467-018-06169-2): a kernel model per molecule, fitted to reference labels.

No prior in the sense of the others: it knows a molecule from reference calculations of that molecule. What it was
fitted to is counted where it is fitted (mlipshift.prior.fitting).
"""

from pathlib import Path

import numpy as np

from mlipshift.base.errors import UserError

PACKAGE = "sgdml"


class SGDML:
    """Energy and forces by the model of a molecule, told by its elements in their order; fitted: folder of the models.

    Raises UserError without a folder of models, or without the package.
    """

    def __init__(self, method: str, accuracy: float, fitted: Path | str | None = None) -> None:
        if fitted is None:
            raise UserError(f"{method} is fitted to reference labels of each molecule; give the folder of its models")
        try:
            from sgdml.predict import GDMLPredict
        except ImportError as error:
            raise UserError(
                f"{method} needs the package sgdml, which has an environment of its own: make venv-sgdml"
            ) from error
        self.predictors = {}
        for path in sorted(Path(fitted).glob("*.npz")):
            with np.load(path, allow_pickle=True) as stored:  # of this run, made by prior.fitting
                model = {name: stored[name][()] if stored[name].shape == () else stored[name] for name in stored.files}
            key = np.asarray(model["z"], dtype=np.uint8).tobytes()
            self.predictors[key] = GDMLPredict(model, max_processes=1)

    def __call__(
        self, numbers: np.ndarray, positions: np.ndarray, charge: int, multiplicity: int
    ) -> tuple[float, np.ndarray]:
        predictor = self.predictors.get(np.asarray(numbers, dtype=np.uint8).tobytes())
        if predictor is None:
            raise ValueError("no sGDML model of this molecule; label some of it in data.files.labelled_NAME")
        energy, forces = predictor.predict(np.asarray(positions, dtype=float).reshape(1, -1))
        return float(energy[0]), forces.reshape(-1, 3)


engine = SGDML

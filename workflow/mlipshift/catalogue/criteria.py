"""The measures of shift, in display order, and the axes that they belong to."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """One of the axes of a shift: title, and colour of its measures."""

    title: str
    colour: str


# not those of groups.AXES, which are kinds of held-out groups
AXES = {
    "features": Axis("Atomic features", "#009E73"),
    "force_norm": Axis("Force norm", "#D55E00"),
    "connectivity": Axis("Connectivity", "#0072B2"),
    "representation": Axis("Representation", "#CC79A7"),
}


@dataclass(frozen=True)
class Criterion:
    """A measure of how far a structure lies from the training data.

    key: its column in tables; title: in words; axis: of AXES; side: "upper" if only larger values than in training
    are a shift, "both" if smaller ones are, too; unit: empty if it has none; own: whether it comes from the diagnosed
    model itself; full, brief: title at the axis of a figure and as a tick label, if they differ from it.
    """

    key: str
    title: str
    axis: str
    side: str
    unit: str = ""
    own: bool = False
    full: str = ""
    brief: str = ""


_CRITERIA = (
    Criterion(
        "unseen_element_fraction",
        "Share of atoms of unseen elements",
        "features",
        "upper",
        brief="Atoms of unseen elements",
    ),
    Criterion("composition_distance", "Distance of the composition", "features", "upper"),
    Criterion("n_atoms", "Number of atoms", "features", "both"),
    Criterion(
        "prior_force_norm_eV_per_A",
        "Mean norm of the prior forces",
        "force_norm",
        "both",
        unit="eV/Å",
        brief="Prior force norm",
    ),
    Criterion(
        "predicted_force_norm_eV_per_A",
        "Mean norm of the predicted forces",
        "force_norm",
        "both",
        unit="eV/Å",
        own=True,
        brief="Predicted force norm",
    ),
    Criterion(
        "reference_force_norm_eV_per_A",
        "Mean norm of the reference forces",
        "force_norm",
        "both",
        unit="eV/Å",
        brief="Reference force norm",
    ),
    Criterion("window_fraction", "Eigenvalues in [0.9, 1.1]", "connectivity", "both"),
    Criterion(
        "spectrum_padded_distance",
        "Spectral distance, zero-padded",
        "connectivity",
        "upper",
        brief="Spectrum, zero-padded",
    ),
    Criterion(
        "spectrum_padded_nearest",
        "Zero-padded distance to the nearest spectrum",
        "connectivity",
        "upper",
        full="Spectral distance to the nearest training structure, zero-padded",
        brief="Nearest spectrum, zero-padded",
    ),
    Criterion(
        "spectrum_wasserstein",
        "Spectral distance, Wasserstein",
        "connectivity",
        "upper",
        brief="Spectrum, Wasserstein",
    ),
    Criterion(
        "spectrum_wasserstein_nearest",
        "Spectral distance to the nearest training structure",
        "connectivity",
        "upper",
        brief="Nearest spectrum, Wasserstein",
    ),
    Criterion(
        "embedding_distance",
        "Distance to the nearest training structure in the representation",
        "representation",
        "upper",
        own=True,
        brief="Nearest training structure, representation",
    ),
)
CRITERIA = {criterion.key: criterion for criterion in _CRITERIA}


def title(key: str) -> str:
    """Display name of a criterion; an unknown key is its own name."""
    return CRITERIA[key].title if key in CRITERIA else key


def label(key: str) -> str:
    """Display name of a criterion for an axis, with its unit; an unknown key is its own name."""
    known = CRITERIA.get(key)
    return _with_unit(known.full or known.title, known.unit) if known else key


def short(key: str) -> str:
    """Display name of a criterion for a tick label, with its unit; an unknown key is its own name."""
    known = CRITERIA.get(key)
    return _with_unit(known.brief or known.full or known.title, known.unit) if known else key


def _with_unit(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name

"""How the measures of shift and their axes are called, on pages, at the axes of figures and as tick labels."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """One of the axes of a shift: title, and colour of its measures."""

    title: str
    colour: str


# not those of catalogue.groups, which are kinds of held-out groups
AXES = {
    "features": Axis("Atomic features", "#009E73"),
    "force_norm": Axis("Force norm", "#D55E00"),
    "connectivity": Axis("Connectivity", "#0072B2"),
    "representation": Axis("Representation", "#CC79A7"),
}


@dataclass(frozen=True)
class Words:
    """title: in words; unit: empty if it has none; full, brief: at an axis and as a tick label, if they differ."""

    title: str
    unit: str = ""
    full: str = ""
    brief: str = ""


WORDS = {
    "unseen_element_fraction": Words("Share of atoms of unseen elements", brief="Atoms of unseen elements"),
    "composition_distance": Words("Distance of the composition"),
    "n_atoms": Words("Number of atoms"),
    "prior_force_norm_eV_per_A": Words("Mean norm of the prior forces", unit="eV/Å", brief="Prior force norm"),
    "predicted_force_norm_eV_per_A": Words(
        "Mean norm of the predicted forces", unit="eV/Å", brief="Predicted force norm"
    ),
    "reference_force_norm_eV_per_A": Words(
        "Mean norm of the reference forces", unit="eV/Å", brief="Reference force norm"
    ),
    "window_fraction": Words("Eigenvalues in [0.9, 1.1]"),
    "spectrum_padded_distance": Words("Spectral distance, zero-padded", brief="Spectrum, zero-padded"),
    "spectrum_padded_nearest": Words(
        "Zero-padded distance to the nearest spectrum",
        full="Spectral distance to the nearest training structure, zero-padded",
        brief="Nearest spectrum, zero-padded",
    ),
    "spectrum_wasserstein": Words("Spectral distance, Wasserstein", brief="Spectrum, Wasserstein"),
    "spectrum_wasserstein_nearest": Words(
        "Spectral distance to the nearest training structure", brief="Nearest spectrum, Wasserstein"
    ),
    "embedding_distance": Words(
        "Distance to the nearest training structure in the representation",
        brief="Nearest training structure, representation",
    ),
}


def title(key: str) -> str:
    """Display name of a criterion; an unknown key is its own name."""
    return WORDS[key].title if key in WORDS else key


def label(key: str) -> str:
    """Display name of a criterion for an axis, with its unit; an unknown key is its own name."""
    known = WORDS.get(key)
    return _with_unit(known.full or known.title, known.unit) if known else key


def short(key: str) -> str:
    """Display name of a criterion for a tick label, with its unit; an unknown key is its own name."""
    known = WORDS.get(key)
    return _with_unit(known.brief or known.full or known.title, known.unit) if known else key


def _with_unit(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name

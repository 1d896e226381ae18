"""The measures of shift: what each counts as a shift. How they are called is in show.criteria."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Criterion:
    """A measure of how far a structure lies from the training data.

    key: its column in tables; axis: of the shift; side: "upper" if only larger values than in training are a shift,
    "both" if smaller ones are, too; own: whether it comes from the diagnosed model itself.
    """

    key: str
    axis: str
    side: str
    own: bool = False


_CRITERIA = (
    Criterion("unseen_element_fraction", "features", "upper"),
    Criterion("composition_distance", "features", "upper"),
    Criterion("n_atoms", "features", "both"),
    Criterion("prior_force_norm_eV_per_A", "force_norm", "both"),
    Criterion("predicted_force_norm_eV_per_A", "force_norm", "both", own=True),
    Criterion("reference_force_norm_eV_per_A", "force_norm", "both"),
    Criterion("window_fraction", "connectivity", "both"),
    Criterion("spectrum_padded_distance", "connectivity", "upper"),
    Criterion("spectrum_padded_nearest", "connectivity", "upper"),
    Criterion("spectrum_wasserstein", "connectivity", "upper"),
    Criterion("spectrum_wasserstein_nearest", "connectivity", "upper"),
    Criterion("embedding_distance", "representation", "upper", own=True),
)
# in display order
CRITERIA = {criterion.key: criterion for criterion in _CRITERIA}

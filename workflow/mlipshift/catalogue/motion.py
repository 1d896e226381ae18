"""The figures of molecules in motion: dynamics, energy surfaces, fine-tuning; each where its settings ask for it."""

from mlipshift.catalogue.figure import Figure

_SURFACES = {"section": "simulate", "setting": "surfaces.molecules"}
_MOTION: tuple[Figure, ...] = (
    Figure(
        "fig_surfaces",
        "Energy surfaces before and after test-time training",
        tables=("surfaces",),
        caption="Energy of {molecule} at the minimum of the prior (cross) plus u and v times two Hessian eigenvectors"
        " of unit norm ({scan}), relative to that minimum; models of seed {seed}. Lines every {step} eV; what is higher"
        " than the scale is in its last colour. Highest energies (eV): {highest}. Published for GemNet-dT and salicylic"
        " acid, whose directions and units are not stated: {published}.",
        **_SURFACES,
    ),
    Figure(
        "fig_roughness",
        "Roughness of energy surfaces",
        tables=("roughness",),
        caption="Left: root mean square of the energy minus a local cubic, over that of the prior on the same grid"
        " (dashed: as smooth as the prior). Right: difference between the forces and the slope of the energy on the"
        " grid; what is below the axis is drawn at its end. Points: mean over seeds, lines: their range. {sample}. In"
        " all: {jumps} jumps, {minima} minima that the prior does not have.",
        **_SURFACES,
    ),
    Figure(
        "fig_bonds",
        "Bonds that are compressed and stretched",
        tables=("bond_scores",),
        caption="Every bond of a molecule from 0.7 to 2 times its length, or as the settings say, with rigid halves:"
        " {sample}. (a) Dark: bonds without a fault; pale: bonds whose energy has none, whatever the forces. (b) Bonds"
        " with a fault of each kind. Means over bonds and seeds.[[missing: Not run here: {missing}.]]",
        **_SURFACES,
    ),
)
MOTION = {figure.name: figure for figure in _MOTION}

"""The figures of molecules in motion: dynamics, energy surfaces, fine-tuning; each where its settings ask for it."""

from mlipshift.catalogue.figure import ACCURACY, Figure

_SIMULATED = {"section": "simulate", "setting": "simulate.molecules"}
_SURFACES = {"section": "simulate", "setting": "surfaces.molecules"}
_MOTION: tuple[Figure, ...] = (
    Figure(
        "fig_stable_time",
        "How long simulated molecules stay whole",
        tables=("dynamics_summary", "dynamics", "published"),
        caption="Time until a bond was more than 0.5 Å from its mean length, or the kinetic energy exploded, in"
        " Langevin dynamics of molecules that no model was trained on. Bars: mean of {replicas} replicas; points:"
        " replicas, open where something happened; grey ticks: time attempted. In brackets: geometries adapted to."
        "[[published: Published, before and after test-time training: {published}.]]",
        **_SIMULATED,
    ),
    Figure(
        "fig_h_of_r",
        "Distances in simulated molecules",
        tables=("h_of_r", "dynamics_summary", "published"),
        caption="Density h(r) of all interatomic distances (500 bins from 0 to 10 Å) of all replicas until something"
        " broke, over that of reference geometries (grey). Error: area between both; between two halves of the"
        " reference it is {floor}. Where a molecule came apart at once, h(r) is of few frames, and ragged.",
        **_SIMULATED,
    ),
    Figure(
        "fig_energy_traces",
        "Total energy along the trajectories",
        tables=("energy_traces", "dynamics_summary"),
        caption="Total energy per atom since the start, of every replica until something broke; the axis is linear"
        " below 5 meV per atom. Without a thermostat it rests if the forces are the gradient of the energy.[[still:"
        " Largest distance from the start and steepest drift of a replica without thermostat: {still}.]]",
        **_SIMULATED,
    ),
    Figure(
        "fig_unphysical",
        "The first unphysical events",
        tables=("unphysical", "dynamics_summary"),
        caption="Molecules at the moment of the first unphysical event, of the replica that was first in every run in"
        " which one was ({events} runs[[left:, {left} of them not drawn]]): atoms along the direction in which they are"
        " spread least, dark grey carbon, white hydrogen; orange and dashed: bonds that are more than 0.5 Å from their"
        " mean length.",
        **_SIMULATED,
    ),
    Figure(
        "fig_dynamics_cost",
        "Cost of a picosecond",
        tables=("dynamics_costs", "dynamics_summary"),
        caption="Time per ps and replica ({measured}; replicas side by side in one batch, the prior one after the"
        " other), what was asked of the prior along the way included; numbers: prior calls per ps and replica."
        " Adaptation before the dynamics is not included.",
        **_SIMULATED,
    ),
    Figure(
        "fig_learning_curves",
        "Force error against the number of labelled structures of a new molecule",
        "simulate",
        ("learning_curves", "labels_needed", "published"),
        "Force MAE after fine-tuning on some labelled structures, which are none of those tested; dashed: with"
        " replay of training structures. Panels: new molecules, and the known ones ({known}), where a rise is"
        " forgetting. Mean over structures and seeds, each of which draws other structures to label; bars: {interval};"
        " {sample}. How long each learns is chosen on the labelled structures alone. Dash-dotted: {target} meV/Å, the"
        " error in distribution of the paper.[[published: Stars: numbers of structures it needed for that, {published},"
        " without and with TTT, of molecules it does not name.]]"
        f" {ACCURACY}",
        setting="finetuning.groups",
    ),
    Figure(
        "fig_surfaces",
        "Energy surfaces before and after test-time training",
        tables=("surfaces",),
        caption="Energy of {molecule} at the minimum of the prior (cross) plus u and v times two Hessian eigenvectors"
        " of unit norm ({scan}), relative to that minimum; models of seed {seed}. Lines at {levels} eV; what is"
        " higher is in the last colour. Highest energies (eV): {highest}. Published for GemNet-dT and salicylic"
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

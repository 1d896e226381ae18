"""The figures of radius refinement where it can act; none without radius.networks and radius.models."""

from mlipshift.catalogue.figure import Figure

_OF = {"section": "radius", "setting": "radius.networks|radius.models"}
_FIGURES: tuple[Figure, ...] = (
    Figure(
        "fig_radius_curve",
        "Error against the radius of the test graphs",
        tables=("radius_curve",),
        caption="Force MAE of all structures of a group on graphs of one radius, over that at the radius of the network"
        " (dotted). {strategy}; {envelopes}. Mean over structures and seeds; bars: {interval}; {sample}.",
        **_OF,
    ),
    Figure(
        "fig_radius_rules",
        "Rules that choose a radius, and the best radius that there is",
        tables=("radius_rules",),
        caption="Paired difference of the force MAE to the un-refined graphs on all held-out groups, by rule: left of"
        " the line is better. Open: {envelopes}. Grey: the radius with the least error of every structure, which"
        " knows the labels and is an upper bound. Stars: the rule with the least error on the validation groups, if it"
        " is better there by more than its standard error. Bars: {interval}; {sample}. {strategy}.",
        **_OF,
    ),
    Figure(
        "fig_radius_choices",
        "Chosen radius and best radius",
        tables=("radius_choices",),
        caption="Structures of the held-out groups by the radius that a rule chooses and the one of the least error"
        " (area of a point: number of structures); dotted: the radius of the network. On the diagonal a rule finds what"
        " labels would. Best is the radius of the network where no other is better. {strategy}; {rules}; envelope as"
        " trained where the network has one. {sample}.",
        **_OF,
    ),
    Figure(
        "fig_radius_bins",
        "Error by connectivity, with and without refinement",
        tables=("radius_bins",),
        caption="As figure 6 of the paper: force MAE of structures of in-distribution and held-out groups, binned by"
        " the fraction of the eigenvalues of their graphs in (0.9, 1.1) at the radius of the network, on graphs as they"
        " are and refined by a rule; grey: by the best radius of every structure, which knows the labels. Points at the"
        " means of the bins, with about equally many structures. {strategy}; {rules}; envelope as trained where the"
        " network has one. {sample}.",
        **_OF,
    ),
    Figure(
        "fig_radius_molecules",
        "Edges that come and go",
        tables=("radius_edges",),
        caption="One structure of every held-out group and rule that refined some of it, the one whose change of the"
        " error is the median of those that were refined (of at most 40 atoms). Blue: pairs of atoms that are"
        " neighbours at the chosen radius alone; orange, dashed: at the trained one alone; grey: bonds. Radii are"
        " those of the first seed, changes of the error means over seeds. The network and envelope where a rule gains"
        " most: {network}, {strategy}.[[left: {left} more are in the table.]]",
        **_OF,
    ),
    Figure(
        "fig_radius_motion",
        "Energy along trajectories whose radius changes",
        tables=("radius_motion",),
        caption="Dynamics without thermostat, {replicas} of {duration} ps: drift of the total energy, and the"
        " largest jump of the potential energy where the radius changes though nothing has moved, with a fixed radius,"
        " one that is chosen at every step, and one that follows it smoothly. What is 0 is at the end of the axis.",
        section="radius",
        setting="radius.motion.networks",
    ),
)
REWIRED = {figure.name: figure for figure in _FIGURES}

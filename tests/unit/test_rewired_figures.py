"""Figures and report of radius refinement, of scans that are made up."""

import numpy as np
import pytest

from drawn import faults
from mlipshift.base.frames import Frames
from mlipshift.base.tables import read_table, write_table
from mlipshift.catalogue.captions import filled
from mlipshift.catalogue.rewired import REWIRED
from mlipshift.evaluate import rewired_edges, rewired_motion, rewiring
from mlipshift.show import drawing
from mlipshift.show.report import messages_motion
from mlipshift.show.report import rewiring as report
from mlipshift.show.report.results import Results

GROUPS = ("id_test", "val_mixed", "ood_chains", "ood_macrocycles", "ood_dissociating_dimers")
NETWORKS = ("cutoff_3", "cutoff_3_5", "cutoff_4", "cutoff_5", "flexible")
OPTIONS = (50, 0)


def frames(groups=GROUPS):
    rng = np.random.default_rng(7)
    elements = [6, 6, 8, 7, 1, 1, 1, 1, 1, 1]
    return Frames.build(
        {"id": f"{g}{k}", "group": g, "molecule": f"m{k % 5}", "numbers": elements}
        | {"positions": rng.uniform(0, 5, size=(len(elements), 3))}
        | {"charge": 0, "multiplicity": 1}
        for g in groups
        for k in range(15)
    )


def scanned(network, envelope, structures, seed):
    """Errors that grow away from the trained radius, less so in one half of the structures."""
    rng = np.random.default_rng(seed)
    radii = np.array([3.5, 2.5, 3.0, 3.5, 4.0, 6.0])
    away = np.abs(radii - 3.5)[:, None] * rng.normal(size=len(structures)) * 40
    errors = np.abs(200 + away + rng.normal(scale=5, size=(2, len(radii), len(structures))))
    errors[:, 3] = errors[:, 0]
    return rewiring.Scanned(network, "joint", envelope, radii, errors, errors / 1000)


def tables(folder, networks=NETWORKS, groups=GROUPS, moved=True):
    """{name: path} of the tables of networks."""
    known, made = frames(groups), ("radius_curve", "radius_rules", "radius_choices", "radius_bins", "radius_adapted")
    rows = {name: [] for name in made}
    costs, fractions = [], np.random.default_rng(1).uniform(size=len(known))
    for seed, network in enumerate(networks):
        for envelope in ("rescaled",) if network == "flexible" else ("trained", "rescaled"):
            found = scanned(network, envelope, known, seed)
            chosen = {"published": np.full(len(known), 3.0), "wasserstein_nearest": np.full(len(known), 4.0)}
            picks = found.picks(chosen, [0.0, 0.1])
            rows["radius_curve"] += rewiring.curve(found, known, *OPTIONS)
            table, advised = rewiring.rules(found, known, picks, *OPTIONS)
            rows["radius_rules"] += table
            shown = [name for name in ("published", advised) if name in picks]
            rows["radius_choices"] += rewiring.radii(found, known, picks, shown)
            rows["radius_bins"] += rewiring.bins(found, known, picks, shown, fractions, *OPTIONS)
            after = {"nothing": found.at(picks["best"]) - 50, "published": found.at(picks["published"]) - 40}
            rows["radius_adapted"] += rewiring.adapted(found, known, picks, after, *OPTIONS)
            costs.append(found.about | {"choose_over_predict": 0.2 + 0.1 * seed})
    columns = {"radius_curve": rewiring.CURVE, "radius_rules": rewiring.RULES, "radius_choices": rewiring.RADII}
    columns |= {"radius_bins": rewiring.BINS}
    columns |= {"radius_adapted": rewiring.ADAPTED, "radius_edges": rewired_edges.EDGES}
    rows["radius_edges"] = rewired_edges.rows(rows["radius_choices"], known)
    for name, found in rows.items():
        write_table(folder / f"{name}.csv", found, columns[name])
    motion = [
        {"network": n, "envelope": "rescaled", "group": g, "mode": mode, "n_atoms": 30, "n_replicas": 3}
        | {"attempted_ps": 2.0, "stable_ps": 2.0, "drift_meV_per_atom_per_ps": 0.01 * (1 + 9 * k)}
        | {"excursion_meV_per_atom": 1.0, "changes_per_ps": 7.0 * k, "mean_jump_meV_per_atom": 0.1 * k}
        | {"largest_jump_meV_per_atom": 3.0 * k, "jumped_meV_per_atom_per_ps": 1.0 * k}
        for n in networks[-1:]
        for g in groups
        for k, mode in enumerate(("fixed", "frame", "smooth"))
        if moved
    ]
    write_table(folder / "radius_motion.csv", motion, rewired_motion.MOTION)
    write_table(folder / "radius_costs.csv", costs, [*rewiring.ABOUT, "choose_over_predict"])
    return drawing.find_tables([folder])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tables(tmp_path_factory.mktemp("radius"))


@pytest.mark.parametrize("name", REWIRED)
def test_figures_are_legible_and_their_captions_complete(name, made, tmp_path):
    one = tables(tmp_path, networks=["flexible"], groups=("ood_x",))
    for found in (made, one):
        figure, facts = drawing.draw(name, found, REWIRED[name].title)
        assert faults(figure) == []
        known = facts | {"interval": "an interval"}
        caption = filled(REWIRED[name].caption, known)
        assert "{" not in caption and "[[" not in caption


def results(found):
    return Results({name: read_table(path) for name, path in found.items()} | {"summary": None, "paired": None})


def test_the_report_has_the_published_the_recommended_and_the_best_rule_of_every_network(made, tmp_path):
    found = results(made)
    table = report.rules_table(found)
    assert all(len(row) == len(table["head"]) for row in table["rows"])
    rules = read_table(made["radius_rules"])
    pooled = rules[rules.group == "ood_all"]
    asked = sum(2 + len(set(p[p.recommended].rule) - {"published"}) for _, p in pooled.groupby(report.ABOUT))
    assert len(table["rows"]) == asked
    best = next(row for row in table["rows"] if row[3]["title"] == "best")
    wanted = pooled[(pooled.rule == "best") & (pooled.network == "cutoff_3") & (pooled.envelope == "trained")]
    assert best[5]["sort"] == pytest.approx(wanted.difference_meV_per_A.iloc[0])
    heading, text = report.rewiring_sentence(found)
    assert heading == "Spectral rewiring" and "over 9 networks: the published rule changes the error by" in text
    assert "Choosing a radius takes 20 to 60 % of a prediction." in text
    said = messages_motion.MAKERS["fig_radius_rules"](found)
    assert said.startswith("The published rule lowers the error of ") and "of 9 networks" in said
    assert messages_motion.MAKERS["fig_radius_motion"](found).startswith(
        "Largest jump of the energy, meV per atom: fixed"
    )
    for maker in (report.adapted_table, report.motion_table):
        table = maker(found)
        assert table["rows"] and all(len(row) == len(table["head"]) for row in table["rows"])
    nothing = Results({"summary": None, "paired": None})
    made_of_nothing = (report.rules_table, report.adapted_table, report.motion_table, report.rewiring_sentence)
    assert [maker(nothing) for maker in made_of_nothing] == [None] * 4


def test_bins_hold_every_structure_once_and_their_means_are_those_of_the_whole(made):
    bins, rules = read_table(made["radius_bins"]), read_table(made["radius_rules"])
    reported = sum(not g.startswith("val_") for g in GROUPS) * 15
    for (network, envelope, rule), own in bins.groupby(["network", "envelope", "rule"]):
        assert own.n_structures.sum() == reported
        assert ((own.bin_mean >= own.bin_left) & (own.bin_mean < own.bin_right)).all()
        whole = rules[(rules.network == network) & (rules.envelope == envelope) & (rules.rule == rule)]
        whole = whole[whole.group.isin(["id_test", "ood_all"])]
        for column in ("trained_meV_per_A", "chosen_meV_per_A"):
            means = [np.average(t[column], weights=t.n_structures) for t in (own, whole)]
            assert means[0] == pytest.approx(means[1])


def test_edges_that_come_and_go_are_those_between_the_two_radii(made):
    """Against distances of all pairs; the structure is one that was refined, and its atoms are all there."""
    known = frames()
    edges, choices = (read_table(made[name]) for name in ("radius_edges", "radius_choices"))
    about = ["network", "strategy", "envelope", "rule", "id"]
    assert set(edges.group) == {g for g in GROUPS if g.startswith("ood_")}
    for (network, _, envelope, rule, name), own in edges.groupby(about):
        positions = known[int(np.flatnonzero(known.ids == name)[0])][1]
        distance = np.linalg.norm(positions[:, None] - positions[None], axis=2)
        row = choices[(choices.network == network) & (choices.envelope == envelope) & (choices.rule == rule)]
        row = row[row.id == name].iloc[0]
        assert row.chosen_A != row.trained_A
        low, high = sorted((row.trained_A, row.chosen_A))
        between = {(i, j) for i, j in zip(*np.nonzero((distance >= low) & (distance < high))) if i < j}
        kind, other = ("came", "went") if row.chosen_A > row.trained_A else ("went", "came")
        assert set(zip(own[own.edge == kind]["first"], own[own.edge == kind]["second"])) == between
        assert not (own.edge == other).any() and (own.edge == "atom").sum() == len(positions)

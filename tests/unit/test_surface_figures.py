"""Figures and tables of the report on energy surfaces and bonds, of surfaces that are known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drawn import faults
from mlipshift.base import geometry
from mlipshift.base.frames import Frames
from mlipshift.base.tables import read_table, write_table
from mlipshift.catalogue.captions import filled
from mlipshift.catalogue.motion import MOTION
from mlipshift.show import drawing
from mlipshift.show.report import messages_motion
from mlipshift.show.report import surfaces as report
from mlipshift.show.report.results import Results
from mlipshift.simulate import bond_tables, bonds, grids, minima, surfaces
from mlipshift.simulate.bonds import Limits
from mlipshift.simulate.surfaces import Answers

SHIPPED = Path(__file__).resolve().parents[2] / "resources" / "surfaces" / "minima.extxyz"
DRAWN = [name for name, figure in MOTION.items() if figure.setting == "surfaces.molecules"]
METHODS = ("supervised", "joint", "joint_ttt_minimum", "joint_ttt_directions", "joint_corrected")
MOLECULES = ("ethanol", "salicylic_acid")
RATIOS = np.linspace(0.7, 2.0, 53)
LIMITS = Limits(jump_eV=0.05, depth_eV=0.02, mismatch_eV_per_A=0.1, share=0.05)
REACH = {"soft": 0.5, "wide": 1.0}
STABLE = {
    **{"molecule": "ood_toluene", "run": "joint_direct", "model": "joint", "scheme": None, "corrected": False},
    **{"forces": "direct", "ensemble": "nvt", "stable_ps": 1.5, "n_replicas": 3, "n_stable": 1},
}


def answers(frames, method, seed=None, rough=0.0, ends=False):
    """Springs between the first atoms of the structures; rough: noise (eV); ends: bonds break when they are long."""
    rng = np.random.default_rng(seed)
    energy, forces = np.empty(len(frames)), []
    for k in range(len(frames)):
        x = frames[k][1]
        far = np.linalg.norm(x[:, None] - x[None], axis=-1)
        energy[k] = 0.05 * (far**2).sum() / len(x)
        forces.append(-0.2 * (x - x.mean(0)))
        if ends:
            energy[k] = -np.abs(energy[k])
    return Answers(method, seed, energy + rough * rng.normal(size=len(frames)), forces)


def tables(folder, names=METHODS, other=True, reference=True, molecules=MOLECULES):
    """{name: path} of the tables of surfaces and bonds."""
    known = {name: m for name, m in minima.load(SHIPPED).items() if name in molecules}
    places = {"ethanol/wide": {"points": 5, "reach_A": 1.0}} if reference else {}
    frames = Frames.build(grids.structures(known, 7, REACH, places))
    stretched = Frames.build(
        [row for m in known.values() for row in bonds.chains(m, geometry.bonds(m.numbers, m.positions), RATIOS)]
    )
    every = [(f"{name}{kind}", seed) for kind in ("", "_direct")[: 1 + other] for name in names for seed in (0, 1)]
    made = {}
    for on in (frames, stretched):
        made[id(on)] = [answers(on, "prior")]
        made[id(on)] += [
            answers(on, name, seed, 0.002 * (1 + seed), on is stretched and name != "joint_corrected")
            for name, seed in every
        ]
    labels = dict(zip(frames.ids.astype(str), answers(frames, "reference").energy)) if reference else {}
    limits = {"depth_eV": 0.02, "jump_eV": 0.05}
    grid, rough = surfaces.tables(frames, made[id(frames)], labels, limits)
    judged = bond_tables.bond_rows(stretched, made[id(stretched)], RATIOS[0], LIMITS)[1]
    scores = list(bond_tables.score_rows(judged, {"mace_off": "weights are missing"}))
    found = {"surfaces": (surfaces.GRID, grid), "roughness": (surfaces.ROUGHNESS, rough)}
    found["bond_scores"] = (bond_tables.SCORES, scores)
    for name, (columns, rows) in found.items():
        write_table(folder / f"{name}.csv", rows, columns)
    return drawing.find_tables([folder])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tables(tmp_path_factory.mktemp("surfaces"))


@pytest.mark.parametrize("name", DRAWN)
def test_figures_are_legible_and_their_captions_complete(name, made, tmp_path):
    few = tables(tmp_path, names=["joint"], other=False, reference=False, molecules=["ethanol"])
    for found in (made, few):
        figure, facts = drawing.draw(name, found, MOTION[name].title)
        assert faults(figure) == []
        caption = filled(MOTION[name].caption, facts)
        assert "{" not in caption and "[[" not in caption
        if name == "fig_bonds":
            assert "Not run here: mace_off." in caption


def results(made, **more):
    return Results({n: read_table(p) for n, p in made.items()} | {"summary": None, "paired": None} | more)


def test_the_report_has_a_row_per_surface_and_method_with_medians(made):
    table = report.roughness_table(results(made))
    head, rows = table["head"], table["rows"]
    assert len(rows) == len(REACH) * (1 + 2 * len(METHODS)) and all(len(row) == len(head) for row in rows)
    rough = read_table(made["roughness"])
    chosen = rough[(rough.scan == "wide") & (rough.method == "joint")]
    line = next(row for row in rows if row[0]["title"] == "wide" and row[1]["title"] == "joint")
    assert line[2]["sort"] == pytest.approx(chosen.roughness_meV.median())
    assert line[6]["sort"] == pytest.approx(chosen.difference_to_reference_meV.median())
    assert "2 values" in line[6]["title"], "of ethanol alone, two seeds"
    said = {
        name: messages_motion.MAKERS[name](results(made)) for name in ("fig_surfaces", "fig_roughness", "fig_bonds")
    }
    soft = rough[(rough.scan == "soft") & (rough.method == "joint")]
    assert f"Joint {soft.difference_to_prior_meV.median():.3g} meV" in said["fig_surfaces"]
    assert f"Joint {soft.roughness_over_prior.median():.2f}" in said["fig_roughness"]
    assert said["fig_bonds"].startswith("Stretched and compressed bonds without any fault: Prior ")


def test_the_report_says_how_long_the_model_of_a_score_lasted(made):
    columns = ["molecule", "run", "model", "scheme", "corrected", "forces", "ensemble", "stable_ps", "n_replicas"]
    runs = [
        STABLE,
        STABLE | {"run": "joint", "forces": "gradient", "stable_ps": 10.0, "n_stable": 3},
        STABLE | {"run": "joint", "molecule": "ood_x", "forces": "gradient", "stable_ps": 4.0, "n_replicas": 1},
        STABLE | {"run": "joint_ttt", "scheme": "joint_ttt", "forces": "gradient", "stable_ps": 0.1},
        STABLE | {"run": "joint_nve", "forces": "gradient", "ensemble": "nve", "stable_ps": 0.1},
        STABLE | {"run": "joint_corrected", "forces": "gradient", "corrected": True, "stable_ps": 2.0},
    ]
    table = report.bonds_table(results(made, dynamics_summary=pd.DataFrame(runs, columns=[*columns, "n_stable"])))
    at = table["head"].index("Whole in dynamics (ps)")
    lasted = {row[0]["title"]: row[at]["sort"] for row in table["rows"]}
    assert lasted["joint"] == pytest.approx((3 * 10 + 4) / 4) and lasted["joint_direct"] == 1.5
    assert lasted["joint_corrected"] == 2.0 and lasted["joint_ttt_minimum"] == "–" and lasted["supervised"] == "–"
    reasons = {row[0]["title"]: row[-1]["text"] for row in table["rows"]}
    assert reasons["mace_off"] == "weights are missing" and reasons["joint"] == ""
    assert report.bonds_table(Results({"summary": None, "paired": None})) is None

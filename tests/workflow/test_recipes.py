"""What docs/contributing.md promises: a figure, a prior, a reader, a backbone, a family is one file and one line."""

import json
import shutil

import pandas as pd
import pytest

from clone import ROOT, SMOKE, snakemake
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions

FIGURE = """
from mlipshift.show import style

NEEDS = {"summary": ("method", "mean_meV_per_A")}


def draw(tables, title):
    figure, panels = style.canvas(2.0, 1, 1, left=0.6, right=0.2, top=0.7, bottom=0.5)
    panels[0, 0].plot(tables["summary"].mean_meV_per_A)
    style.head(figure, title, "of the tests")
    return figure, {"rows": str(len(tables["summary"]))}
"""
ENGINE = """
import numpy as np

PACKAGE = "springs"


def engine(method, accuracy):
    def spring(numbers, positions, charge, multiplicity):
        away = positions - positions.mean(axis=0)
        return 0.5 * float((away**2).sum()), -away

    return spring
"""
READER = """
import json

import numpy as np

from mlipshift.data.records import Record

UNITS = {"energy": "eV", "length": "Angstrom", "forces": "eV/Angstrom"}


def recognises(beginning):
    return beginning.text.startswith(b"#dummy")


def read(path, request):
    for k, line in enumerate(open(path).readlines()[1:]):
        numbers, positions, energy, forces = json.loads(line)
        yield Record(
            id=f"{request.name}-{k}",
            where=f"{path}, line {k + 2}",
            molecule="water",
            numbers=np.array(numbers),
            positions=np.array(positions),
            energy=energy,
            forces=np.array(forces),
        )
"""
BACKBONE = """
from mlipshift.learn.backbones.painn import Architecture, PaiNN

__all__ = ["Architecture", "Dummy"]


class Dummy(PaiNN):
    name = "dummy"
"""
FAMILY = """
import numpy as np


class Model:
    cutoff = None

    def __init__(self, entry, checkpoint):
        pass

    @staticmethod
    def weights(entry, checkpoint):
        return None

    def __call__(self, structure):
        return 1.5, np.zeros_like(structure.positions), None
"""
METHOD = 'Method("dummy", "Dummy method", "does nothing", "", "#123456", "8", prior_calls=3.0),'
ENTRY = """Figure(
        "fig_dummy", "Dummy figure", "cost", ("summary",), "{rows} rows of the summary.",
    ),"""


def line(path, before, text):
    """Put a line before the first place that reads `before`."""
    content = path.read_text(encoding="utf-8")
    assert before in content
    path.write_text(content.replace(before, f"{text}\n    {before}", 1), encoding="utf-8")


@pytest.fixture(scope="module")
def house(smoke_run, tmp_path_factory):
    """A finished smoke run whose library has one more of everything."""
    directory = tmp_path_factory.mktemp("recipes") / "house"
    shutil.copytree(smoke_run, directory, symlinks=True)
    library = directory / "workflow/mlipshift"
    files = {
        "show/figures/fig_dummy.py": FIGURE,
        "prior/engines/springs.py": ENGINE,
        "data/readers/dummy.py": READER,
        "learn/backbones/dummy.py": BACKBONE,
        "external/families/dummy.py": FAMILY,
    }
    for name, content in files.items():
        (library / name).write_text(f'"""Of the tests."""\n{content}', encoding="utf-8")
    line(library / "catalogue/figures.py", 'Figure(\n        "fig_frontier"', ENTRY)
    line(library / "catalogue/methods.py", 'Method("prior"', METHOD)
    components = library / "catalogue/components.py"
    line(components, '"painn": "PaiNN"', '"dummy": "Dummy",')
    line(components, '"Morse": (', '"Springs": ("springs",),')
    line(components, '"oc20"', '"dummy",')
    line(components, '"mlipshift",', '"dummy",')
    return directory


def test_a_figure_and_a_method(house):
    """The figure is drawn, with its caption, and is in the report; the method has a cost where costs are counted."""
    plan = snakemake(house, "-n", "-p", "--forcerun", "evaluate", *SMOKE).stdout
    assert '"dummy": 3.0' in plan
    snakemake(house, "fig_dummy", "report", *SMOKE)
    rows = len(pd.read_csv(house / "results/tables/summary.csv"))
    assert (house / "results/figures/fig_dummy.txt").read_text() == f"{rows} rows of the summary.\n"
    assert f"{rows} rows of the summary." in (house / "results/report.html").read_text()


def test_a_prior_a_reader_a_backbone_and_a_family(house):
    water = [[8, 1, 1], [[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], -2079.9, [[0.0, 0, 0]] * 3]
    for name, shift in (("train", 0.0), ("id_test", 0.01), ("ood_new", 0.1)):
        rows = [json.dumps([water[0], [[x + k * shift, y, z] for x, y, z in water[1]], *water[2:]]) for k in range(4)]
        (house / f"{name}.dummy").write_text("\n".join(["#dummy", *rows]) + "\n")
    (house / "dummy.yaml").write_text(
        json.dumps(
            {
                "run": "dummy",
                "data": {"files": {g: [f"{g}.dummy"] for g in ("train", "id_test", "ood_new")}, "checksums": None},
                "prior": {"method": "Springs"},
                "model": {"backbone": "dummy", "dummy": {"features": 8, "blocks": 1, "radial": 4}},
                "models": {"dummy": {"title": "Dummy", "family": "dummy", "environment": "torch"}},
            }
        )
    )
    results = "results/dummy"
    targets = ["prior/test.h5", "predictions/supervised/seed0.h5", "models/external/dummy/test.h5"]
    files = ["--configfile", "config/smoke.yaml", "dummy.yaml"]
    snakemake(house, *(f"{results}/{target}" for target in targets), *files)
    frames = Frames.load(house / results / "frames/test.h5")
    assert len(frames) == 8 and set(frames.molecule) == {"water"}
    prior = Labels.load(house / results / "prior/test.h5", frames)
    away = frames[0][1] - frames[0][1].mean(axis=0)
    assert prior.level == "prior:Springs" and prior.forces_of(0) == pytest.approx(-away)
    card = json.loads((house / results / "models/supervised/seed0/model.json").read_text())
    assert card["backbone"] == "dummy" and card["architecture"]["features"] == 8
    assert Predictions.load(house / results / "predictions/supervised/seed0.h5", frames).ok.all()
    assert set(Predictions.load(house / results / "models/external/dummy/test.h5", frames).energy[0]) == {1.5}


def test_every_recipe_is_walked():
    text = (ROOT / "docs/contributing.md").read_text(encoding="utf-8")
    for name in ("method", "figure", "prior engine", "reader", "backbone"):
        assert f"\n## A {name}\n" in text
    assert "\n## An external family\n" in text

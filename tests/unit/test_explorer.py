"""The explorer: what its page holds is what the stores and tables say, and a browser without a network shows it."""

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import rgb_to_hsv, to_rgb
from matplotlib.image import imread

import chromium
from clone import ROOT
from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.external.answer import Answer
from mlipshift.external.embedding import Embedding
from mlipshift.show import explored, explorer
from mlipshift.show.report import to_explorer

COUNTS = {"id_test": 4, "ood_larger": 2, "val_larger": 3}
UNLABELLED = "ood_larger/m/1"
METHODS = ("prior", "joint", "joint_ttt", "delta")
WAYS = ("model", "rescued", "constant")  # forces of the page of rescued structures
TEMPLATE = ROOT / "workflow/report/explorer.html.j2"
# the browser draws in software: a test machine need not have a graphics card
DRAWS = "--enable-unsafe-swiftshader"


def structures(counts=COUNTS):
    """Frames of bent H2O, H3O, … of several groups: of every size, so that shifted arrows are found out."""
    rng = np.random.default_rng(0)
    names = [(group, k) for group, count in counts.items() for k in range(count)]
    return Frames.build(
        {
            "id": f"{group}/m/{k}",
            "group": group,
            "molecule": f"m{k}",
            "numbers": [8] + [1] * (2 + k % 3),
            "positions": rng.normal(size=(3 + k % 3, 3)),
            "charge": 0,
            "multiplicity": 1,
        }
        for group, k in names
    )


def forces(frames, seed, without=()):
    """Random forces [N, 3] eV/Å, NaN of the structures `without`."""
    found = np.random.default_rng(seed).normal(size=(len(frames.numbers), 3))
    found[np.repeat(np.isin(frames.ids.astype(str), without), frames.sizes)] = np.nan
    return found


def rows(frames, values):
    """What stores are built from, of forces [N, 3]; None where they are missing."""
    parts = np.split(values, frames.offsets[1:-1])
    return [(0.0, part) if np.isfinite(part).all() else None for part in parts]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(frames, {key: forces [N, 3]}, errors, data, path of the page) of make_explorer on a run of two seeds."""
    folder, frames = tmp_path_factory.mktemp("explorer"), structures()
    held_out = [str(name) for name in frames.ids if str(name).startswith("val_")]
    made = {
        "reference": forces(frames, 1, [UNLABELLED]),
        "prior": forces(frames, 2),
        "joint": forces(frames, 3),
        "joint_ttt": forces(frames, 4, held_out),  # what is adapted to is not of validation groups
    }
    frames.save(folder / "frames.h5")
    for name in ("reference", "prior"):
        Labels.build(frames, rows(frames, made[name]), name).save(folder / f"{name}.h5")
    for seed in (0, 1):
        for name, steps in (("joint", 1), ("joint_ttt", 2)):
            said = [r and (np.zeros(steps), np.stack([r[1] + seed] * steps)) for r in rows(frames, made[name])]
            loss = np.ones((steps, len(frames))) / (1 + np.arange(steps))[:, None]
            found = Predictions.build(frames, said, np.arange(steps), 5.0, name, seed, loss)
            found.save(folder / f"{name}{seed}.h5")
    errors = pd.DataFrame(
        {"method": method, "id": name, "seed": seed, "force_mae_meV_per_A": 10.0 * k + 7 * m + seed}
        for m, method in enumerate(METHODS)
        for seed in (0, 1)
        for k, name in enumerate(frames.ids)
        if name != UNLABELLED and (method != "joint_ttt" or name not in held_out)
    )
    errors.to_csv(folder / "errors.csv", index=False)
    axes = ("composition_distance", "window_fraction", to_explorer.FORCES)
    shifts = {"id": frames.ids} | {key: np.arange(len(frames)) / (k + 2) for k, key in enumerate(axes)}
    pd.DataFrame(shifts).to_csv(folder / "shifts.csv", index=False)
    command = [sys.executable, ROOT / "workflow/scripts/make_explorer.py", "--template", TEMPLATE]
    command += ["--before", folder / "joint0.h5", folder / "joint1.h5"]
    command += ["--after", folder / "joint_ttt0.h5", folder / "joint_ttt1.h5"]
    command += [w for n in ("frames", "reference", "prior") for w in (f"--{n}", folder / f"{n}.h5")]
    command += [w for n in ("shifts", "errors") for w in (f"--{n}", folder / f"{n}.csv")]
    command += ["--output", folder / "explorer.html", "--log", folder / "log"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return frames, made, errors, held(folder / "explorer.html"), folder / "explorer.html"


def held(path):
    """The data of a page."""
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"), re.S)[1])


def values(data, key):
    """{id: value} of a quantity of a page."""
    named = {q["key"]: data["dataset"]["properties"][q["name"]]["values"] for q in data["quantities"]}
    return dict(zip(named["id"], named[key], strict=True))


# the data


def test_arrows_are_the_forces_of_the_structure(run):
    frames, made, _, data, _ = run
    assert [a["key"] for a in data["arrows"]] == ["reference", "joint", "joint_ttt", "prior"]
    ids = list(values(data, "id"))
    for arrows in data["arrows"]:
        for k, name in enumerate(frames.ids):
            own = made[arrows["key"]][frames.offsets[k] : frames.offsets[k + 1]]
            found = arrows["vectors"][ids.index(name)]
            if np.isfinite(own).all():
                assert found == pytest.approx(own.ravel(), abs=1e-4), (arrows["key"], name)
            else:
                assert found is None, (arrows["key"], name)


def test_structures_are_those_of_the_store(run):
    frames, _, _, data, _ = run
    for k, found in enumerate(data["dataset"]["structures"]):
        numbers, positions, *_ = frames[k]
        assert found["size"] == len(numbers) and found["names"] == ["O"] + ["H"] * (len(numbers) - 1)
        assert np.column_stack([found[c] for c in "xyz"]) == pytest.approx(positions, abs=1e-4)


def test_numbers_are_those_of_the_tables(run):
    frames, _, errors, data, _ = run
    means = errors.groupby(["method", "id"]).force_mae_meV_per_A.mean()
    for method in METHODS:
        found = values(data, f"{method}_meV_per_A")
        known = {name: means.get((method, name)) for name in frames.ids}
        assert found == {name: known[name] if known[name] is None else pytest.approx(known[name]) for name in found}
    adapted = [name for name in frames.ids if ("joint_ttt", name) in means]
    gain = values(data, "gain_meV_per_A")
    assert {name: gain[name] for name in adapted} == {name: pytest.approx(-7.0) for name in adapted}
    # seeds differ by 1 eV/Å along each axis: a distance of √3/2 from their mean
    assert list(values(data, "spread_meV_per_A").values()) == pytest.approx([500 * 3**0.5] * len(frames), rel=1e-5)
    assert set(values(data, "prior_loss_after_meV_per_A").values()) == {500.0}


def test_groups_are_counted(run):
    data = run[3]
    assert {g["key"]: g["count"] for g in data["groups"]} == COUNTS == {g["key"]: g["total"] for g in data["groups"]}
    titles = Counter(values(data, "group").values())
    assert {g["key"]: titles[g["title"]] for g in data["groups"]} == COUNTS
    colours = [g["colour"] for g in data["groups"]]
    assert colours == explorer.BANDS[10].split()[:3], "as the map draws the numbers of groups"


def test_what_is_missing_is_never_nan(run):
    text = run[4].read_text(encoding="utf-8")
    block = re.search(r'id="data">(.*?)</script>', text, re.S)[1]
    json.loads(block, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (
        values(run[3], "joint_meV_per_A")[UNLABELLED] is None
        and values(run[3], "gain_meV_per_A")["val_larger/m/0"] is None
    )


def test_figures_link_to_quantities_that_are_there(run):
    keys = {q["key"] for q in run[3]["quantities"]}
    own = [name for name in to_explorer.AXES if name not in ("fig_criteria", "fig_rescued")]
    for name in own:
        axes = to_explorer.AXES[name]
        assert any("{model}" in key for key in axes.values()) or set(axes.values()) <= keys, name
    found = to_explorer.linked({"fig_embedding": {"n": 1}, "fig_other": {}}, run[4], "emt")
    address = "explorer.html#x=emt_component_1&y=emt_component_2&color=emt_meV_per_A"
    assert found == {"fig_embedding": {"n": 1, "explorer": address}, "fig_other": {"explorer": ""}}
    assert to_explorer.address("fig_embedding", None) == ""


def content(frames, arrows, quantities=(), **start):
    given = [explorer.Quantity(key, key, np.asarray(v)) for key, v in quantities]
    return explorer.content(frames, given, arrows, start)


def test_without_reference_labels_there_are_neither_arrows_nor_errors():
    frames = structures()
    table = pd.DataFrame({"method": [], "id": [], "seed": [], "force_mae_meV_per_A": []})
    quantities = explored.errors(table, frames.ids)
    quantities.append(explorer.Quantity("joint_meV_per_A", "Force MAE", np.full(len(frames), np.nan)))
    arrows = [explored.reference(np.full((len(frames.numbers), 3), np.nan)), explored.prior(forces(frames, 2))]
    data = explorer.content(frames, quantities, arrows, {"x": "n_atoms", "y": "joint_meV_per_A"})
    assert [a["key"] for a in data["arrows"]] == ["prior"]
    assert not [q["key"] for q in data["quantities"] if q["key"].endswith("meV_per_A")]
    assert data["start"] == {"x": "n_atoms", "y": "charge", "color": "number"}, "an axis that is not there is replaced"
    page = explorer.render(TEMPLATE, data, explored.words("T", "N", ("report.html", "Back")))
    assert 'value="reference"' not in page and 'value="prior" checked' in page


def test_a_sample_says_how_many_it_shows(monkeypatch):
    """Every group gives in turn: small ones stay whole, and the arrows are still those of their structures."""
    frames = structures({"id_test": 40, "ood_larger": 3})
    own = forces(frames, 1)
    weight = frames.sizes * (explorer.OF_ATOM + 3 * explorer.OF_NUMBER) + explorer.OF_NUMBER
    monkeypatch.setattr(explorer, "BUDGET", int(weight.sum() // 3))
    data = content(frames, [explored.prior(own)], {"q": np.arange(len(frames)) * 1.0}.items(), x="q", y="n_atoms")
    shown = len(data["dataset"]["structures"])
    assert 0 < shown < data["total"] == 43
    assert {g["key"]: (g["count"], g["total"]) for g in data["groups"]} == {
        "id_test": (shown - 3, 40),
        "ood_larger": (3, 3),
    }
    numbers, place = values(data, "q"), {name: k for k, name in enumerate(frames.ids)}
    for k, name in enumerate(numbers):
        assert numbers[name] == place[name]
        atoms = slice(frames.offsets[place[name]], frames.offsets[place[name] + 1])
        assert data["arrows"][0]["vectors"][k] == pytest.approx(own[atoms].ravel(), abs=1e-4)
    assert f"{shown} of 43 structures are on this page" in explorer.render(
        TEMPLATE, data, explored.words("", "", ("", ""))
    )
    again = content(frames, [explored.prior(own)], {"q": np.arange(len(frames)) * 1.0}.items(), x="q", y="n_atoms")
    assert again == data, "the same in every run"


def test_arrows_are_long_enough_to_see():
    of = lambda length: explorer.scale_of([explored.prior(np.full((5, 3), [length, 0, 0]))])
    assert [of(length) for length in (20, 1.6, 0.3, 1e-9)] == [0.1, 1.0, 5.0, explorer.SCALES[-1]]
    assert explorer.scale_of([]) == 1.0 and of(np.nan) == 1.0


def test_words_of_a_structure_end_no_script():
    assert "</script" not in explorer.embedded({"name": "</script><!--"})
    assert json.loads(explorer.embedded({"name": "</script>"})) == {"name": "</script>"}
    with pytest.raises(ValueError):
        explorer.embedded({"x": float("nan")})
    script = explorer.viewer()["script"]
    assert "</script" not in script and "<!--" not in script


def test_mistakes_are_said():
    with pytest.raises(UserError, match="no structure to show"):
        content(structures({}), [])
    with pytest.raises(ValueError, match="two quantities of one name"):
        content(structures(), [], [("n", np.ones(9)), ("Formula", np.ones(9))])


# the pages of the diagnosis and of rescued structures


def written(script, folder, **options):
    """Data of the page that a script writes; options: its command line, a list is several words."""
    command = [sys.executable, ROOT / f"workflow/scripts/{script}.py", "--template", TEMPLATE, "--log", folder / "log"]
    for name, value in (options | {"output": folder / "page.html", "report": "back.html"}).items():
        command += [f"--{name.replace('_', '-')}", *(value if isinstance(value, list) else [value])]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'href="back.html"' in (folder / "page.html").read_text(encoding="utf-8")
    return held(folder / "page.html")


def stored(folder, frames, **made):
    """{name: path} of stores of forces, as labels of the reference and the prior, else as predictions."""
    frames.save(folder / "frames.h5")
    for name, values in made.items():
        if name in ("reference", "prior"):
            Labels.build(frames, rows(frames, values), name).save(folder / f"{name}.h5")
        else:
            said = [r and ([r[0]], r[1][None]) for r in rows(frames, values)]
            Predictions.build(frames, said, [0], 5.0, name, 0).save(folder / f"{name}.h5")
    return {name: folder / f"{name}.h5" for name in ("frames", *made)}


def arrows_of(data, key, name):
    """Forces of a structure on a page, flat; None where it has none."""
    return next(a for a in data["arrows"] if a["key"] == key)["vectors"][list(values(data, "id")).index(name)]


@pytest.mark.parametrize("models", [0, 2])
def test_the_diagnosis_shows_what_is_known_of_each_model(tmp_path, models):
    frames = structures()
    made = {f"m{k}": forces(frames, k, ["id_test/m/0"] if k else []) for k in range(models)}
    paths = stored(tmp_path, frames, reference=np.full((len(frames.numbers), 3), np.nan), **made)
    pd.DataFrame({"id": frames.ids, "window_fraction": np.linspace(0, 1, len(frames))}).to_csv(tmp_path / "s.csv")
    for k, name in enumerate(made):
        (tmp_path / "of" / name).mkdir(parents=True)
        about = {"id": frames.ids, "force_mae_meV_per_A": np.nan, "predicted_force_norm_eV_per_A": 2.0 + k}
        pd.DataFrame(about).to_csv(tmp_path / "of" / name / "errors.csv")
        points = {"id": ["train/0", *frames.ids], "component_1": np.arange(1 + len(frames)), "component_2": 1.0}
        pd.DataFrame(points)[: None if k else 0].to_csv(tmp_path / "of" / name / "embedding.csv")
        said = [Answer(0.0, np.zeros((n, 3)), spread=np.full(n, 0.5) if k else None) for n in frames.sizes]
        Embedding.build(frames, said).save(tmp_path / f"{name}_embedding.h5")
    several = {
        "models": [tmp_path / "of" / name for name in made],
        "predictions": [paths[name] for name in made],
        "embeddings": [tmp_path / f"{name}_embedding.h5" for name in made],
        "titles": [f"Model {name}, first" for name in made],
    }
    given = {"frames": paths["frames"], "reference": paths["reference"], "shifts": tmp_path / "s.csv"}
    data = written("explore_diagnosis", tmp_path, **given, **several)
    keys = {q["key"] for q in data["quantities"]}
    assert list(values(data, "window_fraction").values()) == pytest.approx(np.linspace(0, 1, len(frames)))
    assert [a["key"] for a in data["arrows"]] == list(made), "no label, and so no arrows of the reference"
    assert not keys & {"m0_meV_per_A", "m1_meV_per_A"}, "nor errors"
    if models:
        assert "m0_component_1" not in keys and set(values(data, "m1_spread_meV_per_A").values()) == {500.0}
        assert list(values(data, "m1_component_1").values()) == list(range(1, 1 + len(frames)))
        apart = values(data, "disagreement_meV_per_A")
        assert apart["id_test/m/0"] is None and apart["id_test/m/1"] > 0
        assert arrows_of(data, "m1", "id_test/m/0") is None and arrows_of(data, "m0", "id_test/m/0") is not None


def test_rescued_structures_are_shown_without_those_of_validation_groups(tmp_path):
    frames = structures()
    made = {"reference": forces(frames, 1, [UNLABELLED]), "prior": forces(frames, 2)}
    made |= {name: forces(frames, 3 + k, ["id_test/m/1"] if k == 0 else []) for k, name in enumerate(WAYS)}
    paths = stored(tmp_path, frames, **made)
    own = [str(name) for name in frames.ids if not str(name).startswith("val_")]
    expected = {"expected_model_meV_per_A": np.arange(len(own)) * 1.0, "expected_error_meV_per_A": 1.0}
    said = {"trusted": ["model", "prior", "", *["corrected"] * (len(own) - 3)], "weights": "model 0.90; prior 0.10"}
    pd.DataFrame({"id": own} | expected | said).to_csv(tmp_path / "table.csv", index=False)
    given = {name: paths[name] for name in ("frames", "reference", "prior", "rescued", "constant")}
    given |= {"predictions": paths["model"], "title": "Model M, large", "table": tmp_path / "table.csv"}
    data = written("explore_rescued", tmp_path, **given)
    assert list(values(data, "id")) == own == list(values(data, "expected_model_meV_per_A"))
    assert [a["title"] for a in data["arrows"]] == ["Reference", "Model M", "Rescued", "One weight for all", "GFN2-xTB"]
    assert list(values(data, "trusted").values())[:4] == ["the model", "GFN2-xTB", "–", "the corrected model"]
    for key, values_of in made.items():
        for name in own:
            k = list(frames.ids).index(name)
            part = values_of[frames.offsets[k] : frames.offsets[k + 1]]
            found = arrows_of(data, key, name)
            assert found == pytest.approx(part.ravel(), abs=1e-4) if np.isfinite(part).all() else found is None
    true = values(data, "true_rescued_meV_per_A")
    error = lambda name: np.abs(made["rescued"] - made["reference"])[np.repeat(frames.ids == name, frames.sizes)].mean()
    assert true == {name: None if name == UNLABELLED else pytest.approx(1000 * error(name), rel=1e-4) for name in own}
    assert values(data, "true_model_meV_per_A")["id_test/m/1"] is None, "what the model cannot predict has no error"


def test_crystals_keep_their_cell():
    about = {"group": "ood_crystal", "molecule": "m", "numbers": [6], "positions": np.zeros((1, 3))}
    about |= {"charge": 0, "multiplicity": 1}
    cells = [{}, {"cell": 3 * np.eye(3), "pbc": [True] * 3}]
    frames = Frames.build(about | {"id": str(k)} | cell for k, cell in enumerate(cells))
    data = content(frames, [])
    molecule, crystal = data["dataset"]["structures"]
    assert "cell" not in molecule and crystal["cell"] == list(np.ravel(3 * np.eye(3)))
    assert data["periodic"] == [False, True]


# the page


def until(page, expression, seconds=60):
    """Wait until an expression holds; loaded machines draw slowly."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, (expression, page.evaluate("document.getElementById('status').textContent"))
        time.sleep(0.05)


def change(page, name, value):
    """Choose a value of a menu or a box, as a hand does."""
    found = f"document.querySelector({name!r})"
    put = f"e.type === 'checkbox' ? (e.checked = {json.dumps(value)}) : (e.value = {json.dumps(value)})"
    page.evaluate(f"(e => {{ {put}; e.dispatchEvent(new Event('change', {{bubbles: true}})) }})({found})")


def coloured(page, folder, colour):
    """Number of pixels of the hue of a colour, whatever light falls on them."""
    page.screenshot(folder / "shot.png", whole=False)
    hue, saturation, value = np.moveaxis(rgb_to_hsv(imread(folder / "shot.png")[..., :3]), -1, 0)
    own = rgb_to_hsv(to_rgb(colour))[0]
    return int(((abs(hue - own) < 0.02) & (saturation > 0.5) & (value > 0.1)).sum())


@chromium.needed
def test_a_browser_without_a_network_shows_it(run, monkeypatch):
    frames, made, _, data, path = run
    # no name has an address, and no request but that of the file is made
    monkeypatch.setattr(chromium, "OPTIONS", [*chromium.OPTIONS, DRAWS, "--host-resolver-rules=MAP * ~NOTFOUND"])
    text = lambda name: page.evaluate(f"document.getElementById({name!r}).textContent")
    setting = lambda words: page.evaluate(f"explorer.view.saveSettings().{words}")
    with chromium.Browser() as browser:
        page = browser.open(path, width=900, height=880)
        until(page, "window.explorer && explorer.shows > 0")
        requests = page.evaluate("performance.getEntriesByType('resource').map((e) => e.name)")
        assert [name for name in requests if not name.startswith(("data:", "blob:"))] == []
        assert page.evaluate("explorer.view._dataset.structures.length") == len(frames)
        missing = "have no value of a chosen axis and are not on the map."
        assert text("status") == f"9 of 9 structures pass the filters; 4 of them {missing}"
        assert setting("map.y.property") == "Gain, Joint to Joint + TTT (meV/Å)"

        # another structure
        number = list(frames.ids).index("id_test/m/2")
        page.evaluate(f"explorer.select({number})")
        until(page, "document.getElementById('chosen').textContent === 'id_test/m/2'")
        value = page.evaluate("document.querySelector('#values [data-key=joint_meV_per_A]').textContent")
        assert float(value) == pytest.approx(values(data, "joint_meV_per_A")["id_test/m/2"])
        assert text("forces") == "" and "id=id_test%2Fm%2F2" in page.evaluate("location.hash")
        page.evaluate(f"explorer.select({list(frames.ids).index(UNLABELLED)})")
        until(page, f"document.getElementById('chosen').textContent === '{UNLABELLED}'")
        assert text("forces").endswith("no arrows: Reference.")

        # its arrows: of the forces, at their scale
        assert setting("structure[0].shape") == "Reference,Joint,Joint + TTT"
        before = coloured(page, path.parent, explored.PRIOR)
        change(page, "#arrows input[value=prior]", True)
        change(page, "#arrows input[value=joint]", False)
        assert coloured(page, path.parent, explored.PRIOR) > before + 100, "arrows are seen"
        assert setting("structure[0].shape") == "Reference,Joint + TTT,Prior"
        drawn = page.evaluate("explorer.view._dataset.shapes.Prior.parameters.atom.map((a) => a.vector)")
        assert np.array(drawn) == pytest.approx(made["prior"] * data["scale"], abs=2e-4 * data["scale"])

        # colours, axes and filters
        done = page.evaluate("explorer.shows")
        change(page, "#color", "joint_meV_per_A")
        until(page, f"explorer.shows > {done}")
        assert setting("map.color.property") == "Force MAE, Joint (meV/Å)"
        change(page, "#y", "prior_meV_per_A")
        assert setting("map.y.property") == "Force MAE, Prior (meV/Å)"
        change(page, "#groups input[value=val_larger]", False)
        until(page, f"explorer.shows > {done + 1}")
        assert text("status").startswith("6 of 9 structures pass the filters; 1 of them")
        page.evaluate(
            "location.hash = 'x=composition_distance&y=joint_meV_per_A&groups=id_test&of=joint_meV_per_A&min=25'"
        )
        until(page, f"explorer.shows > {done + 2}")
        known = values(data, "joint_meV_per_A")
        kept = [k for k, name in enumerate(frames.ids) if name.startswith("id_test") and known[name] >= 25]
        assert page.evaluate("explorer.shown") == kept and len(kept) == 2
        change(page, "#min", "1e6")
        until(page, "document.getElementById('status').textContent.startsWith('No structure')")
        assert not [e for e in browser.events if e.get("method") == "Runtime.exceptionThrown"]

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
from mlipshift.show import explored, explorer
from mlipshift.show.report import to_explorer

COUNTS = {"id_test": 4, "ood_larger": 2, "val_larger": 3}
UNLABELLED = "ood_larger/m/1"
METHODS = ("prior", "joint", "joint_ttt", "delta")
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

"""The model registry: entries, trust, capability, the store of embeddings, and prediction with any ASE calculator."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase.build import fcc111
from jsonschema import Draft202012Validator

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import read_table
from mlipshift.catalogue.components import BACKBONES, FAMILIES, READERS
from mlipshift.data.manifest import Manifest
from mlipshift.external.answer import Answer
from mlipshift.external.capability import reasons, summary
from mlipshift.external.embedding import Embedding
from mlipshift.external.prediction import ask
from mlipshift.external.registry import CAPABILITY, OPERATIVE, Registry
from mlipshift.external.structure import Structure
from mlipshift.run import sources

ROOT = Path(__file__).parents[2]
PATH, SCHEMA = ROOT / "config" / "models.yaml", ROOT / "workflow" / "schemas" / "models.schema.yaml"
SHIPPED = Registry(PATH, SCHEMA).entries
# import name -> package name where they differ
PACKAGE_OF = {"mace": "mace-torch", "so3krates_torch": "so3krates-torch", "torch_geometric": "torch-geometric"}
EMT = {"title": "EMT", "family": "ase", "calculator": "ase.calculators.emt:EMT", "environment": "xtb"}
WATER = np.array([[0.0, 0.0, 0.12], [0.0, 0.76, -0.48], [0.0, -0.76, -0.48]])


def row(name, numbers=(8, 1, 1), **keys):
    return {
        "id": name,
        "group": "train",
        "molecule": name,
        "numbers": list(numbers),
        "positions": WATER[: len(numbers)],
        "charge": 0,
        "multiplicity": 1,
        **keys,
    }


def message(*arguments, **keywords):
    with pytest.raises(UserError) as caught:
        Registry(PATH, SCHEMA, *arguments, **keywords)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# the entries


def test_the_schema_is_valid_and_documents_every_key():
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    keys = schema["additionalProperties"]["properties"]
    assert all(node["description"].endswith(".") for node in keys.values())
    assert set(OPERATIVE) | set(CAPABILITY) <= set(keys)


@pytest.mark.parametrize(
    ("folder", "known"),
    [("external/families", FAMILIES), ("learn/backbones", BACKBONES), ("data/readers", READERS)],
)
def test_what_the_catalogue_names_is_a_module(folder, known):
    found = {path.stem for path in (ROOT / "workflow/mlipshift" / folder).glob("[a-z]*.py")}
    assert set(known) <= found and len(set(known)) == len(known)
    assert folder != "external/families" or found == set(known)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_entry_says_what_it_is(name):
    entry = SHIPPED[name]
    for key in ("licence_code", "licence_weights", "source", "run"):
        assert entry[key] != "not stated", key
    assert (ROOT / f"workflow/mlipshift/external/families/{entry['family']}.py").is_file()
    # only what was not run may lack an environment
    assert (ROOT / f"envs/{entry['environment']}.yaml").is_file() or entry["run"].startswith("not run")
    assert entry["box_padding_A"] > (entry["cutoff_A"] or 0)


@pytest.mark.parametrize("name", [n for n, e in SHIPPED.items() if (e["checkpoint"] or "").startswith("data/")])
def test_a_published_checkpoint_is_in_the_manifest_with_the_same_hash(name):
    manifest = Manifest(ROOT / "resources/manifest.yaml", ROOT / "workflow/schemas/manifest.schema.yaml")
    assert manifest.locate(SHIPPED[name]["checkpoint"]).file.sha256 == SHIPPED[name]["sha256"]


def test_no_published_checkpoint_is_trusted():
    assert [n for n, e in SHIPPED.items() if e["trust"] and e["checkpoint"].startswith("data/")] == []


@pytest.mark.parametrize(
    ("own", "parts"),
    [
        ({"chgnt": {}}, ["models.chgnt", "no such model", "did you mean 'chgnet'?"]),
        ({"zzz": {}}, ["models.zzz", "known: supervised", "needs a family"]),
        ({"chgnet": {"cutof_A": 5}}, ["models.chgnet", "'cutof_A'", "models.schema.yaml"]),
        ({"chgnet": {"cutoff_A": "x"}}, ["models.chgnet.cutoff_A", "'x'"]),
        ({"mine": {"title": "m", "family": "ase", "environment": "xtb"}}, ["models.mine", "'calculator'"]),
        ({"mine": EMT | {"calculator": "ase.calculators.emt"}}, ["models.mine.calculator"]),
        ({"mine": {"title": "m", "family": "mace", "environment": "mace"}}, ["models.mine", "'checkpoint'"]),
        ({"joint": {"arguments": {"strategy": "delta", "seed": 0}}}, ["models.joint.arguments.strategy", "'delta'"]),
        ({"mine": {"title": "m", "family": "gap", "environment": "mace"}}, ["models.mine.family", "'gap'"]),
    ],
)
def test_a_mistake_is_one_line(own, parts):
    text = message(own)
    assert all(part in text for part in parts), text


def test_own_keys_replace_those_of_an_entry_and_own_models_get_the_defaults():
    registry = Registry(PATH, SCHEMA, {"chgnet": {"cutoff_A": 4.0, "trust": None}, "mine": EMT})
    assert registry.entry("chgnet") == SHIPPED["chgnet"] | {"cutoff_A": 4.0}
    assert registry.entry("mine")["periodic"] == "possible" and registry.entry("mine")["elements"] is None
    with pytest.raises(UserError, match="'chgnt'.*did you mean 'chgnet'"):
        registry.entry("chgnt")


@pytest.mark.parametrize("name", ["mace_off23_small", "mace_mp0_small", "equiformer_v2", "jmp_s"])
def test_a_pickled_checkpoint_needs_an_explicit_yes(name):
    with pytest.raises(UserError, match=f"can run any code.*set models.{name}.trust to true"):
        Registry(PATH, SCHEMA, {name: {"trust": None}}).loadable(name)
    assert Registry(PATH, SCHEMA, {name: {"trust": True}}).loadable(name)["trust"]


# the environments


@pytest.mark.parametrize("name", [n for n, e in SHIPPED.items() if (ROOT / f"envs/{e['environment']}.yaml").exists()])
def test_the_environment_of_a_model_provides_what_it_imports(name):
    entry = SHIPPED[name]
    workflow = ROOT / "workflow"
    scripts = [workflow / "scripts/predict_model.py", workflow / f"mlipshift/external/families/{entry['family']}.py"]
    files = [file for path in scripts for file in (path, *sources.library_of(path, workflow))]
    needed = {n.split(".")[0] for file in files for n in sources.imports(file)}
    needed -= {sources.PACKAGE, *sys.stdlib_module_names}
    content = yaml.safe_load((ROOT / f"envs/{entry['environment']}.yaml").read_text())
    given = {p.split("==")[0] for d in content["dependencies"] if isinstance(d, dict) for p in d["pip"]}
    assert {PACKAGE_OF.get(n, n) for n in needed} <= given


def test_mace_and_sevennet_need_different_versions_of_e3nn():
    pins = {}
    for name in ("mace", "sevennet", "chgnet", "organic", "run"):
        lines = (ROOT / f"envs/lock/{name}.txt").read_text().splitlines()
        pins[name] = dict(line.split("==") for line in lines if "==" in line)
    assert pins["mace"]["e3nn"] == "0.4.4" and float(pins["sevennet"]["e3nn"][:3]) >= 0.5
    assert len({pin["torch"] for pin in pins.values()}) == 1


# what a model can take

TAKES = {"elements": ["H", "C-O"], "charge": False, "periodic": "possible"}
TAKES |= {"box_padding_A": 10.0, "level": None, "environment": "xtb"}


@pytest.mark.parametrize(
    ("change", "keys", "reason"),
    [
        ({}, {}, ""),
        ({}, {"numbers": (16, 1, 17)}, "element S and Cl unknown to the model"),
        ({"elements": None}, {"numbers": (16, 1, 17)}, ""),
        ({"elements": "training"}, {"numbers": (7, 1, 1)}, "element N unknown to the model"),
        ({}, {"charge": 1}, "charged, and the model knows no charge"),
        ({"charge": True}, {"charge": 1}, ""),
        ({"periodic": "impossible"}, {"cell": 9 * np.eye(3), "pbc": [1, 1, 0]}, "periodic, and the model takes mol"),
        ({"periodic": "needed"}, {"cell": 9 * np.eye(3), "pbc": [1, 1, 0]}, ""),
        ({"periodic": "needed"}, {}, ""),
    ],
)
def test_capability(change, keys, reason):
    frames = Frames.build([row("a"), row("b", **keys)])
    found = reasons(TAKES | change, frames, training=[1, 8])
    assert found[0] == "" and found[1].startswith(reason) and bool(found[1]) == bool(reason)


def test_an_element_that_is_none_is_an_error():
    with pytest.raises(UserError, match="no element 'Xx'"):
        reasons(TAKES | {"elements": ["H-Xx"]}, Frames.build([row("a")]), training=[1])


def test_the_lines_count_the_excluded_and_warn_of_another_level():
    entry = TAKES | {"periodic": "needed", "level": "PBE"}
    lines = summary("m", entry, ["", "charged", "element S", "charged"], "wB97M-D3(BJ)/def2-SVP")
    assert lines == [
        "m: 4 structures, 3 excluded (2 charged; 1 element S); molecules and slabs get 10 Å of vacuum along open"
        " directions",
        "m: warning: it learned PBE, the labels are wB97M-D3(BJ)/def2-SVP; errors contain the difference",
    ]
    assert summary("m", entry, [""], None)[1] == (
        "m: it learned PBE; whether the labels are that is not stated (data.level)"
    )
    assert summary("m", TAKES, [""], None) == ["m: 1 structures, none excluded"]
    assert summary("m", TAKES, [""], "PBE") == ["m: 1 structures, none excluded"]
    assert len(summary("m", entry | {"level": "ωB97M-D3(BJ) / def2-SVP"}, [""], "wB97M-D3(BJ)/def2-SVP")) == 1


def test_a_molecule_in_a_box_keeps_its_shape_and_its_distance_to_its_images():
    inside = Structure.of(Frames.build([row("a")]), 0).in_box(10.0)
    np.testing.assert_allclose(inside.positions - inside.positions[0], WATER - WATER[0], atol=1e-12)
    shifts = [s for s in np.ndindex(3, 3, 3) if s != (1, 1, 1)]
    images = np.concatenate([inside.positions + (np.array(s) - 1) @ inside.cell for s in shifts])
    assert np.linalg.norm(inside.positions[:, None] - images, axis=-1).min() >= 10.0
    assert inside.pbc.all()
    crystal = Structure.of(Frames.build([row("a", cell=9 * np.eye(3), pbc=[1, 1, 1])]), 0)
    assert crystal.in_box(10.0) is crystal


@pytest.mark.parametrize("vacuum", [0.0, 3.0])
def test_a_slab_gets_its_vacuum_along_its_normal_alone(vacuum):
    atoms = fcc111("Cu", (2, 2, 3), vacuum=vacuum or None)
    slab = Structure(atoms.numbers, atoms.positions, 0, 1, atoms.cell[:], atoms.pbc)
    inside = slab.in_box(10.0)
    np.testing.assert_allclose(inside.positions - inside.positions[0], slab.positions - slab.positions[0], atol=1e-12)
    np.testing.assert_array_equal(inside.cell[:2], slab.cell[:2])
    height = np.ptp(atoms.positions[:, 2])
    np.testing.assert_allclose(inside.cell[2], [0, 0, height + 10.0], atol=1e-9)
    assert inside.positions[:, 2].min() == pytest.approx(5.0) and inside.pbc.all()


# embeddings


def test_what_a_model_says_comes_back_and_belongs_to_its_frames(tmp_path):
    frames = Frames.build([row("a"), row("b")])
    spread, features = np.array([0.1, 0.0, 0.3]), np.arange(6.0).reshape(3, 2)
    Embedding.build(frames, [None, Answer(0.0, WATER, np.array([1.0, 2.0]), features, spread)]).save(tmp_path / "e.h5")
    back = Embedding.load(tmp_path / "e.h5", frames)
    np.testing.assert_array_equal(back.embedding, [[np.nan, np.nan], [1.0, 2.0]])
    np.testing.assert_array_equal(back.spread, [np.nan] * 3 + [0.1, 0.0, 0.3])
    np.testing.assert_array_equal(back.features, np.concatenate([np.full((3, 2), np.nan), features]))
    assert back.features.dtype == np.float32
    none = Embedding.build(frames, [None, Answer(0.0, WATER)])
    assert none.embedding.shape == (2, 0) and none.spread is none.features is None
    with pytest.raises(UserError, match="ids differ"):
        Embedding.load(tmp_path / "e.h5", frames.take([0]))
    frames.save(tmp_path / "f.h5")
    with pytest.raises(UserError, match="expected mlipshift-embedding"):
        Embedding.load(tmp_path / "f.h5")


# answers


def test_an_ensemble_answers_with_means_and_the_spread_of_its_forces():
    forces = np.random.default_rng(0).normal(size=(4, 3, 3))
    found = Answer.of_members([1.0, 2.0, 3.0, 6.0], forces, np.arange(6.0).reshape(3, 2))
    assert found.energy == 3.0 and found.embedding.tolist() == [2.0, 3.0] and found.features.shape == (3, 2)
    np.testing.assert_allclose(found.forces, forces.mean(axis=0))
    by_hand = [np.mean([np.linalg.norm(f[i] - found.forces[i]) ** 2 for f in forces]) ** 0.5 for i in range(3)]
    np.testing.assert_allclose(found.spread, by_hand)
    assert Answer.of_members([1.0], forces[:1]).spread.tolist() == [0.0] * 3
    assert Answer.of_atoms(1.0, forces[0]).spread is None


def test_families_that_return_a_tuple_of_three_go_on_and_what_is_no_answer_is_one_line():
    water = Structure.of(Frames.build([row("a")]), 0)
    assert ask(lambda structure: (1.0, WATER, [1.0, 2.0]), water).embedding.tolist() == [1.0, 2.0]
    assert ask(lambda structure: (1.0, WATER), water).embedding is None
    for wrong, words in (
        (None, "returns NoneType, not an Answer"),
        ((1.0, WATER, None, None), "returns 4 values, not an Answer"),
        (Answer(1.0, WATER, spread=np.zeros(2)), r"spread have the shape \(2,\), for 3 atoms"),
        (Answer(1.0, WATER, features=np.zeros(3)), r"features have the shape \(3,\), for 3 atoms"),
    ):
        with pytest.raises(ValueError, match=words):
            ask(lambda structure, wrong=wrong: wrong, water)


# prediction through the scripts


def predict(folder, entry, rows, checkpoint=None):
    """Run both scripts on `rows` as training and test set in `folder`; the last process."""
    entry = Registry(PATH, SCHEMA, {"m": entry}).entry("m")
    Frames.build(rows).save(folder / "frames.h5")
    scripts, environment = ROOT / "workflow/scripts", {"PYTHONPATH": str(ROOT / "workflow")}
    common = {"model": "m", "entry": json.dumps({k: entry[k] for k in CAPABILITY})}
    checked = {**common, "train": "frames.h5", "test": "frames.h5", "level": "PBE"}
    predicted = {**common, "entry": json.dumps({k: entry[k] for k in OPERATIVE}), "frames": "frames.h5", "set": "test"}
    predicted |= {"excluded": "excluded.csv", "output": "p.h5", "embedding": "e.h5", "failures": "f.csv"}
    predicted |= {"notes": "n.txt", "timing": "t.json", **({"checkpoint": checkpoint} if checkpoint else {})}
    for script, options in (
        ("check_model", checked | {"output": "excluded.csv", "lines": "lines.txt"}),
        ("predict_model", predicted),
    ):
        command = [sys.executable, str(scripts / f"{script}.py")]
        command += [x for key, value in options.items() for x in (f"--{key}", str(value))]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            return done
    return done


def test_any_ase_calculator_predicts_and_failures_have_reasons(tmp_path):
    entry = EMT | {"elements": ["H", "O", "Fe"], "cutoff_A": 7.0}
    done = predict(tmp_path, entry, [row("a"), row("b", (6, 1, 1)), row("c", (26, 1, 1)), row("d")])
    assert done.returncode == 0, done.stderr
    from ase import Atoms
    from ase.calculators.emt import EMT as Emt

    atoms = Atoms("OH2", WATER, calculator=Emt())
    frames = Frames.load(tmp_path / "frames.h5")
    made = Predictions.load(tmp_path / "p.h5", frames)
    assert made.method == "m" and made.cutoff.tolist() == [7.0] * 4 and made.ok.tolist() == [True, False, False, True]
    assert made.energy[0, 3] == pytest.approx(atoms.get_potential_energy(), abs=1e-12)
    np.testing.assert_allclose(made.forces[0, 9:], atoms.get_forces(), atol=1e-12)
    table = read_table(tmp_path / "f.csv").set_index("id")["reason"]
    assert table["b"] == "element C unknown to the model" and "Fe" in table["c"] and len(table) == 2
    assert Embedding.load(tmp_path / "e.h5", frames).embedding.shape == (4, 0)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"calculator": "ase.calculators.emt:EMTT"}, ["ase.calculators.emt has no EMTT", "correct the entry"]),
        ({"calculator": "ase.calculators.emtt:EMT"}, ["no module named ase.calculators.emtt", "on PYTHONPATH (empty)"]),
    ],
)
def test_a_wrong_calculator_is_one_line(tmp_path, change, parts):
    done = predict(tmp_path, EMT | change, [row("a")])
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert done.returncode == 1 and len(lines) == 1 and all(p in lines[0] for p in parts), done.stderr


def test_a_model_that_fails_everywhere_is_an_error(tmp_path):
    done = predict(tmp_path, EMT, [row("c", (26, 1, 1))])
    assert done.returncode == 1 and "error: m: failed on every structure" in done.stderr
    assert not (tmp_path / "p.h5").exists()


def test_weights_with_another_hash_are_not_loaded(tmp_path):
    weights = tmp_path / "weights"
    weights.write_bytes(b"right")
    entry = EMT | {"checkpoint": str(weights), "sha256": hashlib.sha256(b"right").hexdigest()}
    assert predict(tmp_path, entry, [row("a")], weights).returncode == 0
    weights.write_bytes(b"wrong")
    done = predict(tmp_path, entry, [row("a")], weights)
    assert done.returncode == 1 and "the registry expects" in done.stderr


def test_a_molecule_is_centred_for_a_model_and_a_crystal_is_not():
    row = {"group": "g", "molecule": "m", "numbers": [1, 8], "charge": 0, "multiplicity": 2}
    x = np.array([[200.0, 0.0, 1.0], [200.0, 0.97, 1.0]])
    crystal = {"cell": 300 * np.eye(3), "pbc": [True] * 3}
    frames = Frames.build([row | {"id": "far", "positions": x}, row | {"id": "box", "positions": x} | crystal])
    far, box = (Structure.of(frames, k) for k in range(2))
    np.testing.assert_allclose(far.positions.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(far.positions[1] - far.positions[0], x[1] - x[0], atol=1e-12)
    np.testing.assert_array_equal(box.positions, x)


def test_what_older_versions_had_as_numbers_becomes_tensors(tmp_path):
    """The contract on the checkpoint of MACE, with torch alone; a real one is among the tests of external models."""
    torch = pytest.importorskip("torch")
    from mlipshift.external.legacy import upgraded

    model, inner = torch.nn.Linear(2, 2).double(), torch.nn.Module()
    model.r_max, model.atomic_numbers, model.num_interactions = 4.5, [1, 8], 2
    inner.register_parameter("scale", torch.nn.Parameter(torch.ones(1)))
    inner.p, inner.name, model.inner = 6, "p", inner
    kept = inner.scale
    out = upgraded(model, tmp_path / "m.model")
    assert out.r_max.dtype == torch.float64 and float(out.r_max.cpu()) == 4.5
    assert out.atomic_numbers.tolist() == [1, 8] and int(out.num_interactions) == 2
    assert int(out.inner.p.to(torch.int)) == 6 and out.inner.name == "p" and out.inner.scale is kept
    assert {"r_max", "inner.p"} <= set(out.state_dict())
    with pytest.raises(UserError, match="a dictionary, the state of a training run; give the .model file"):
        upgraded({"model": {}}, tmp_path / "m.pt")

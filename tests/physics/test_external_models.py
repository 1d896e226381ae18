"""Real external models, each in its own environment: forces, symmetries, the box, embeddings, trust.

Skipped where `make models` has not made the environment.
"""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk, graphene, molecule
from scipy.spatial.transform import Rotation

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.external.answer import Answer
from mlipshift.external.embedding import Embedding
from mlipshift.external.registry import OPERATIVE, Registry
from mlipshift.learn import networks
from mlipshift.learn.potential import Potential

ROOT = Path(__file__).parents[2]
MODELS = {"chgnet": "chgnet", "chgnet_020": "chgnet", "chgnet_r2scan": "chgnet"}
MODELS |= {"sevennet0": "sevennet", "sevennet_l3i5": "sevennet", "sevennet_mf0": "sevennet", "mace_trained": "mace"}
MODELS |= {name: "organic" for name in ("aimnet2", "aimnet2_single", "ani1x", "ani1ccx", "so3lr")}
STEPPED = (0, 2, 4, 7)  # atoms
STEP = 0.01  # Å, of finite differences; the models are in single precision
PLACES = {"joint": Path(sys.executable), **{n: ROOT / f".venv-{e}/bin/python" for n, e in MODELS.items()}}
SHIPPED = Registry(ROOT / "config/models.yaml", ROOT / "workflow/schemas/models.schema.yaml")
IONS = [name for name in MODELS if SHIPPED.entry(name)["charge"]]
CRYSTALS = [name for name in MODELS if SHIPPED.entry(name)["periodic"] != "impossible"]


def row(name, atoms, positions=None, order=None):
    order = np.arange(len(atoms)) if order is None else order
    positions = atoms.positions if positions is None else positions
    return {
        "id": name,
        "group": "test",
        "molecule": "m",
        "numbers": atoms.numbers[order],
        "positions": positions[order],
        "charge": 0,
        "multiplicity": 1,
    }


@pytest.fixture(scope="module")
def ethanol():
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    return atoms


def run(python, script, folder, **options):
    command = [str(python), str(ROOT / f"workflow/scripts/{script}.py")]
    command += [str(x) for key, value in options.items() for x in (f"--{key.replace('_', '-')}", value)]
    limits = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")} | limits
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def entry_of(name):
    return {key: SHIPPED.entry(name)[key] for key in OPERATIVE}


def in_place(name, code, folder, *arguments):
    """What a Python code prints as JSON in the environment of a model; skips if that is not there."""
    if not PLACES[name].exists():
        pytest.skip(f"{PLACES[name].parents[1].name} is not there; make models")
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1"}
    command = [str(PLACES[name]), "-W", "ignore", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def predictions(name, folder, frames, entry, checkpoint):
    """{id: (energy, forces, embedding)} of frames by a model in its environment."""
    frames.save(folder / "frames.h5")
    (folder / "excluded.csv").write_text("set,id,reason\n")
    run(
        PLACES[name],
        "predict_model",
        folder,
        model=name,
        entry=json.dumps(entry),
        frames="frames.h5",
        set="test",
        excluded="excluded.csv",
        output="p.h5",
        embedding="e.h5",
        failures="f.csv",
        notes="n.txt",
        timing="t.json",
        **checkpoint,
    )
    made = Predictions.load(folder / "p.h5", frames)
    vectors = Embedding.load(folder / "e.h5", frames).embedding
    assert made.ok.all()
    forces = np.split(made.forces[0], frames.offsets[1:-1])
    return dict(zip(frames.ids, zip(made.energy[0], forces, vectors)))


@pytest.fixture(scope="module")
def mace_checkpoint(tmp_path_factory, ethanol):
    """A checkpoint made by rule train_mace's script in a few steps; skips where MACE's environment is not there."""
    if not PLACES["mace_trained"].exists():
        pytest.skip(".venv-mace is not there; make models")
    folder = tmp_path_factory.mktemp("mace")
    rng = np.random.default_rng(0)
    frames = Frames.build(
        row(f"e{k}", ethanol, ethanol.positions + rng.normal(scale=0.05, size=(9, 3))) for k in range(12)
    )
    frames.save(folder / "frames.h5")
    results = [(-4200.0 + rng.normal(), rng.normal(size=(9, 3))) for _ in range(12)]
    Labels.build(frames, results, "reference").save(folder / "labels.h5")
    settings = {"hidden_irreps": "8x0e + 8x1o", "layers": 2, "cutoff_A": 4.0, "correlation": 2, "max_ell": 2}
    settings |= {"batch": 4, "learning_rate": 0.01, "epochs": 2, "energy_weight": 1.0, "forces_weight": 10.0}
    settings |= {"average": 0.9, "valid_fraction": 0.2, "seed": 0}
    run(
        PLACES["mace_trained"],
        "train_mace",
        folder,
        frames="frames.h5",
        reference="labels.h5",
        settings=json.dumps(settings),
        output="mace.model",
        timing="t.json",
    )
    return folder / "mace.model"


@pytest.fixture(scope="module")
def own_checkpoint(tmp_path_factory):
    """An untrained two-head potential of this project."""
    import torch

    folder = tmp_path_factory.mktemp("own")
    torch.manual_seed(0)
    model = networks.build({"features": 16, "blocks": 2, "radial": 8, "cutoff": 4.0}).eval()
    Potential(model, {"strategy": "joint", "seed": 0}).save(folder)
    return folder / "weights.pt"


@pytest.fixture(scope="module", params=PLACES)
def predicted(request, tmp_path_factory, ethanol):
    """Ethanol, moved, and stepped for finite differences: {id: (energy, forces, embedding)}.

    (name, that, the same in a larger box or None for models without one, rotation, permutation).
    """
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    python = PLACES[name]
    if not python.exists():
        pytest.skip(f"{python.parents[1].name} is not there; make models")
    fixture = {"mace_trained": "mace_checkpoint", "joint": "own_checkpoint"}.get(name)
    checkpoint = {"checkpoint": request.getfixturevalue(fixture)} if fixture else {}
    turn = Rotation.random(random_state=2).as_matrix()
    order = np.random.default_rng(3).permutation(9)
    rows = [
        row("as it is", ethanol),
        row("turned", ethanol, ethanol.positions @ turn.T + [1.0, -2.0, 3.0]),
        row("permuted", ethanol, order=order),
    ]
    for k in STEPPED:
        for sign in (1, -1):
            positions = ethanol.positions.copy()
            positions[k, k % 3] += sign * STEP
            rows.append(row(f"{k} {sign}", ethanol, positions))
    frames, entry = Frames.build(rows), entry_of(name)
    boxes = [entry["box_padding_A"], 15][: 2 if entry["periodic"] == "needed" else 1]
    out = {box: predictions(name, folder, frames, entry | {"box_padding_A": box}, checkpoint) for box in boxes}
    return name, out[boxes[0]], out.get(15), turn, order


def test_forces_are_minus_the_gradient_of_the_energy(predicted):
    name, out, *_ = predicted
    if name == "joint":
        pytest.skip("direct forces are no gradient")
    found = [-(out[f"{k} 1"][0] - out[f"{k} -1"][0]) / (2 * STEP) for k in STEPPED]
    expected = [out["as it is"][1][k, k % 3] for k in STEPPED]
    # curvature of bonds, 1e3 eV/Å³ and more, and rounding of the energy
    np.testing.assert_allclose(found, expected, atol=0.05)
    assert np.abs(expected).max() > 0.1


def test_rotation_and_permutation(predicted):
    _, out, _, turn, order = predicted
    energy, forces, vector = out["as it is"]
    for name, expected in (("turned", forces @ turn.T), ("permuted", forces[order])):
        assert out[name][0] == pytest.approx(energy, abs=2e-3), name
        np.testing.assert_allclose(out[name][1], expected, atol=2e-3, err_msg=name)
        np.testing.assert_allclose(out[name][2], vector, atol=2e-3, err_msg=name)


def test_net_force_is_zero(predicted):
    np.testing.assert_allclose(predicted[1]["as it is"][1].sum(axis=0), 0.0, atol=2e-3)


def test_the_box_does_not_matter(predicted):
    _, small, large, *_ = predicted
    if large is None:
        pytest.skip("takes molecules without a box")
    assert large["as it is"][0] == pytest.approx(small["as it is"][0], abs=2e-3)
    np.testing.assert_allclose(large["as it is"][1], small["as it is"][1], atol=2e-3)


def test_the_embedding_tells_geometries_apart(predicted):
    _, out, *_ = predicted
    vectors = np.array([out[f"{k} 1"][2] for k in STEPPED])
    assert np.isfinite(vectors).all() and vectors.shape[1] >= 16
    assert np.linalg.norm(vectors - out["as it is"][2], axis=1).max() > 1e-4


@pytest.mark.parametrize("name", CRYSTALS)
def test_crystals_and_slabs_are_predicted_whatever_their_cell(name, request, tmp_path):
    if not PLACES[name].exists():
        pytest.skip(f"{PLACES[name].parents[1].name} is not there; make models")
    checkpoint = {"checkpoint": request.getfixturevalue("mace_checkpoint")} if name == "mace_trained" else {}
    # elements of the small MACE
    diamond, layer = bulk("C", "diamond", a=3.57), graphene(vacuum=None)
    for atoms in (diamond, layer):
        atoms.positions[1] += [0.1, -0.06, 0.0]
    cells = {"one": diamond, "two": diamond * (2, 1, 1), "layer": layer, "two layers": layer * (1, 2, 1)}
    rows = [row(key, atoms) | {"cell": atoms.cell[:], "pbc": atoms.pbc} for key, atoms in cells.items()]
    out = predictions(name, tmp_path, Frames.build(rows), entry_of(name), checkpoint)
    # MACE runs in double precision, and untrained as it is has small forces
    tolerance = 1e-6 if name == "mace_trained" else 2e-3
    for one, two in (("one", "two"), ("layer", "two layers")):
        assert out[two][0] == pytest.approx(2 * out[one][0], abs=2 * tolerance), one
        np.testing.assert_allclose(out[two][1], np.tile(out[one][1], (2, 1)), atol=tolerance, err_msg=one)
        np.testing.assert_allclose(out[two][2], out[one][2], atol=tolerance, err_msg=one)
        assert np.abs(out[one][1]).max() > 50 * tolerance, "the displaced atom feels a force"


OLDER = """
import os

os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
import numpy as np
import torch
from e3nn import o3
from mace import modules

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
charges = {"total_charge": (11, 5), "total_spin": (6, 0)}
per_graph = {"type": "categorical", "in_dim": 1, "emb_dim": 8, "per": "graph"}
model = modules.ScaleShiftMACE(
    r_max=4.0, num_bessel=4, num_polynomial_cutoff=5, max_ell=2, interaction_cls=block, interaction_cls_first=block,
    num_interactions=2, num_elements=3, hidden_irreps=o3.Irreps("8x0e + 8x1o"), MLP_irreps=o3.Irreps("8x0e"),
    gate=torch.nn.functional.silu, atomic_energies=np.array([[-13.0, -1000.0, -2000.0]]), avg_num_neighbors=8.0,
    atomic_numbers=[1, 6, 8], correlation=2, atomic_inter_scale=1.3, atomic_inter_shift=0.1,
    embedding_specs={k: per_graph | {"num_classes": n, "offset": first} for k, (n, first) in charges.items()},
)
torch.save(model, "today.model")
# as the first releases had it
for module, name, value in (
    (model, "r_max", 4.0), (model, "num_interactions", 2), (model, "atomic_numbers", [1, 6, 8]),
    (model.scale_shift, "scale", 1.3), (model.scale_shift, "shift", 0.1),
):
    del module._buffers[name]
    setattr(module, name, value)
model.atomic_energies_fn._buffers["atomic_energies"] = model.atomic_energies_fn.atomic_energies[0]
for module in model.modules():
    for name in ("heads", "apply_cutoff", "edge_irreps", "use_reduced_cg", "use_agnostic_product", "use_so3",
                 "use_last_readout_only", "use_edge_irreps_first", "lammps_mliap", "cueq_config", "oeq_config"):
        if name in vars(module):
            delattr(module, name)
torch.save(model, "older.model")
"""


def test_a_mace_of_an_older_version_predicts_the_same_and_one_of_ions_sees_charge_and_spin(tmp_path, ethanol):
    python = PLACES["mace_trained"]
    if not python.exists():
        pytest.skip(f"{python.parents[1].name} is not there; make models")
    subprocess.run([str(python), "-c", OLDER], cwd=tmp_path, check=True, capture_output=True)
    states = {"neutral": (0, 1), "cation": (1, 2), "triplet": (0, 3), "neutral again": (0, 1)}
    rows = [row(key, ethanol) | dict(zip(("charge", "multiplicity"), state)) for key, state in states.items()]
    entry, found = entry_of("mace_trained"), {}
    for name in ("today", "older"):
        (tmp_path / name).mkdir()
        checkpoint = {"checkpoint": tmp_path / f"{name}.model"}
        found[name] = predictions("mace_trained", tmp_path / name, Frames.build(rows), entry, checkpoint)
    for key in states:
        assert found["today"][key][0] == found["older"][key][0]
        np.testing.assert_array_equal(found["today"][key][1], found["older"][key][1])
    energies = [found["today"][key][0] for key in states]
    assert energies[0] == energies[3] and len({round(energy, 6) for energy in energies}) == 3


@pytest.mark.parametrize("name", [name for name in PLACES if name != "mace_trained"])
def test_a_model_that_knows_no_spin_gives_one_geometry_one_answer_and_says_so(name, request, tmp_path, ethanol):
    if not PLACES[name].exists():
        pytest.skip(f"{PLACES[name].parents[1].name} is not there; make models")
    checkpoint = {"checkpoint": request.getfixturevalue("own_checkpoint")} if name == "joint" else {}
    rows = [row("singlet", ethanol), row("triplet", ethanol) | {"multiplicity": 3}, row("again", ethanol)]
    out = predictions(name, tmp_path, Frames.build(rows), entry_of(name), checkpoint)
    energies = [out[key][0] for key in ("singlet", "triplet", "again")]
    assert np.ptp(energies) < 1e-6, "but for rounding, which differs among the rows of a block"
    assert any("ignores the multiplicity" in line for line in (tmp_path / "n.txt").read_text().splitlines())


@pytest.mark.parametrize("name", IONS)
def test_a_model_of_ions_sees_the_charge(name, tmp_path, ethanol):
    if not PLACES[name].exists():
        pytest.skip(f"{PLACES[name].parents[1].name} is not there; make models")
    rows = [row(f"{q}", ethanol) | {"charge": q, "multiplicity": 1 + q % 2} for q in (-1, 0, 1)]
    out = predictions(name, tmp_path, Frames.build(rows), entry_of(name), {})
    assert out["1"][0] - out["0"][0] > 1.0, "an electron costs an electronvolt and more"
    assert np.abs(out["1"][1] - out["-1"][1]).max() > 0.1


ASKED = """
import json, sys
import numpy as np
from mlipshift.external import families
from mlipshift.external.structure import Structure

entry, checkpoint, names = json.loads(sys.argv[1]), sys.argv[2] or None, sys.argv[3].split()


def structures():
    from ase.build import molecule
    for k, name in enumerate(names):
        atoms = molecule(name)
        atoms.rattle(0.05, seed=k)
        x = atoms.positions - atoms.positions.mean(axis=0)
        yield atoms, Structure(atoms.numbers, x, 0, 1, np.zeros((3, 3)), np.zeros(3, bool))


def said(answer):
    return [v if v is None else np.asarray(v).tolist() for v in answer]


from pathlib import Path
model = families.load(entry, checkpoint and Path(checkpoint))
"""
TOGETHER = (
    ASKED
    + """
asked = [s for _, s in structures()]
print(json.dumps({"many": [*map(said, model.many(asked))], "each": [said(model(s)) for s in asked]}))
"""
)
BATCHED = [name for name in MODELS if name != "chgnet_020"]


@pytest.mark.parametrize("name", BATCHED)
def test_many_structures_at_once_get_the_answers_of_each(name, request, tmp_path):
    checkpoint = request.getfixturevalue("mace_checkpoint") if name == "mace_trained" else ""
    # the small MACE knows three elements
    names = "CH3CH2OH H2O C6H6 CH3OH H2O CH4"
    out = in_place(name, TOGETHER, tmp_path, json.dumps(entry_of(name)), checkpoint, names)
    for many, each in zip(out["many"], out["each"], strict=True):
        assert many[0] == pytest.approx(each[0], abs=1e-4)
        np.testing.assert_allclose(many[1], each[1], atol=1e-5)
        for one, other in zip(many[2:], each[2:], strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("name", ["mace_trained", "sevennet0", "chgnet"])
def test_a_shorter_neighbour_list_cuts_edges_and_a_longer_one_changes_nothing(name, request, tmp_path, ethanol):
    """As published radius refinement does by setting r_max: the envelope ends where it did."""
    checkpoint = {"checkpoint": request.getfixturevalue("mace_checkpoint")} if name == "mace_trained" else {}
    if not PLACES[name].exists():
        pytest.skip(f"{PLACES[name].parents[1].name} is not there; make models")
    frames = Frames.build([row("a", ethanol), row("b", ethanol, ethanol.positions[::-1], np.arange(9)[::-1])])
    frames.save(tmp_path / "frames.h5")
    (tmp_path / "excluded.csv").write_text("set,id,reason\n")
    options = {"model": name, "entry": json.dumps(entry_of(name)), "frames": "frames.h5", "excluded": "excluded.csv"}
    done = {"output": "scan.h5", "failures": "failures.csv"}
    run(PLACES[name], "scan_public_radii", tmp_path, **options, **done, **checkpoint, radii="2.2")
    own = Predictions.load(tmp_path / "scan.h5", frames)
    beyond = own.cutoff[0] + 0.7
    run(PLACES[name], "scan_public_radii", tmp_path, **options, **done, **checkpoint, radii=str(beyond))
    longer = Predictions.load(tmp_path / "scan.h5", frames)
    assert np.abs(own.forces[1] - own.forces[0]).max() > 1e-4, "no edge was cut"
    np.testing.assert_allclose(longer.forces[1], longer.forces[0], atol=1e-5)
    np.testing.assert_allclose(longer.forces[0], own.forces[0], atol=1e-6)


# what a package itself says of atoms: energy, forces, and forces of the members of an ensemble
OWN = {
    "aimnet2": """
        import torch
        net = torch.jit.load(str(model.weights(entry, None)))
        def call(part):
            out = part({"coord": torch.tensor(atoms.positions[None], dtype=torch.float32, requires_grad=True),
                        "numbers": torch.tensor(atoms.numbers[None]), "charge": torch.zeros(1)})
            forces = out["forces"] if "forces" in out else -torch.autograd.grad(out["energy"].sum(), out["coord"])[0]
            return out["energy"].double()[0].item(), forces[0].tolist()
        own = *call(net), [call(part)[1] for part in net.models.children()] if hasattr(net, "models") else None
    """,
    "torchani": """
        import torchani
        net = {"ani-1x": torchani.models.ANI1x, "ani-1ccx": torchani.models.ANI1ccx}[entry["arguments"]["model"]]()
        members = [net[k].ase() for k in range(len(net))]
        atoms.calc = net.ase()
        own = (atoms.get_potential_energy(), atoms.get_forces().tolist(),
               [calculator.get_forces(atoms).tolist() for calculator in members])
    """,
    "so3lr": """
        from so3krates_torch.calculator.so3 import SO3LRCalculator
        atoms.calc = SO3LRCalculator()
        own = atoms.get_potential_energy(), atoms.get_forces().tolist(), None
    """,
}
BESIDE = (
    ASKED
    + """
(atoms, structure), = structures()
own = None
{own}
one = None
if own[2]:
    entry["arguments"]["members"] = 1
    one = said(families.load(entry)(structure))
print(json.dumps({{"own": own, "answer": said(model(structure)), "one": one}}))
"""
)


@pytest.mark.parametrize("name", [name for name in MODELS if SHIPPED.entry(name)["family"] in OWN])
def test_answers_are_those_of_the_package_and_the_spread_is_that_of_the_members(name, tmp_path):
    code = BESIDE.format(own=textwrap.dedent(OWN[SHIPPED.entry(name)["family"]]))
    out = in_place(name, code, tmp_path, json.dumps(entry_of(name)), "", "CH3CH2OH")
    energy, forces, members = out["own"]
    answer = Answer(*out["answer"])
    assert answer.energy == pytest.approx(energy, abs=1e-3)
    np.testing.assert_allclose(answer.forces, forces, atol=1e-4)
    np.testing.assert_allclose(np.mean(answer.features, axis=0), answer.embedding, atol=1e-5)
    if members is None:
        assert answer.spread is None
        return
    apart = np.array(members) - np.mean(members, axis=0)
    np.testing.assert_allclose(answer.spread, np.mean(np.linalg.norm(apart, axis=-1) ** 2, axis=0) ** 0.5, atol=1e-4)
    assert min(answer.spread) > 1e-3
    one = Answer(*out["one"])
    assert one.spread == [0.0] * 9
    np.testing.assert_allclose(one.forces, members[0], atol=1e-4)


def test_a_committee_of_one_mace_twice_agrees(mace_checkpoint, tmp_path):
    entry = entry_of("mace_trained") | {"arguments": {"committee": [str(mace_checkpoint)]}}
    out = in_place("mace_trained", TOGETHER, tmp_path, json.dumps(entry), mace_checkpoint, "CH3OH H2O")
    alone = in_place("mace_trained", TOGETHER, tmp_path, json.dumps(entry_of("mace_trained")), mace_checkpoint, "CH3OH")
    for key in ("many", "each"):
        found, single = Answer(*out[key][0]), Answer(*alone["each"][0])
        np.testing.assert_allclose(found.spread, 0.0, atol=1e-12)
        np.testing.assert_allclose(found.forces, single.forces, atol=1e-9)
        assert np.shape(found.features)[1] == 2 * np.shape(single.features)[1] and single.spread is None


@pytest.mark.parametrize("name", ["aimnet2", "ani1x", "so3lr"])
def test_an_element_that_a_model_has_not_learnt_is_a_failure_and_never_a_guess(name, tmp_path):
    code = ASKED + "from mlipshift.external.prediction import ask\nfound = []\n"
    code += "for _, s in structures():\n    try:\n        ask(model, s)\n"
    code += "    except ValueError as error:\n        found.append(str(error))\nprint(json.dumps(found))"
    out = in_place(name, code, tmp_path, json.dumps(entry_of(name)), "", "CH4 NaCl")
    assert out == [f"it has not learnt {'Na and Cl' if name == 'ani1x' else 'Na'}"]


def test_own_models_predict_as_the_prediction_rule_does(own_checkpoint, ethanol, predicted):
    name, out, *_ = predicted
    if name != "joint":
        pytest.skip("of the project's own models")
    model = Potential.load(own_checkpoint.parent).network
    ((energy, forces),) = networks.predict(model, [(ethanol.numbers, ethanol.positions)])
    assert out["as it is"][0] == pytest.approx(float(energy), abs=1e-5)  # its atomic energies are zero
    np.testing.assert_allclose(out["as it is"][1], forces, atol=1e-6)

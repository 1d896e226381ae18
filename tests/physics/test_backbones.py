"""All backbones keep the contracts of contracts.py; GemNet is that of its equations, with the published sizes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from contracts import CONTRACTS, CUTOFF, KINDS, molecule, small
from scipy.special import eval_legendre

from mlipshift.base.errors import UserError
from mlipshift.catalogue.strategies import HEADS, LEVELS
from mlipshift.learn import backbones, batches, networks
from mlipshift.learn.backbones import gemnet
from mlipshift.learn.potential import Potential
from mlipshift.shift import graphs

ROOT = Path(__file__).parents[2]
MACE = ROOT / ".venv-mace/bin/python"
HERE = [kind for kind in KINDS if kind != "mace"]
SMALLER, LARGER = {}, {"atom_features": 256, "radial_embedding": 32}


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("kind", HERE)
def test_contract(kind, contract):
    CONTRACTS[contract](kind)


def results(script, kind, python=sys.executable, *more):
    """JSON that a script beside this file prints for a backbone, in a process of its own."""
    if not Path(python).exists():
        pytest.skip(".venv-mace is not there; make models")
    paths = [str(ROOT / "workflow"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    command = [python, Path(__file__).parent / script, kind, *more]
    process = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def mace_results():
    return results("contracts.py", "mace", MACE)


@pytest.mark.parametrize("contract", CONTRACTS)
def test_contract_of_mace(mace_results, contract):
    assert not mace_results[contract], mace_results[contract]


def test_mace_without_its_package_is_one_line():
    try:
        import mace  # noqa: F401
    except ModuleNotFoundError:
        with pytest.raises(UserError, match="the backbone mace needs .* run make venv-mace"):
            backbones.create("mace", {})


def test_unknown_backbones_and_forces_are_one_line():
    with pytest.raises(UserError, match="backbone 'schnet' is unknown; use one of painn, gemnet, mace"):
        backbones.create("schnet", {})
    with pytest.raises(UserError, match="painn has no conservative forces; use direct or gradient"):
        backbones.create("painn", {"forces": "conservative"})
    with pytest.raises(UserError, match="blocks is 1"):
        backbones.create("gemnet", {"blocks": 1})


def test_elements_beyond_those_of_gemnet_are_one_line():
    with pytest.raises(UserError, match="element 92"):
        networks.predict(small("gemnet"), [(np.array([92, 1]), np.array([[0.0, 0, 0], [1, 0, 0]]))])


@pytest.mark.parametrize("kind", ["painn_gradient", "gemnet_gradient"])
def test_gradient_forces_have_no_curl(kind):
    """The matrix of the derivatives of the forces is that of second derivatives of the energy, and so symmetric."""
    model, (numbers, positions) = small(kind), molecule(4, 6)
    step, rows = 1e-4, []
    for k in range(positions.size):
        moved = np.repeat(positions[None], 2, 0)
        moved.reshape(2, -1)[:, k] += step, -step
        (_, ahead), (_, behind) = networks.predict(model, [(numbers, x) for x in moved])
        rows.append((ahead - behind).ravel() / (2 * step))
    hessian = -np.array(rows)
    assert np.abs(hessian).max() > 1e-2
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-6 * np.abs(hessian).max())


def test_the_energy_of_the_compact_network_does_not_depend_on_how_it_has_its_forces():
    """Gradient forces take the force readout away and change nothing else."""
    direct = small("painn")
    gradient = networks.build(KINDS["painn_gradient"]).double()
    gradient.load_state_dict({n: p for n, p in direct.state_dict().items() if n in gradient.state_dict()})
    left = {n for n, _ in direct.named_parameters()} - {n for n, _ in gradient.named_parameters()}
    assert {n.split(".")[2] for n in left} == {"force1", "force2", "project"}
    structures = [molecule(n, n) for n in (3, 6)]
    for (e, f), (e0, f0) in zip(networks.predict(gradient, structures), networks.predict(direct, structures)):
        assert e == e0 and not np.allclose(f, f0)


@pytest.mark.parametrize(
    ("settings", "published"),
    [(SMALLER, 2_311_510), (LARGER, 4_440_694), (LARGER | {"forces": "gradient"}, 4_009_969)],
)
def test_gemnet_has_the_published_number_of_weights(settings, published):
    """With one head; a scaling factor counts as a weight there."""
    model = backbones.create("gemnet", settings, heads=("reference",))
    factors = sum(isinstance(module, gemnet.Scale) for module in model.modules())
    assert model.counts()["all"] + factors == published


def test_gemnet_has_the_published_levels():
    model = backbones.create("gemnet", SMALLER, heads=("reference",))
    counts = model.counts()
    shares = [round(100 * counts[level] / counts["all"]) for level in LEVELS]
    assert shares == [25, 55, 77]
    assert [round(counts[level] / 1e6, 2) for level in LEVELS] == [0.57, 1.26, 1.79]
    low = model.representation("min")
    assert {n.split(".")[0] for n in low} == {"atoms", "edges", "interactions", "outputs"}, "projections are not in it"
    assert not any(n.startswith(("interactions.1.", "outputs.1.")) for n in low)


def test_a_second_head_adds_the_last_blocks_alone():
    one, two = (backbones.create("gemnet", SMALLER, heads=HEADS[:k]).counts() for k in (1, 2))
    assert two["all"] - one["all"] == one["head"]
    assert two["max"] == one["max"] == one["all"] - one["head"]


def test_reverse_edges_against_brute_force():
    structures = [molecule(6, 1), molecule(4, 2), molecule(1, 3)]
    batch = batches.collate(
        [[graphs.build(*s, CUTOFF) for s in structures[:2]], [graphs.build(*structures[2], CUTOFF)]]
    )
    width = batch.edges.shape[2]
    real = batch.edges.flatten() > 0
    for edge, back in enumerate(batch.reverse.tolist()):
        if real[edge]:
            assert batch.neighbours[edge] == back // width and batch.neighbours[back] == edge // width and real[back]
        else:
            assert back == edge


def test_triplet_message_against_a_sum_over_triplets():
    """Message to every edge c -> a: an explicit sum over b and over the terms of the bilinear layer."""
    model, structure = small("gemnet"), molecule(6, 4)
    batch = batches.collate([[graphs.build(*structure, CUTOFF)]], torch.float64)
    geometry = gemnet.Geometry(batch, batch.vectors, model.architecture)
    basis = model.projections(geometry)
    layer = model.interactions[0].triplets
    torch.manual_seed(3)
    m = torch.randn(*geometry.shape, model.architecture.edge_features, dtype=torch.float64)
    with torch.no_grad():
        found = layer(m, basis, geometry)[0].numpy()
        x = layer.first(m) * layer.radial(basis.triplet) * layer.scale_radial.factor
        x = layer.down(x)[0].numpy()
        up, back = ((lambda y, d=d: d(torch.as_tensor(y))) for d in (layer.up, layer.up_reverse))
    circular = model.projections.circular.weight.detach().numpy().reshape(model.architecture.radial, -1, 7)
    bilinear = layer.bilinear.weight.detach().numpy().reshape(4, x.shape[-1], -1)
    numbers, positions = structure
    graph = graphs.build(numbers, positions, CUTOFF)
    messages = {}
    for a, row in enumerate(graph.neighbours):
        for c in row:
            if c < 0:
                continue
            total, ca = np.zeros(x.shape[-1]), positions[c] - positions[a]
            d = np.linalg.norm(ca)
            s = d / CUTOFF
            radial = np.exp(-0.5 * ((s - np.linspace(0, 1, 6)) / 0.2) ** 2) * (1 - 21 * s**5 + 35 * s**6 - 15 * s**7)
            for other, b in enumerate(row):
                if b < 0 or b == c:
                    continue
                ba = positions[b] - positions[a]
                cosine = ca @ ba / d / np.linalg.norm(ba)
                sphere = [np.sqrt((2 * k + 1) / 4 / np.pi) * eval_legendre(k, cosine) for k in range(7)]
                total += np.einsum("r,rcl,l,f,cfg->g", radial, circular, sphere, x[a, other], bilinear)
            messages[c, a] = total * float(layer.scale_sum.factor)
    with torch.no_grad():
        for a, row in enumerate(graph.neighbours):
            for slot, c in enumerate(row):
                if c >= 0:
                    expected = (up(messages[c, a]) + back(messages[a, c])).numpy() * 0.5**0.5
                    np.testing.assert_allclose(found[a, slot], expected, atol=1e-10)


def test_scaling_factors_keep_the_variance_and_are_saved(tmp_path):
    model = small("gemnet")
    rows = [graphs.build(*molecule(n, n), CUTOFF) for n in (3, 5, 7)]
    scales = [module for module in model.modules() if isinstance(module, gemnet.Scale)]
    before = [float(s.factor) for s in scales]
    assert all(f > 0 and f != 1 for f in before)
    model.calibrate(batches.collate([rows], torch.float64))
    np.testing.assert_allclose([float(s.factor) for s in scales], before, rtol=1e-10)
    ratios = []

    def keep(module, inputs, output):
        y, x, geometry = inputs
        ratios.append([float(v[geometry.real(v)].var(dim=0).mean()) for v in (output, x)])

    for scale in scales:
        scale.register_forward_hook(keep)
    with torch.no_grad():
        model(batches.collate([rows], torch.float64))
    np.testing.assert_allclose(*np.transpose(ratios), rtol=1e-8)
    Potential(model.float(), {"strategy": "joint", "seed": 0}).save(tmp_path)
    loaded = [m for m in Potential.load(tmp_path).network.modules() if isinstance(m, gemnet.Scale)]
    np.testing.assert_allclose([float(s.factor) for s in loaded], before, rtol=1e-6)


def test_a_card_without_a_backbone_is_the_compact_network(tmp_path):
    """Cards of earlier versions name neither backbone nor forces in their architecture."""
    model = small("painn").float()
    Potential(model, {"strategy": "joint", "seed": 0}).save(tmp_path)
    card = json.loads((tmp_path / "model.json").read_text())
    del card["backbone"], card["architecture"]["forces"], card["parameters_of"]
    (tmp_path / "model.json").write_text(json.dumps(card))
    loaded = Potential.load(tmp_path).network
    ((energy, forces),) = networks.predict(loaded, [molecule(5, 1)])
    ((expected, same),) = networks.predict(model, [molecule(5, 1)])
    assert energy == expected and np.array_equal(forces, same)


@pytest.mark.parametrize("device", ["other", "cuda", "cuda recorded"])
@pytest.mark.parametrize("kind", KINDS)
def test_everything_stays_on_the_device_it_is_told(kind, device):
    """On a GPU, and on an emulated device that mixes no tensors with the processor's; see second_device.py."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    differences = results("second_device.py", kind, MACE if kind == "mace" else sys.executable, *device.split())
    # training is in single precision, and Adam divides by gradients that may be rounding alone
    assert differences["trained"] < 1e-2 and differences["adapted"] < 1e-12 and differences.get("simulated", 0) < 1e-12


def test_large_structures_are_computed_fewer_at_a_time():
    most = batches.ATOMS
    assert batches.portions([], 4) == []
    assert [(p.start, p.stop) for p in batches.portions([3] * 9, 4)] == [(0, 4), (4, 8), (8, 9)]
    parts = batches.portions([most // 4] * 3 + [most // 2, 1, 2 * most, 5], 64, "cuda")
    assert [(p.start, p.stop) for p in parts] == [(0, 3), (3, 5), (5, 6), (6, 7)]
    # what one core computes at once stays in its cache
    parts = batches.portions([10] * 90 + [60] * 5, 64)
    assert [p.stop - p.start for p in parts] == [64, 26, 2, 2, 1]
    assert all((p.stop - p.start) * 60**2 <= batches.PAIRS for p in parts[2:])
    network = small("painn")
    structures = [molecule(4 + k, k) for k in range(5)]
    together = networks.predict(network, structures)
    for one, other in zip(together, networks.predict(network, structures, batch=2), strict=True):
        np.testing.assert_allclose(one[1], other[1], atol=1e-6)


def test_a_batch_that_no_memory_holds_is_one_line(monkeypatch):
    structure = molecule(9, 0)
    network = small("painn")
    monkeypatch.setattr("mlipshift.learn.backbones.base.memory", lambda device: 20_000)
    with pytest.raises(UserError, match=r"atoms at once, with up to \d+ neighbours each, are more than the \d+ that"):
        networks.predict(network, [structure])

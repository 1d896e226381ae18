"""Help for published models that changes their weights: the prior head, test-time training, distillation, few labels.

A pair potential in plain torch takes the place of a published model; test_external_models.py has real ones.
"""

import copy
import json
import os

import numpy as np
import pytest
import torch

from mlipshift.base.checkpoints import Checkpoints
from mlipshift.base.errors import UserError
from mlipshift.base.frames import Labels
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import read_table
from mlipshift.external import differentiable, heads, kept, test_time, weights
from mlipshift.external.structure import Structure
from physics.pairwise import Pairwise, Springs, labels, structures
from reliability.scripts import run_script

HEAD = {"components": 8, "hidden": 16, "seed": 0, "epochs": 20}
STEP = 1e-4  # Å


def of(frames):
    return [Structure.of(frames, k) for k in range(len(frames))]


@pytest.fixture(scope="module")
def model():
    return Pairwise()


@pytest.fixture(scope="module")
def frames():
    return structures(24)


@pytest.fixture(scope="module")
def prior(frames):
    return labels(frames, Springs())


@pytest.fixture(scope="module")
def head(model, frames, prior):
    """A trained head, in double precision for finite differences."""
    made = heads.start(model, of(frames), HEAD)
    rows = heads.examples(model, made, of(frames), [prior.forces_of(k) for k in range(len(frames))], "pairwise")
    heads.train(made, rows, [], HEAD)
    return made.double().requires_grad_(False)


@pytest.fixture
def state(model):
    """The weights, which have to be the same after the test."""
    before = {n: p.clone() for n, p in model.network.named_parameters()}
    yield before
    assert all(torch.equal(before[n], p) for n, p in model.network.named_parameters())
    assert not any(p.requires_grad or p.grad is not None for p in model.network.parameters())


# the prior head


def test_the_forces_of_a_head_are_minus_the_gradient_of_its_energy(model, head, frames):
    chosen = of(frames)[:3]
    x = np.concatenate([s.positions for s in chosen])
    energies = lambda positions: heads.both(model, head, chosen, torch.as_tensor(positions))
    found = energies(x)
    for atom, axis in ((0, 0), (2, 1), (5, 2), (9, 0)):
        ahead, behind = x.copy(), x.copy()
        ahead[atom, axis] += STEP
        behind[atom, axis] -= STEP
        forward, backward = energies(ahead), energies(behind)
        for energy, forces in (("energy", "forces"), ("head_energy", "head_forces")):
            slope = (getattr(forward, energy) - getattr(backward, energy)).sum().item() / (2 * STEP)
            assert getattr(found, forces)[atom, axis].item() == pytest.approx(-slope, abs=1e-7)


def test_the_derivatives_of_components_are_finite_differences(model, head, frames, monkeypatch):
    structure = of(frames)[3]
    n, x = len(structure.numbers), structure.positions
    batch = model.prepare([structure])
    components = lambda positions: head.components(model(batch, torch.as_tensor(positions))[1])
    for rows in (heads.ROWS, 2 * n):  # in one pass and in several
        monkeypatch.setattr(heads, "ROWS", rows)
        (found,) = heads.examples(model, head, [structure], [np.zeros((n, 3))], "pairwise")
        assert torch.allclose(found.components, components(x).float())
        for k in range(3 * n):
            ahead, behind = x.copy(), x.copy()
            ahead.flat[k] += STEP
            behind.flat[k] -= STEP
            slope = (components(ahead) - components(behind)) / (2 * STEP)
            assert torch.allclose(found.derivatives[:, :, k].double(), slope, atol=2e-5)


def test_examples_and_the_head_agree_on_its_forces(model, head, frames, prior):
    structure = of(frames)[5]
    (row,) = heads.examples(model, head, [structure], [prior.forces_of(5)], "pairwise")
    values = row.components.double().requires_grad_()
    (gradient,) = torch.autograd.grad(head.network(values).sum(), values)
    found = heads.both(model, head, [structure])
    assert torch.allclose(row.added(gradient.float()).double(), found.head_forces - found.forces, atol=1e-5)
    own = torch.as_tensor(prior.forces_of(5)) - found.forces
    assert torch.allclose(row.forces.double(), own, atol=1e-6)


def test_a_head_of_a_prior_that_is_the_model_is_zero(model, frames):
    forces = [f for _, f in own(model, frames)]
    made = heads.start(model, of(frames), HEAD)
    rows = heads.examples(model, made, of(frames), forces, "pairwise")
    assert max(float(row.forces.abs().max()) for row in rows) < 1e-6
    before = [f.head_forces - f.forces for f in (heads.both(model, made.double(), [s]) for s in of(frames))]
    heads.train(made, rows, [], HEAD | {"epochs": 200})
    after = [f.head_forces - f.forces for f in (heads.both(model, made.double(), [s]) for s in of(frames))]
    size = lambda values: float(torch.cat(values).abs().mean())
    assert size(after) < 0.02 * size(before) and size(after) < 1e-3


def test_a_head_learns_the_prior_and_is_read_back(model, head, frames, prior, tmp_path):
    found = heads.both(model, head, of(frames))
    truth = torch.as_tensor(prior.forces)
    assert (found.head_forces - truth).abs().mean() < 0.5 * (found.forces - truth).abs().mean()
    head.save(tmp_path / "head.pt")
    again = heads.both(model, heads.PriorHead.load(tmp_path / "head.pt").double(), of(frames))
    assert torch.allclose(again.head_forces, found.head_forces)


def test_the_shifts_of_elements_bring_the_energies_to_those_of_the_prior(model, head, frames, prior):
    offset = np.array([{1: -3.0, 6: -40.0, 7: -50.0, 8: -70.0}[int(z)] for z in frames.numbers])
    energies = heads.both(model, head, of(frames)).head_energy.detach().numpy() + np.add.reduceat(
        offset, frames.offsets[:-1]
    )
    energies[3] = np.nan
    shifted = heads.PriorHead(head.mean, head.projection, HEAD["hidden"]).double()
    shifted.load_state_dict(head.state_dict())
    heads.set_shifts(model, shifted, of(frames), energies)
    found = heads.both(model, shifted, of(frames))
    known = np.isfinite(energies)
    assert np.allclose(found.head_energy.detach().numpy()[known], energies[known])
    assert torch.equal(found.head_forces, heads.both(model, head, of(frames)).head_forces)


# test-time training


def adapted(model, head, frames, prior, folder, asked=None, targets=None, **settings):
    chosen = test_time.Settings.of({"steps": 12, "learning_rate": 1e-3, "record": [4]} | settings)
    store = Checkpoints(folder / "parts", b"")
    asked = range(len(frames)) if asked is None else asked
    return test_time.adapt_frames(model, head, frames, prior, list(asked), chosen, store, "test", targets)


def own(model, frames):
    """(energy, forces) of the model itself for every structure."""
    for s in of(frames):
        energy, forces, _ = differentiable.energy_and_forces(model, model.prepare([s]), torch.as_tensor(s.positions))
        yield float(energy.detach()), forces.numpy()


def test_no_step_is_the_model(model, head, frames, prior, state, tmp_path):
    found = adapted(model, head, frames, prior, tmp_path, steps=0)
    for (energy, forces), (e, f) in zip(found.rows, own(model, frames)):
        assert energy.tolist() == [e] and np.array_equal(forces[0], f)
    head_forces = heads.both(model, head, of(frames)).head_forces.detach().numpy()
    residual = [np.abs(p - h).mean() for p, h in zip(split(prior.forces, frames), split(head_forces, frames))]
    assert np.allclose(found.loss[0], residual) and not found.reasons


def split(values, frames):
    return np.split(values, frames.offsets[1:-1])


def test_adaptation_lowers_the_prior_residual(model, head, frames, prior, state, tmp_path):
    found = adapted(model, head, frames, prior, tmp_path)
    assert found.loss.shape == (3, len(frames))
    assert (found.loss[2] < found.loss[0]).mean() > 0.9
    assert found.loss.mean(axis=1).tolist() == sorted(found.loss.mean(axis=1), reverse=True)
    for (energy, forces), (e, f) in zip(found.rows, own(model, frames)):
        assert energy[0] == e and np.array_equal(forces[0], f)
        assert not np.array_equal(forces[2], f)


def test_structures_know_nothing_of_each_other(model, head, frames, prior, state, tmp_path):
    """Every one starts from the published weights, in whatever company and order."""
    together = adapted(model, head, frames, prior, tmp_path)
    for k in (7, 2, 19):
        alone = adapted(model, head, frames, prior, tmp_path / str(k), [k])
        assert [j for j, row in enumerate(alone.rows) if row is not None] == [k]
        assert all(np.array_equal(a, b) for a, b in zip(alone.rows[k], together.rows[k]))
    reverse = np.arange(len(frames))[::-1]
    turned = adapted(model, head, frames.take(reverse), prior.take(reverse), tmp_path / "turned")
    assert np.array_equal(turned.loss[:, ::-1], together.loss)


def test_a_gate_leaves_alone_what_the_head_knows(model, head, frames, prior, state, tmp_path):
    free = adapted(model, head, frames, prior, tmp_path)
    gate = float(np.median(free.loss[0]))
    gated = adapted(model, head, frames, prior, tmp_path / "gated", gate_eV_per_A=gate)
    for k, (_, f) in enumerate(own(model, frames)):
        if free.loss[0, k] < gate:
            assert all(np.array_equal(forces, f) for forces in gated.rows[k][1])
            assert (gated.loss[:, k] == free.loss[0, k]).all()
        else:
            assert np.array_equal(gated.rows[k][1], free.rows[k][1])
    closed = adapted(model, head, frames, prior, tmp_path / "closed", gate_eV_per_A=np.inf)
    assert all(np.array_equal(forces[-1], f) for (_, forces), (_, f) in zip(closed.rows, own(model, frames)))


def test_a_placebo_adapts_the_same_structures_to_foreign_forces(model, head, frames, prior, state, tmp_path):
    targets = test_time.placebo(frames, prior, 0)
    assert all(targets[k].shape == prior.forces_of(k).shape for k in targets) and len(targets) == len(frames)
    assert not any(np.allclose(targets[k], prior.forces_of(k)) for k in targets)
    free = adapted(model, head, frames, prior, tmp_path)
    gate = float(np.median(free.loss[0]))
    found = adapted(model, head, frames, prior, tmp_path / "placebo", targets=targets, gate_eV_per_A=gate)
    moved = np.array([not np.array_equal(forces[0], forces[-1]) for _, forces in found.rows])
    failed = np.isin(np.arange(len(frames)), list(found.reasons))
    assert (moved | failed == (free.loss[0] >= gate)).all()
    truth = [np.abs(f[-1] - p).mean() for (_, f), p in zip(found.rows, split(prior.forces, frames))]
    right = [np.abs(f[-1] - p).mean() for (_, f), p in zip(free.rows, split(prior.forces, frames))]
    assert np.mean(truth) > np.mean(right)


def test_what_cannot_be_adapted_has_a_reason(model, head, frames, prior, state, tmp_path):
    damaged = Labels(prior.ids, prior.offsets, prior.energy, prior.forces.copy(), prior.ok.copy(), prior.level)
    damaged.ok[4] = False
    found = adapted(model, head, frames, damaged, tmp_path, [3, 4, 5], learning_rate=1e4)
    assert found.rows[4] is None and found.reasons[4] == "no prior label to adapt on"
    for k in (3, 5):
        assert "the model's own prediction stands" in found.reasons[k]
        assert np.array_equal(found.rows[k][1], np.stack([list(own(model, frames))[k][1]] * 3))


def test_settings_that_mean_nothing_are_refused():
    for wrong in ({"step": 3}, {"steps": -1}, {"learning_rate": 0.0}, {"gate_eV_per_A": float("nan")}):
        with pytest.raises(UserError):
            test_time.Settings.of(wrong)


def test_changed_weights_are_read_back(model, frames, state, tmp_path):
    with weights.restored(weights.adaptable(model)):
        with torch.no_grad():
            for p in weights.adaptable(model):
                p.mul_(1.1)
        changed = [f for _, f in own(model, frames)]
        weights.save(model, tmp_path / "w.pt")
    again = Pairwise(seed=1)
    weights.load(again, tmp_path / "w.pt")
    assert all(np.array_equal(a, b) for a, (_, b) in zip(changed, own(again, frames)))
    torch.save({"embedding.weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(UserError, match="no weight of this model"):
        weights.load(again, tmp_path / "other.pt")


# the scripts


@pytest.fixture
def files(model, head, frames, prior, tmp_path, monkeypatch):
    """Folder with what the scripts read; they load the pair potential."""
    monkeypatch.setattr(differentiable, "load", lambda entry, checkpoint=None: Pairwise(dtype=torch.float32))
    monkeypatch.setattr(kept, "KEPT_EVERY", (0.0, 0.0))
    frames.save(tmp_path / "frames.h5")
    prior.save(tmp_path / "prior.h5")
    copy.deepcopy(head).float().save(tmp_path / "head.pt")
    (tmp_path / "excluded.csv").write_text(f"set,id,reason\ntest,{frames.ids[1]},a test\n")
    return tmp_path


def arguments(**options):
    """As on a command line."""
    given = {"entry": "{}", "model": "pairwise"} | options
    text = lambda value: json.dumps(value) if isinstance(value, dict) else value
    words = [(f"--{key.replace('_', '-')}", text(value)) for key, value in given.items()]
    return [word for key, value in words for word in ([key] if value is True else [key, value])]


ADAPT = {"frames": "frames.h5", "prior": "prior.h5", "head": "head.pt", "excluded": "excluded.csv"}
ADAPT |= {"settings": {"steps": 5, "learning_rate": 1e-3, "record": [2]}, "output": "ttt.h5"}
ADAPT |= {"failures": "failures.csv", "timing": "timing.json"}


@pytest.mark.parametrize("extra", [{}, {"placebo": True}], ids=["ttt", "placebo"])
def test_a_killed_adaptation_goes_on_and_ends_the_same(files, frames, extra, monkeypatch):
    options = arguments(**ADAPT, **extra)
    done = run_script("adapt_public", files, *options)
    assert done.status == 0, done.lines
    whole = (files / "ttt.h5").read_bytes()
    found = Predictions.load(files / "ttt.h5", frames)
    assert found.steps.tolist() == [0, 2, 5] and found.seed == -1
    assert found.method == ("pairwise_placebo" if extra else "pairwise_ttt")
    assert (~found.ok).nonzero()[0].tolist() == [1] and np.isfinite(found.loss[:, found.ok]).all()
    assert list(read_table(files / "failures.csv").columns) == ["id", "group", "stage", "reason"]
    (files / "ttt.h5").unlink()
    plain, calls = test_time.adapt, []

    def dying(*args):
        calls.append(args)
        if len(calls) > 9:
            os._exit(9)
        return plain(*args)

    monkeypatch.setattr(test_time, "adapt", dying)
    assert run_script("adapt_public", files, *options).status == 9
    assert len(list((files / "ttt.h5.parts").iterdir())) == 9 and not (files / "ttt.h5").exists()
    monkeypatch.setattr(test_time, "adapt", plain)
    done = run_script("adapt_public", files, *options)
    assert done.status == 0 and any("9 of a job that was killed" in line for line in done.lines), done.lines
    assert (files / "ttt.h5").read_bytes() == whole and not (files / "ttt.h5.parts").exists()
    assert json.loads((files / "timing.json").read_text())["structures"] == len(frames) - 1

"""Help for published models that changes their weights: the prior head, test-time training, distillation, few labels.

A pair potential in plain torch takes the place of a published model; real ones are asked where `make models` has made
their environments.
"""

import ast
import copy
import inspect
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from mlipshift.base.checkpoints import Checkpoints
from mlipshift.base.errors import UserError
from mlipshift.base.frames import ELEMENTS, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import read_table
from mlipshift.external import differentiable, distillation, finetuning, heads, kept, test_time, tuning, weights
from mlipshift.external.settings import with_rate, with_rates
from mlipshift.external.structure import Structure
from mlipshift.learn import courses
from physics.pairwise import Pairwise, Springs, labels, structures
from reliability.scripts import run_script

ROOT = Path(__file__).parents[2]
HEAD = {"components": 8, "hidden": 16, "seed": 0, "epochs": 20}
STEP = 1e-4  # Å
COUNT = 12  # structures


def of(frames):
    return [Structure.of(frames, k) for k in range(len(frames))]


@pytest.fixture(scope="module")
def model():
    return Pairwise()


@pytest.fixture(scope="module")
def frames():
    return structures(COUNT)


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
    heads.train(made, rows, [], HEAD | {"epochs": 300})
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
    for k in (7, 2):
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
    assert "the model's own prediction stands" in found.reasons[3]
    for k in {3, 5} & {*found.reasons}:
        assert np.array_equal(found.rows[k][1], np.stack([said(model, frames)[k]] * 3))


def test_settings_that_mean_nothing_are_refused():
    for wrong in ({"step": 3}, {"steps": -1}, {"learning_rate": 0.0}, {"gate_eV_per_A": float("nan")}):
        with pytest.raises(UserError):
            test_time.Settings.of(wrong)


def test_a_rate_is_that_of_the_family_where_none_is_given():
    assert with_rate({"steps": 1}, {"family": "aimnet2"}) == {"steps": 1, "learning_rate": 3e-5}
    assert with_rate({"learning_rate": 1e-3}, {"family": "aimnet2"}) == {"learning_rate": 1e-3}
    assert with_rates({"rates": [1, 0.1]}, {"family": "mace"}, 10)["learning_rates"] == pytest.approx([3e-3, 3e-4])
    assert with_rates({"learning_rates": [1e-3]}, {"family": "mace"}) == {"learning_rates": [1e-3]}


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


# real models


@pytest.mark.slow
@pytest.mark.parametrize("family, environment", [("mace", "mace"), ("aimnet2", "organic")])
def test_a_real_model_keeps_the_contracts(family, environment):
    python = ROOT / f".venv-{environment}/bin/python"
    if not python.exists():
        pytest.skip(f"no environment {python.parents[1].name}; make models")
    limits = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "workflow")}
    command = [str(python), str(ROOT / "tests/physics/public_contracts.py"), family]
    done = subprocess.run(command, env=os.environ | limits, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert {name: wrong for name, wrong in json.loads(done.stdout.splitlines()[-1]).items() if wrong} == {}


# distillation


def test_a_teacher_is_learnt_from_unlabelled_structures(model, frames, prior, state):
    """Other structures of the same molecules come nearer to it, too; with no step the model is as it was."""
    chosen, (even, odd) = of(frames), (range(0, COUNT, 2), range(1, COUNT, 2))
    forces, pick = [prior.forces_of(k) for k in range(COUNT)], lambda rows, ks: [rows[k] for k in ks]
    error = lambda: np.mean([np.abs(f - forces[k]).mean() for k, f in zip(odd, pick(list(said(model, frames)), odd))])
    with weights.restored(weights.adaptable(model)):
        before = error()
        settings = distillation.Settings(steps=0, learning_rate=3e-3)
        distillation.distil(model, pick(chosen, even), pick(forces, even), [], settings)
        assert error() == before
        settings = distillation.Settings(steps=40, learning_rate=3e-3)
        distillation.distil(model, pick(chosen, even), pick(forces, even), [], settings)
        assert error() < 0.8 * before


def said(model, frames):
    return [f for _, f in own(model, frames)]


def test_replay_keeps_what_the_model_says(model, frames, prior, state):
    """Alone it changes nothing much; beside a teacher it halves what is forgotten."""
    ordinary, other = of(frames)[:6], of(frames)[6:]
    forces, before = [prior.forces_of(k) for k in range(6, COUNT)], said(model, frames)[:6]
    moved = {}
    for name, taught, replayed in (("replay", 0.0, 1.0), ("teacher", 1.0, 0.0), ("both", 1.0, 3.0)):
        settings = distillation.Settings(40, 3e-3, taught_weight=taught, replay_weight=replayed)
        with weights.restored(weights.adaptable(model)):
            distillation.distil(model, other, forces, ordinary, settings)
            moved[name] = np.mean([np.abs(a - b).mean() for a, b in zip(said(model, frames), before)])
    assert moved["replay"] < 0.05 * moved["teacher"] and moved["both"] < 0.5 * moved["teacher"]


# few labels


def labelled(frames, call=None, count=COUNT):
    made = labels(frames, call or Springs())
    forces = [made.forces_of(k) for k in range(count)]
    return finetuning.Labelled(of(frames)[:count], forces, made.energy[:count], frames.molecule[:count])


FEW = {"steps": 20, "every": 10, "learning_rates": (1e-6, 3e-3), "folds": 3, "replay_weight": 0.0, "components": 8}
FEW |= {"hidden": 16, "epochs": (5, 20)}


def test_folds_keep_molecules_together(frames):
    for learnt, held in courses.folds(frames.molecule[:COUNT], 4):
        assert not set(frames.molecule[learnt]) & set(frames.molecule[held])
        assert sorted(learnt + held) == [*range(COUNT)]
    one = np.array(["m"] * 3)
    assert [held for _, held in courses.folds(one, 4)] == [[0], [1], [2]]
    assert [held for _, held in courses.folds(one, 3, enough=2)] == [[0], [1]]
    with pytest.raises(UserError, match="give two"):
        courses.folds(one[:1], 4)


@pytest.mark.parametrize("rank", [0, 2])
def test_low_rank_updates_start_as_the_model(model, frames, state, rank):
    before = said(model, frames)
    chosen = tuning.matrices(model)
    assert [tuple(p.shape) for p in chosen] == [(16, 12), (12, 16), (8, 12)]  # no embedding, no row of a readout
    update = tuning.LowRank(chosen, rank, seed=0)
    update.write()
    assert all(np.array_equal(a, b) for a, b in zip(said(model, frames), before))
    goal = tuning.Goal(of(frames), [1.5 * f for f in before], np.full(COUNT, np.nan))
    with weights.restored(chosen):
        tuning.descend(model, update, [goal], tuning.Descent(1e-2), 3)
        same = [np.array_equal(a, b) for a, b in zip(said(model, frames), before)]
        assert all(same) if rank == 0 else not any(same)
        for p, w in zip(update.changed, update.base):
            assert torch.linalg.matrix_rank(p - w, rtol=1e-9) == rank


def test_gradients_of_low_rank_updates_are_those_of_the_loss(model, frames, state):
    update = tuning.LowRank(tuning.matrices(model), 2, seed=0)
    goal = tuning.Goal(of(frames)[:4], [1.5 * f for f in said(model, frames)[:4]], np.full(4, np.nan))
    with weights.restored(update.changed):
        with torch.no_grad():
            for b in update.right:
                b.fill_(0.1)
        update.write()
        with weights.learning(update.changed):
            tuning.loss(model, goal).backward()
            update.gather()
        for values, place in ((update.left[0], (3, 1)), (update.right[1], (0, 5))):
            found, ends = values.grad[place].item(), []
            for step in (STEP, -STEP):
                values[place] += step
                update.write()
                ends.append(tuning.loss(model, goal).item())
                values[place] -= step
            assert found == pytest.approx((ends[0] - ends[1]) / (2 * STEP), rel=1e-3, abs=1e-9)


@pytest.mark.parametrize("way", ["full", "low_rank"])
def test_few_labels_change_the_weights_as_far_as_they_help(model, frames, state, way):
    known, settings = labelled(frames), finetuning.Settings(**FEW)
    error = lambda: np.mean([np.abs(f - t).mean() for f, t in zip(said(model, frames), known.forces)])
    before = error()
    with weights.restored(weights.adaptable(model)):
        course, shifts = finetuning.tune(model, known, [], way, settings)
        assert course.chosen[1] == 3e-3 and course.chosen[0] > 0 and course.ratios[0] == 1
        assert course.choices == [courses.NOTHING, (10, 1e-6), (20, 1e-6), (10, 3e-3), (20, 3e-3)]
        assert min(course.ratios) < 0.95 and error() < 0.9 * before and shifts.shape == (ELEMENTS,)


def test_labels_that_are_noise_mostly_change_nothing(model, frames, state):
    """The model is right, the labels are not; of six draws of noise on twelve structures two are taken for a signal."""
    answers, known = {s.positions.tobytes(): f for s, f in zip(of(frames), said(model, frames))}, []
    before, settings = said(model, frames), finetuning.Settings(**FEW | {"learning_rates": (0.03,)})
    for seed in range(6):
        noise = np.random.default_rng(seed).normal
        call = lambda s, noise=noise: (
            np.nan,
            answers[s.positions.tobytes()] + noise(scale=0.3, size=(len(s.numbers), 3)),
        )
        with weights.restored(weights.adaptable(model)):
            course, _ = finetuning.tune(model, labelled(frames, call), [], "full", settings)
            known.append(course.chosen == courses.NOTHING)
            assert known[-1] == all(np.array_equal(a, b) for a, b in zip(said(model, frames), before))
    assert sum(known) >= 4


@pytest.mark.parametrize("way", ["correction", "delta"])
def test_a_small_correction_is_learnt_on_features(way, frames, state):
    model = Pairwise(dtype=torch.float32)
    known, settings = labelled(frames), finetuning.Settings(**FEW | {"epochs": (20, 80)})
    half = labels(frames, lambda s: tuple(0.5 * v for v in Springs()(s)))
    prior = [half.forces_of(k) for k in range(COUNT)] if way == "delta" else None
    course, head = finetuning.correct(model, known, [], settings, prior, [] if way == "delta" else None)
    assert course.chosen[0] > 0
    both = heads.both(model, head, known.structures)
    base = both.forces if prior is None else torch.as_tensor(half.forces)
    found = base + both.head_forces - both.forces
    truth = torch.as_tensor(np.concatenate(known.forces))
    assert (found - truth).abs().mean() < 0.8 * (base - truth).abs().mean()


def test_energies_of_two_levels_differ_by_shifts_of_elements(frames):
    offset = {1: -3.0, 6: -40.0, 7: -50.0, 8: -70.0}
    energies = np.array([sum(offset[int(z)] for z in s.numbers) for s in of(frames)])
    energies[2] = np.nan
    found = heads.element_shifts(of(frames), energies)
    sums = np.array([found[s.numbers].sum() for s in of(frames)])
    assert np.allclose(sums[np.isfinite(energies)], energies[np.isfinite(energies)])
    assert not heads.element_shifts(of(frames), np.full(COUNT, np.nan)).any()


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
        if len(calls) > 4:
            os._exit(9)
        return plain(*args)

    monkeypatch.setattr(test_time, "adapt", dying)
    assert run_script("adapt_public", files, *options).status == 9
    assert len(list((files / "ttt.h5.parts").iterdir())) == 4 and not (files / "ttt.h5").exists()
    monkeypatch.setattr(test_time, "adapt", plain)
    done = run_script("adapt_public", files, *options)
    assert done.status == 0 and any("4 of a job that was killed" in line for line in done.lines), done.lines
    assert (files / "ttt.h5").read_bytes() == whole and not (files / "ttt.h5.parts").exists()
    assert json.loads((files / "timing.json").read_text())["structures"] == len(frames) - 1


def options_of(script):
    """Options of a script, as it says them itself."""
    tree = ast.parse((ROOT / "workflow/scripts" / f"{script}.py").read_text())
    (call,) = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "cli.run"]
    return {key.value for key in call.args[2].keys}


def test_no_reference_label_reaches_what_needs_none():
    """Neither as an option nor as a file: what the scripts of test-time training and distillation are given."""
    assert "reference" in options_of("finetune_public")
    for script in ("fit_head", "predict_head", "adapt_public", "distil_public"):
        assert not [name for name in options_of(script) if "reference" in name or "label" in name], script
    for function in (test_time.adapt, test_time.adapt_frames, distillation.distil):
        assert not [name for name in inspect.signature(function).parameters if "reference" in name]


def test_distillation_predicts_with_the_model_of_before_where_the_gate_says_so(files, model, head, frames, prior):
    answers = [([e], f[None]) for e, f in own(model, frames)]
    Predictions.build(frames, answers, [0], np.nan, "m", -1).save(files / "own.h5")
    said = heads.both(model, head, of(frames)).head_forces.detach().numpy()
    rows = [([0.0], f[None]) for f in split(said, frames)]
    Predictions.build(frames, rows, [0], np.nan, "m_head", -1).save(files / "head.h5")
    taught = [([np.nan], prior.forces_of(k)[None]) for k in range(COUNT)]
    Predictions.build(frames, [*taught[:10], *[None] * 2], [0], np.nan, "teacher", -1).save(files / "teacher.h5")
    residual = np.array([np.abs(p - h).mean() for p, h in zip(split(prior.forces, frames), split(said, frames))])
    settings = {"steps": 5, "learning_rate": 1e-2, "gate_eV_per_A": float(np.median(residual))}
    options = {"taught": "frames.h5", "teacher": "teacher.h5", "ordinary": "frames.h5", "frames": "frames.h5"}
    options |= {"excluded": "excluded.csv", "prior": "prior.h5", "head_predictions": "head.h5", "settings": settings}
    options |= {"output": "d.h5", "weights": "d.pt", "report": "r.json", "failures": "f.csv", "timing": "t.json"}
    done = run_script("distil_public", files, *arguments(**options))
    assert done.status == 0, done.lines
    found, before = Predictions.load(files / "d.h5", frames), Predictions.load(files / "own.h5", frames)
    assert found.method == "pairwise_distilled" and (~found.ok).nonzero()[0].tolist() == [1]
    unmoved = [
        np.allclose(a, b, atol=1e-5) for a, b in zip(split(found.forces[0], frames), split(before.forces[0], frames))
    ]
    expected = residual < settings["gate_eV_per_A"]
    assert [u for k, u in enumerate(unmoved) if k != 1] == [bool(e) for k, e in enumerate(expected) if k != 1]
    report = json.loads((files / "r.json").read_text())
    assert (
        report["teacher"] == "teacher"
        and report["taught"] == 9
        and report["left_as_it_was"] == sum(expected) - expected[1]
    )
    assert set(torch.load(files / "d.pt", weights_only=True)) == {n for n, _ in model.network.named_parameters()}
    refused = run_script("distil_public", files, *arguments(**{k: v for k, v in options.items() if k != "prior"}))
    assert refused.status == 1 and any("a gate needs" in line for line in refused.lines)


@pytest.mark.parametrize("way", finetuning.WAYS)
def test_few_labels_by_the_script(files, frames, prior, way):
    """Energies come to the reference's; what is learnt from is not predicted."""
    shifted = lambda s: (Springs()(s)[0] - 40.0 * len(s.numbers), Springs()(s)[1])
    labelled, asked, ordinary = frames.take(range(6)), frames.take(range(6, COUNT)), structures(10, seed=5, name="o")
    labels(labelled, shifted).save(files / "reference.h5")
    labelled.save(files / "labelled.h5")
    asked.save(files / "asked.h5")
    ordinary.save(files / "ordinary.h5")
    half = lambda s: tuple(0.5 * v for v in Springs()(s))
    labels(frames, half).save(files / "prior.h5")
    labels(ordinary, half).save(files / "more.h5")
    settings = FEW | {"steps": 10, "every": 5, "learning_rates": [1e-3], "epochs": [10]}
    settings |= {"replay_weight": 1.0, "replay": 6}
    options = {"way": way, "labelled": "labelled.h5", "reference": "reference.h5", "ordinary": "ordinary.h5"}
    options |= {"frames": "asked.h5", "excluded": "excluded.csv", "settings": settings, "output": "p.h5"}
    options |= {"weights": "w.pt", "report": "r.json", "failures": "f.csv", "timing": "t.json"}
    given = [*arguments(**options), *(["--prior", "prior.h5", "more.h5"] if way == "delta" else [])]
    done = run_script("finetune_public", files, *given)
    assert done.status == 0, done.lines
    found = Predictions.load(files / "p.h5", asked)
    assert found.method == f"pairwise_{way}" and found.ok.all()
    assert np.abs(found.energy[0] + 40.0 * asked.sizes).max() < 20
    report = json.loads((files / "r.json").read_text())
    assert report["labelled"] == 5 and report["replayed"] == 6
    torch.load(files / "w.pt", weights_only=True)
    if way == "delta":
        assert run_script("finetune_public", files, *arguments(**options)).status == 1
    same = run_script("finetune_public", files, *arguments(**options | {"frames": "labelled.h5"}))
    assert same.status == 1 and any("to be learnt from and predicted" in line for line in same.lines)

"""Training of the two-head potential by the strategies of mlipshift.catalogue.strategies."""

import os
from dataclasses import dataclass

import numpy as np
import torch

from mlipshift.base.errors import UserError
from mlipshift.base.log import log
from mlipshift.catalogue.strategies import STRATEGIES
from mlipshift.learn import batches
from mlipshift.learn.networks import HEADS, MAX_ELEMENT, build, representation
from mlipshift.shift import graphs

# why it learns and predicts no periodic structures, and what to do
MOLECULES_ONLY = (
    "the two-head potential of this workflow takes molecules only; name other models in the setting models, or take"
    " them out of data.files"
)
DEVICES = ("cpu", "cuda")
DEVICE = {"choices": DEVICES, "default": "cpu", "required": False, "help": "where to compute"}  # option of the scripts
CLIP = 10.0  # gradient norm
CALIBRATION = 64  # training structures that fixed scaling factors are fitted to


def configure(threads=1, device="cpu"):
    """Deterministic, denormal-free torch on `threads` threads (denormals cost a factor of two here).

    Raises UserError where `device` is not there.
    """
    if device == "cuda":
        # cuBLAS is deterministic with a workspace of fixed size alone
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        if not torch.cuda.is_available():
            raise UserError("model.device is cuda, and torch finds no CUDA device here; set it to cpu")
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.use_deterministic_algorithms(True)


@dataclass
class Dataset:
    """Graphs with one kind of labels: forces list of [n, 3] eV/Å, energy [S] eV above the atomic baseline."""

    graphs: list
    forces: list
    energy: np.ndarray

    def batch(self, index, dtype, device="cpu"):
        """(Batch, forces [1, n, 3], energy [S]) of the structures `index` in one replica."""
        batch = batches.collate([[self.graphs[k] for k in index]], dtype, device)
        forces = torch.as_tensor(np.concatenate([self.forces[k] for k in index]), dtype=dtype, device=device)[None]
        return batch, forces, torch.as_tensor(self.energy[index], dtype=dtype, device=device)


def atomic_energies(frames, energy):
    """Least-squares atomic energies [MAX_ELEMENT + 1] (eV), 0 for elements that do not occur."""
    counts = np.zeros((len(frames), MAX_ELEMENT + 1))
    for k in range(len(frames)):
        np.add.at(counts[k], frames[k][0], 1)
    present = np.flatnonzero(counts.any(0))
    values = np.zeros(MAX_ELEMENT + 1)
    values[present] = np.linalg.lstsq(counts[:, present], energy, rcond=None)[0]
    return values


def dataset(frames, labels, cutoff, shift):
    """Dataset of the structures that have labels; shift [elements]: atomic energies to subtract (eV)."""
    keep = np.flatnonzero(labels.ok)
    chosen = [frames[k] for k in keep]
    return Dataset(
        graphs=[graphs.build(numbers, positions, cutoff) for numbers, positions, _, _ in chosen],
        forces=[labels.forces_of(k) for k in keep],
        energy=np.array([labels.energy[k] - shift[c[0]].sum() for k, c in zip(keep, chosen)]),
    )


def force_loss(predicted, target, batch):
    """Mean over real atoms of the Euclidean norm of the force error (eV/Å)."""
    real = batch.structure < len(batch.sizes)
    error = (predicted - target).square().sum(-1)
    return ((error + 1e-12).sqrt() * real).sum() / real.sum()


def loss_of(output, batch, forces, energy, energy_weight):
    """Force loss plus `energy_weight` times the mean absolute energy error per atom."""
    loss = force_loss(output[1], forces, batch)
    if energy_weight:
        loss = loss + energy_weight * ((output[0] - energy).abs() / batch.sizes).mean()
    return loss


def fit(model, tasks, names, settings, rng):
    """Train `names` of the model's parameters in place; returns [(step, loss per task)] every tenth of the run.

    tasks: {head: Dataset}; each step draws one batch per task from shuffled epochs.
    settings: {"steps", "batch", "learning_rate", "weight_decay", "energy_weight", "average"}; AdamW with a
    cosine schedule, gradient clipping, and an exponential moving average that becomes the result.
    """
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in set(names))
    trained = [p for p in model.parameters() if p.requires_grad]
    device = model.shift.device
    optimiser = torch.optim.AdamW(
        trained, lr=settings["learning_rate"], weight_decay=settings["weight_decay"], foreach=True
    )
    steps = settings["steps"]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    average = [p.detach().clone() for p in trained]
    streams = {head: _epochs(len(data.graphs), settings["batch"], rng) for head, data in tasks.items()}
    history, running = [], dict.fromkeys(tasks, 0.0)
    every = max(1, steps // 10)
    for step in range(1, steps + 1):
        optimiser.zero_grad()
        for head, data in tasks.items():
            batch, forces, energy = data.batch(next(streams[head]), torch.float32, device)
            loss = loss_of(model(batch, (head,))[head], batch, forces, energy, settings["energy_weight"])
            loss.backward()
            running[head] += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(trained, CLIP)
        optimiser.step()
        schedule.step()
        decay = min(settings["average"], step / (step + 10))
        torch._foreach_lerp_(average, [p.detach() for p in trained], 1 - decay)
        if step % every == 0 or step == steps:
            history.append((step, {h: v / every for h, v in running.items()}))
            log.info("step %d of %d: %s", step, steps, {h: round(v / every, 4) for h, v in running.items()})
            running = dict.fromkeys(tasks, 0.0)
    with torch.no_grad():
        for parameter, mean in zip(trained, average):
            parameter.copy_(mean)
    model.requires_grad_(True)
    return history


def _epochs(total, size, rng):
    size = min(size, total)
    while True:
        order = rng.permutation(total)
        for start in range(0, total - size + 1, size):
            yield order[start : start + size]


def train(strategy, architecture, settings, seed, reference=None, prior=None, base=None, device="cpu"):
    """Model trained by a strategy of STRATEGIES.

    architecture: as for models.build. reference, prior: (Frames, Labels) pairs; where the strategy says so, the
    labels of `reference` are differences. base: model of the strategy that it starts from. Returns (model, history).
    """
    kind = STRATEGIES[strategy]
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, list(STRATEGIES).index(strategy)])
    model = (base if kind.base else build(architecture)).to(device)
    if kind.base:
        # a new head starts from the head of the base rather than from noise; a difference resembles neither
        learnt = STRATEGIES[kind.base].heads
        for head in () if kind.difference else set(kind.heads) - set(learnt):
            model.heads[head].load_state_dict(model.heads[learnt[0]].state_dict())
    sources = {"reference": reference, "prior": prior}
    tasks = {}
    for head in kind.heads:
        frames, labels = sources[head]
        row = HEADS.index(head)
        if not (kind.base and head in STRATEGIES[kind.base].heads):
            model.shift[row] = torch.as_tensor(atomic_energies(frames.take(labels.ok), labels.energy[labels.ok]))
        tasks[head] = dataset(frames, labels, model.architecture.cutoff, model.shift[row].cpu().numpy())
    if not kind.base:
        first = tasks[kind.heads[0]]
        evenly = np.unique(np.linspace(0, len(first.graphs) - 1, CALIBRATION).astype(int))
        model.calibrate(first.batch(evenly, torch.float32, device)[0])
    names = [] if kind.frozen else representation(model)
    names += [n for n, _ in model.named_parameters() if n.startswith(tuple(f"heads.{h}." for h in kind.heads))]
    assert not kind.frozen or not set(names) & set(representation(model))
    return model, fit(model, tasks, names, settings, rng)

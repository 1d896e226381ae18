"""Structures per second of training, prediction and test-time training on the processor and, where there is one, a GPU.

For the compact network and GemNet-dT, with random weights, on structures of the embedded benchmark:

training        steps of force loss, in batches of 16 (the default) and 256 structures
prediction      in batches of 64 (the default) and 1024 structures
TTT step        of many structures side by side, and of one at a time, as published
dynamics        steps of replicas of butane side by side

"Other" is one core of the processor at its default batch, and one structure at a time for TTT on the processor; the
last column is the ratio. Steps that a GPU records once and replays (learn.recorded) stand beside those that it is told
one by one. A GPU is measured in single precision without TF32, as everywhere here. What the card itself does is a
matrix product of 8192 x 8192 in the same precision, and the operations of a training step are counted by torch. Forces
of both devices are compared after 20 adaptation steps in both precisions.

    python benchmarks/bench_devices.py
"""

import sys
import time

import numpy as np
import torch
from ase.build import molecule
from cases import alone, calibrate, structures_of, training_step
from common import line
from torch.utils.flop_counter import FlopCounterMode

from mlipshift.catalogue.adaptation import Settings
from mlipshift.learn import datasets, device, networks, recorded, training
from mlipshift.learn.potential import Potential
from mlipshift.mitigate.adaptation import adapt
from mlipshift.shift import graphs
from mlipshift.simulate.fields import NetworkField

NETWORKS = {"compact": {}, "compact, gradient": {"forces": "gradient"}, "GemNet-dT": {"backbone": "gemnet"}}
# default batches, and those that fill a card
SIZES = {"training": (16, 256), "prediction": (64, 1024), "TTT step": (64, 512), "dynamics": (16, 256)}
LEAST = 1.0  # seconds that a measurement lasts
FIT = {"steps": 10**9, "learning_rate": 1e-4, "weight_decay": 0.01, "energy_weight": 0.0, "average": 0.999}
MOLECULE = molecule("trans-butane")


def rate(function, count, on):
    """Structures per second of a function that does `count` of them, after a call to warm up."""
    function()
    wait(on)
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < LEAST:
        function()
        wait(on)
        calls += 1
    return calls * count / (time.perf_counter() - start)


def wait(on):
    if on == "cuda":
        torch.cuda.synchronize()


def network(architecture, on, structures, forces):
    torch.manual_seed(0)
    model = networks.build(architecture)
    calibrate(model, structures[:64])
    return model.to(on)


def learning(model, structures, forces, size):
    """Function that takes steps of training, `steps` of them in each call."""
    rows = [graphs.build(*s, model.architecture.cutoff) for s in structures]
    data = datasets.Dataset(rows, forces, np.full(len(rows), np.nan))
    names = [name for name, _ in model.named_parameters() if not name.startswith("heads.prior.")]
    goals, rng = [("reference", data, 1.0)], np.random.default_rng(0)
    steps = training.descend(model, goals, training.learning(model, names), FIT | {"batch": size}, rng, cosine=True)
    return lambda: [next(steps) for _ in range(10)]


def moving(model, replicas):
    """Function that takes ten steps of as many replicas."""
    field = NetworkField(Potential(model, {"strategy": "joint", "seed": 0}), MOLECULE.numbers)
    batch = np.repeat(MOLECULE.positions[None], replicas, 0)
    return lambda: [field(batch) for _ in range(10)]


def adapting(model, structures, forces, size, steps=10):
    """(function that adapts every structure by itself, structure-steps that it does)."""
    units = alone(structures, forces)
    return lambda: adapt(model, units, Settings(steps=steps, batch=size)), steps * len(units)


def measured(architecture, on, known, replayed=True):
    """{(task, batch): structures per second}, and of TTT and dynamics structure-steps."""
    structures, forces = known
    model, found = network(architecture, on, structures, forces), {}
    model.recordable = replayed
    large = on == "cuda"  # batches that fill a card take the processor minutes
    for size in SIZES["training"][: 1 + large]:
        other = network(architecture, on, structures, forces)
        other.recordable = replayed
        step = learning(other, structures, forces, size)
        found["training", size] = rate(step, 10 * size, on)
    for size in SIZES["dynamics"][: 1 + large]:
        found["dynamics", size] = rate(moving(model, size), 10 * size, on)
    if not replayed:
        function, count = adapting(model, structures[:64], forces[:64], 64)
        return found | {("TTT step", 64): rate(function, count, on)}
    for size in SIZES["prediction"][: 1 + large]:
        some = structures[:size]
        found["prediction", size] = rate(lambda s=some, n=size: networks.predict(model, s, batch=n), size, on)
    for size in (1, *SIZES["TTT step"][: 1 + large]):
        many = max(2, size) if model.stacks else 2  # what does not stack goes one by one at any size
        function, count = adapting(model, structures[:many], forces[:many], size)
        found["TTT step", size] = rate(function, count, on)
    return found


def difference(architecture, known, dtype):
    """Largest difference of forces (eV/Å) of the two devices after 20 steps of adaptation."""
    structures, forces = (part[:16] for part in known)
    out = []
    for on in ("cpu", "cuda"):
        model = network(architecture, on, *known).to(dtype)
        units = alone(structures, forces)
        _, results, _ = adapt(model, units, Settings(steps=20, batch=16))
        out.append(np.concatenate([row[0][1][-1] for row in results]))
    return np.abs(out[0] - out[1]).max()


def operations(model, structures, forces):
    """Floating-point operations of a training step per structure."""
    step = training_step(model, structures, forces)
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops() / len(structures)


def card():
    """Floating-point operations per second of a large matrix product in single precision."""
    n = 8192
    a = torch.randn(n, n, device="cuda")
    return 2 * n**3 * rate(lambda: a @ a, 1, "cuda")


def main():
    device.configure()
    there = recorded.ENABLED = torch.cuda.is_available()
    if there:
        device.configure(device="cuda")
        print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    known = structures_of(max(map(max, SIZES.values())))
    for name, architecture in NETWORKS.items():
        ours = measured(architecture, "cpu", known)
        base = {task: ours[task, 1 if task == "TTT step" else sizes[0]] for task, sizes in SIZES.items()}
        for (task, size), found in ours.items():
            show(f"{name}, {task}, cpu", size, found, base[task])
        if not there:
            continue
        eager = measured(architecture, "cuda", known, replayed=False)
        theirs = measured(architecture, "cuda", known)
        for (task, size), found in eager.items():
            show(f"{name}, {task}, replayed", size, theirs[task, size], found)
        for (task, size), found in theirs.items():
            show(f"{name}, {task}, cuda", size, found, ours[task, min(size, SIZES[task][0])])
        model = network(architecture, "cpu", *known)
        flops, limit = operations(model, *(part[:64] for part in known)), card()
        large = SIZES["training"][1]
        share = flops * theirs["training", large] / limit
        print(
            f"{name}: {flops / 1e6:.0f} MFLOP per structure and training step; {share:.1%} of the card's"
            f" {limit / 1e12:.0f} TFLOP/s"
        )
        for dtype in (torch.float32, torch.float64):
            print(
                f"{name}: forces after 20 steps differ by {difference(architecture, known, dtype):.1e} eV/Å in {dtype}"
            )
    if not there:
        print("no GPU here: the processor alone", file=sys.stderr)


def show(name, size, ours, other):
    line(name, f"{ours:.0f} /s in {size}", f"{other:.0f} /s", ours / other)


if __name__ == "__main__":
    main()

"""Milliseconds of processor time per structure of every backbone that can be imported here, beside the compact network.

16 training structures of the embedded benchmark, one thread, default settings of each. The environment of MACE has all
backbones: .venv-mace/bin/python benchmarks/bench_backbones.py mace
"""

import sys
import time

import torch
from cases import alone, calibrate, structures_of, training_step
from common import line

from mlipshift.catalogue.adaptation import Settings
from mlipshift.learn import device, networks
from mlipshift.mitigate.adaptation import adapt

COUNT, STEPS = 16, 4
BACKBONES = {
    "GemNet-dT, 2.3 M": {"backbone": "gemnet"},
    "GemNet-T, 1.9 M": {"backbone": "gemnet", "forces": "gradient"},
    "MACE 32x0e + 32x1o": {"backbone": "mace"},
}


def seconds(function, rounds=2):
    """Shortest processor time of a call, after one to warm up; not that of other processes on a busy machine."""
    found = []
    for _ in range(rounds + 1):
        start = time.process_time()
        function()
        found.append(time.process_time() - start)
    return min(found[1:])


def costs(model, structures, forces, sizes=(COUNT,)):
    """{what: milliseconds per structure}; TTT of as many structures at once as `sizes` says."""
    calibrate(model, structures)
    train = training_step(model, structures, forces)
    units = alone(structures, forces)

    def steps_of(steps, size):
        adapt(model, units, Settings(steps=steps, batch=size))

    found = {"prediction": seconds(lambda: networks.predict(model, structures)), "training step": seconds(train)}
    for size in sizes:
        step = (seconds(lambda n=size: steps_of(1 + STEPS, n), 1) - seconds(lambda n=size: steps_of(1, n), 1)) / STEPS
        found[f"TTT step, {size} at once"] = step
    return {what: 1000 * value / COUNT for what, value in found.items()}


def main(wanted):
    device.configure()
    structures, forces = structures_of(COUNT)
    torch.manual_seed(0)
    ours = costs(networks.build({}), structures, forces)
    for name, architecture in BACKBONES.items():
        if (architecture["backbone"] == "mace") != (wanted == "mace"):
            continue
        model = networks.build(architecture)
        sizes = (COUNT, 1) if model.stacks else (1,)
        for what, value in costs(model, structures, forces, sizes).items():
            beside = ours["TTT step, 16 at once"] if what.startswith("TTT") else ours[what]
            line(f"{name}, {what}", f"{beside:.2f} ms", f"{value:.2f} ms", value / beside)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")

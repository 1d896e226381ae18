"""What the whole paper takes: steps, structures and picoseconds of config/paper.yaml over rates that were measured.

    python benchmarks/paper_hours.py

Rates are those of docs/performance.md, of molecules of 2 to 9 atoms; they are taken over by the number of atoms, which
leaves out that larger molecules have more neighbours per atom. So hours are lower limits, to within a factor of three.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow"))

from mlipshift.run import configuration  # noqa: E402
from mlipshift.run.experiments import Paper  # noqa: E402

SMALL = 5.5  # atoms of the molecules of the rates
STEP = (
    256 / 3488
)  # s of a training step of GemNet-dT on one H100, 256 small molecules at once: the card waits for kernels
TTT = 3548 * SMALL  # atoms times steps per s, 512 structures at once, same card
CALL = 64 / 1882  # s of a prediction of 64 structures at once, same card, which waits for kernels as well
PRIOR = 13500 / 89.6  # GFN1-xTB labels per s and core, molecules of 24 atoms in the mean (make radius)
# structures that training, rattled copies and tests have, and atoms of each, as the papers of the data say
DATA = {
    "spice": (950_000, 11_000, 33),
    "spice_finetuning": (950_000, 2_000, 33),
    "md17": (28_500, 7_600, 15),
    "md22": (25_000, 1_000, 87),
    "mptrj": (95_000, 9_500, 31),
    "oc20": (100_000, 20_000, 73),
    "ani1x": (495_000, 10_000, 15),
}


def hours(name, settings):
    """(training steps, hours of a card in training, in TTT and in dynamics, core hours of the prior)."""
    train, test, atoms = DATA[name]
    if name in ("mptrj", "oc20", "ani1x"):
        return 0, 0.0, 0.0, 0.0, 0.0  # public models alone
    strategies = settings["training"]["strategies"]
    stages = {*strategies, *({"pretrain"} if {"freeze", "joint"} & {*strategies} else ())}
    seeds = len(settings["training"].get("seeds", [0, 1, 2]))
    steps = seeds * sum(settings["training"].get(stage, {}).get("steps", 0) for stage in stages)
    adapted = (
        seeds * len(settings.get("ttt", {}).get("strategies", ["joint"])) * settings.get("ttt", {}).get("steps", 20)
    )
    copies = 1 + settings["prior"].get("rattled_copies", 0)
    return (
        steps,
        steps * STEP / 3600,
        test * atoms * adapted / TTT / 3600,
        moved(settings.get("simulate")) * CALL / 3600,
        (train * copies + test) * (atoms / 24) ** 2 / PRIOR / 3600,
    )


def moved(simulated):
    """Steps of dynamics, all replicas of a molecule at once."""
    if not simulated:
        return 0
    lengths = [run.get("duration_ps", simulated["duration_ps"]) for run in simulated["runs"].values()]
    return len(simulated["molecules"]) * sum(lengths) / 0.0005


def main():
    config = configuration.read(ROOT / "config" / "paper.yaml") | {"trust": True}
    paper = Paper.of(config, ROOT)
    heads = f"{'training, GPU h':>17}{'TTT, GPU h':>12}{'dynamics, GPU h':>17}{'prior, core h':>15}"
    print(f"{'experiment':<18}{'steps':>14}{heads}")
    for name, settings in paper.settings.items():
        steps, *each = hours(name, settings)
        print(f"{name:<18}{steps:>14,}{each[0]:>17,.0f}{each[1]:>12,.1f}{each[2]:>17,.0f}{each[3]:>15,.0f}")


if __name__ == "__main__":
    main()

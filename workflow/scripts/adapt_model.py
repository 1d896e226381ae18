"""Test-time training on the prior labels of the test structures; reference labels are no input.

The validation groups are left to the scan of hyper-parameters.
"""

from pathlib import Path

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.base.tables import FAILURES, write_table
from mlipshift.base.timing import Stopwatch
from mlipshift.catalogue.adaptation import MODES, Settings
from mlipshift.learn import device
from mlipshift.learn.potential import Potential
from mlipshift.mitigate import adaptation
from mlipshift.mitigate.shards import part_of, unlabelled
from mlipshift.mitigate.units import units_of
from mlipshift.run import cli


def main(args):
    device.configure(device=args.device)
    everything, settings = Frames.load(args.frames), Settings.of(args.settings)
    asked = ~everything.of_kind("val_")
    frames, prior = everything.take(asked), Labels.load(args.prior, everything).take(asked)
    potential, held = Potential.load(args.model, args.device), None
    names = adaptation.adapted_parameters(potential.network, settings)
    share = adaptation.share_of_parameters(potential.network, names)
    log.info("%d parameter tensors are adapted, %.1f %% of all parameters", len(names), 100 * share)
    if args.copies:
        copies = Frames.load(args.copies)
        held = copies, Labels.load(args.copies_prior, copies)
    units = units_of(args.mode, frames, prior, args.seed, held)
    if args.shard:
        units = part_of(units, args.shard)
    watch = Stopwatch()
    found = adaptation.adapt_frames(potential, frames, units, settings, prior)
    timing = watch.timing(sum(map(len, found.members)))
    method = args.method or f"{potential.card['strategy']}_{MODES[args.mode]}"
    predictions = found.predictions(potential, everything, method)
    predictions.save(args.output)
    # a shard does not know what the others have predicted
    write_table(args.failures, [] if args.shard else unlabelled(everything, predictions, args.mode), FAILURES)
    timing.write(args.timing)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"type": Path, "help": "model directory"},
            "device": device.OPTION,
            "frames": {"type": Path, "help": "test frames, without labels"},
            "prior": {"type": Path, "help": "prior labels of the test frames"},
            "mode": {
                "choices": MODES,
                "help": "structure: each by itself; molecule, set: all structures of a molecule or of a group "
                "together; placebo: on foreign forces",
            },
            "copies": {"type": Path, "required": False, "help": "rattled copies of the test frames, to stop by"},
            "copies_prior": {"type": Path, "required": False, "help": "prior labels of --copies"},
            "shard": {"required": False, "help": "such as 1-of-4; every fourth unit from the first"},
            "method": {"required": False, "help": "name of the method; made of strategy and mode if absent"},
            "settings": {"type": cli.settings, "help": "JSON of the hyper-parameters"},
            "seed": {"type": int, "help": "seed of the placebo's choice"},
            "output": {"type": Path},
            "failures": {"type": Path},
            "timing": {"type": Path},
        },
    )

"""Distil a teacher into a published model, on structures without labels, and predict with it.

The teacher is a set of predictions; reference labels are no input.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from mlipshift.base.averages import component_mae
from mlipshift.base.errors import UserError
from mlipshift.base.files import replacing
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import FAILURES, read_table, write_table
from mlipshift.base.timing import Stopwatch
from mlipshift.external import differentiable, distillation, tuning, weights
from mlipshift.external.picks import spread_over, usable
from mlipshift.external.settings import settings_of, with_rate
from mlipshift.external.structure import Structure
from mlipshift.run import cli


def residuals(frames, args):
    """Mean absolute prior residual [S] of the head before the model is changed, eV/Å, NaN where unknown."""
    if not (args.prior and args.head_predictions):
        raise UserError("a gate needs the prior labels and what the prior head says; give --prior, --head-predictions")
    prior = Labels.load(args.prior).select(frames.ids)
    head = Predictions.load(args.head_predictions, frames)
    return component_mae(head.forces[0], prior.forces, frames.offsets)


def main(args):
    settings = settings_of(distillation.Settings, with_rate(args.settings, args.entry), "distillation")
    frames, ordinary, asked = Frames.load(args.taught), Frames.load(args.ordinary), Frames.load(args.frames)
    teacher = Predictions.load(args.teacher, frames)
    excluded = set(read_table(args.excluded)["id"])
    chosen = np.flatnonzero(usable(frames, excluded) & teacher.ok)
    if not len(chosen):
        raise UserError(f"{args.teacher}: says nothing of structures that {args.model} can take; give other structures")
    below = residuals(asked, args) < settings.gate_eV_per_A if settings.gate_eV_per_A else np.zeros(len(asked), bool)
    model, watch = differentiable.load(args.entry, args.checkpoint), Stopwatch()
    forces = np.split(teacher.forces[-1], teacher.offsets[1:-1])
    picks = spread_over(ordinary.molecule, np.flatnonzero(usable(ordinary, excluded)), settings.replay, settings.seed)
    able = {k: Structure.of(asked, k) for k in np.flatnonzero(usable(asked, excluded)).tolist()}
    answer = lambda structures: tuning.said(model, structures)
    before, reasons = tuning.in_parts(answer, {k: s for k, s in able.items() if below[k]}, f"{args.model} as it is")
    distillation.distil(
        model,
        [Structure.of(frames, k) for k in chosen],
        [forces[k] for k in chosen],
        [Structure.of(ordinary, k) for k in picks],
        settings,
    )
    after, more = tuning.in_parts(answer, {k: s for k, s in able.items() if not below[k]}, f"{args.model}, distilled")
    watch.timing(len(able)).write(args.timing)
    weights.save(model, args.weights)
    rows = [before.get(k, after.get(k)) for k in range(len(asked))]
    answers = [None if row is None else ([row[0]], row[1][None]) for row in rows]
    method = args.method or f"{args.model}_distilled"
    Predictions.build(asked, answers, [0], np.nan, method, -1).save(args.output)
    reasons = sorted((reasons | more).items())
    write_table(args.failures, [{"id": asked.ids[k], "stage": method, "reason": r} for k, r in reasons], FAILURES)
    report = {"model": args.model, "teacher": teacher.method, "taught": len(chosen), "replayed": len(picks)}
    report |= {"left_as_it_was": len(before), "settings": asdict(settings)}
    with replacing(args.report) as part:
        part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    log.info("%s", report)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"help": "name in the registry"},
            "method": {"required": False, "help": "name of the method; made of the model if absent"},
            "entry": {"type": cli.settings, "help": "entry of the registry as JSON"},
            "checkpoint": {"type": Path, "required": False, "help": "weights, where the package carries none"},
            "taught": {"type": Path, "help": "structures that the teacher has predicted, without labels"},
            "teacher": {"type": Path, "help": "predictions of these; the last step counts"},
            "ordinary": {"type": Path, "help": "structures on which the model is trusted, without labels, to replay"},
            "frames": {"type": Path, "help": "structures to predict, without labels"},
            "excluded": {"type": Path, "help": "table of the structures that the model cannot take"},
            "prior": {"type": Path, "required": False, "help": "prior labels of --frames, for a gate"},
            "head_predictions": {"type": Path, "required": False, "help": "of --frames by predict_head, for a gate"},
            "settings": {
                "type": cli.settings,
                "help": "JSON: steps, learning_rate, batch, taught_weight, replay_weight, replay, gate_eV_per_A, seed",
            },
            "output": {"type": Path},
            "weights": {"type": Path, "help": "changed weights by their names"},
            "report": {"type": Path, "help": "JSON: what was learnt from"},
            "failures": {"type": Path, "help": "structures without a prediction"},
            "timing": {"type": Path},
        },
    )

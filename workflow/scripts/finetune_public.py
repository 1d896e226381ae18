"""Improve a published model with a few reference labels, and predict other structures with it."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from mlipshift.base.errors import UserError
from mlipshift.base.files import replacing
from mlipshift.base.frames import ELEMENTS, Frames, Labels
from mlipshift.base.log import log
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import FAILURES, read_table, write_table
from mlipshift.base.timing import Stopwatch
from mlipshift.external import differentiable, finetuning, heads, tuning, weights
from mlipshift.external.batch import per_structure
from mlipshift.external.picks import spread_over, usable
from mlipshift.external.settings import settings_of, with_rates
from mlipshift.external.structure import Structure
from mlipshift.run import cli

LOW_RANK = 10.0  # times the learning rate of the weights themselves


def answerable(frames, excluded, prior):
    """Which structures [S] the model can take; those with prior labels only, where these are given."""
    able = usable(frames, excluded)
    return able if prior is None else able & prior.ok


def prior_of(args, frames):
    """Prior labels of frames from whichever of the files has them, None where the way needs none."""
    if args.way != "delta":
        return None
    if not args.prior:
        raise UserError("way delta adds to the prior; give --prior")
    parts = [Labels.load(path) for path in args.prior]
    return Labels.concatenate(parts).select(frames.ids)


def answers(model, way, head, shifts):
    """Function of structures: (energy eV, forces [n, 3] eV/Å) of each, of way delta without the prior's part."""

    def tuned(structures):
        found = tuning.said(model, structures)
        return [(e + shifts[s.numbers].sum(), f) for (e, f), s in zip(found, structures)]

    def corrected(structures):
        found = heads.both(model, head, structures)
        energy, forces = found.head_energy, found.head_forces
        if way == "delta":
            energy, forces = energy - found.energy, forces - found.forces
        plain = per_structure(energy, forces, structures)
        return [(e + shifts[s.numbers].sum(), f) for (e, f), s in zip(plain, structures)]

    return tuned if head is None else corrected


def learn(args, settings, model, frames, excluded):
    """(course, head or None, shifts [119] eV, number of labelled and of ordinary structures)."""
    ordinary, reference = Frames.load(args.ordinary), Labels.load(args.reference).select(frames.ids)
    prior, prior_ordinary = prior_of(args, frames), prior_of(args, ordinary)
    able = np.flatnonzero(answerable(frames, excluded, prior) & reference.ok)
    picks = spread_over(frames.molecule, able, settings.structures, settings.seed)
    if len(picks) < 2:
        raise UserError(
            f"{args.reference}: labels {len(picks)} structures that {args.model} can take; give two at least"
        )
    able = np.flatnonzero(answerable(ordinary, excluded, prior_ordinary))
    more = spread_over(ordinary.molecule, able, settings.replay, settings.seed)
    structures, replayed = [Structure.of(frames, k) for k in picks], [Structure.of(ordinary, k) for k in more]
    forces, energy = [reference.forces_of(k) for k in picks], reference.energy[picks]
    labelled = finetuning.Labelled(structures, forces, energy, frames.molecule[picks])
    if args.way in ("full", "low_rank"):
        course, shifts = finetuning.tune(model, labelled, replayed, args.way, settings)
        return course, None, shifts, len(picks), len(more)
    own = None if prior is None else [prior.forces_of(k) for k in picks]
    theirs = None if prior_ordinary is None else [prior_ordinary.forces_of(k) for k in more]
    course, head = finetuning.correct(model, labelled, replayed, settings, own, theirs)
    said = [
        e
        for k in range(0, len(picks), heads.BATCH)
        for e, _ in answers(model, args.way, head, np.zeros(ELEMENTS))(structures[k : k + heads.BATCH])
    ]
    base = 0.0 if prior is None else prior.energy[picks]
    return course, head, heads.element_shifts(structures, energy - np.array(said) - base), len(picks), len(more)


def main(args):
    # low-rank updates start from nothing, and need larger steps (Hu et al. 2022)
    factor = LOW_RANK if args.way == "low_rank" else 1.0
    settings = settings_of(finetuning.Settings, with_rates(args.settings, args.entry, factor), "few labels")
    frames, asked = Frames.load(args.labelled), Frames.load(args.frames)
    of_these = asked.of_kind(args.groups)
    both = set(frames.ids.astype(str)) & set(asked.ids[of_these].astype(str))
    if both:
        raise UserError(
            f"{sorted(both)[0]} is to be learnt from and predicted; give structures that are one of the two"
        )
    excluded, prior = set(read_table(args.excluded)["id"]), prior_of(args, asked)
    model, watch = differentiable.load(args.entry, args.checkpoint), Stopwatch()
    course, head, shifts, labelled, replayed = learn(args, settings, model, frames, excluded)
    able = answerable(asked, excluded, prior) & of_these
    able = {k: Structure.of(asked, k) for k in np.flatnonzero(able).tolist()}
    found, reasons = tuning.in_parts(answers(model, args.way, head, shifts), able, f"{args.model}, {args.way}")
    watch.timing(len(able)).write(args.timing)
    if head is None:
        weights.save(model, args.weights)
    else:
        head.shifts.copy_(torch.as_tensor(shifts))
        head.save(args.weights)
    rows = [None] * len(asked)
    for k, (energy, forces) in found.items():
        base = (0.0, 0.0) if prior is None else (prior.energy[k], prior.forces_of(k))
        rows[k] = [energy + base[0]], (forces + base[1])[None]
    method = args.method or f"{args.model}_{args.way}"
    Predictions.build(asked, rows, [0], np.nan, method, -1).save(args.output)
    unknown = np.zeros(len(asked), bool) if prior is None else ~prior.ok & of_these
    reasons |= dict.fromkeys(np.flatnonzero(unknown).tolist(), "no prior label")
    failures = [{"id": asked.ids[k], "stage": method, "reason": r} for k, r in sorted(reasons.items())]
    write_table(args.failures, failures, FAILURES)
    report = {"model": args.model, "way": args.way, "labelled": labelled, "replayed": replayed}
    report |= {"course": asdict(course), "settings": asdict(settings)}
    with replacing(args.report) as part:
        part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    log.info("%s", report)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "model": {"help": "name in the registry"},
            "method": {"required": False, "help": "name of the method; made of model and way if absent"},
            "entry": {"type": cli.settings, "help": "entry of the registry as JSON"},
            "checkpoint": {"type": Path, "required": False, "help": "weights, where the package carries none"},
            "way": {"choices": finetuning.WAYS, "help": "what learns from the labels"},
            "labelled": {"type": Path, "help": "structures to learn from; none of those that are predicted"},
            "reference": {"type": Path, "help": "reference labels of these, and of no other"},
            "ordinary": {"type": Path, "help": "structures on which the model is trusted, without labels, to replay"},
            "frames": {"type": Path, "help": "structures to predict, without labels"},
            "groups": {"required": False, "default": "", "help": "beginning of the groups of these to predict"},
            "excluded": {"type": Path, "help": "table of the structures that the model cannot take"},
            "prior": {"type": Path, "nargs": "*", "required": False, "help": "prior labels of all these, for delta"},
            "settings": {"type": cli.settings, "help": "JSON, see external.finetuning.Settings"},
            "output": {"type": Path},
            "weights": {"type": Path, "help": "changed weights by their names, or the head of a correction"},
            "report": {"type": Path, "help": "JSON: what was learnt from, and for how long"},
            "failures": {"type": Path, "help": "structures without a prediction"},
            "timing": {"type": Path},
        },
    )

"""Diagnose one model: its error against every measure of shift, and a map of its own representation.

What has no reference label is diagnosed as far as that goes; diagnosis.json says in plain words what is missing.
"""

import json
from pathlib import Path

import h5py
import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.files import replacing
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.log import log
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import read_table, write_table
from mlipshift.evaluate import diagnosis, statistics
from mlipshift.run import cli
from mlipshift.shift import measures

COMPONENTS = ("component_1", "component_2")


def representation(path, frames):
    """Embedding [S, d] of the frames, NaN where a structure has none; None if there is none at all.

    Raises UserError if the file cannot be read or is of other structures.
    """
    if path is None:
        return None
    try:
        with h5py.File(path) as handle:
            embedding, ids = handle["embedding"][()], handle["ids"].asstr()[()]
    except (OSError, KeyError) as error:
        raise UserError(f"{path}: not a readable HDF5 store ({error}); delete it and run again") from error
    if not np.array_equal(ids, frames.ids):
        raise UserError(f"{path}: a representation of other frames (ids differ); re-run the rule that made it")
    return embedding if np.isfinite(embedding).any() else None


def columns_of(table, train, test, path):
    """{criterion: (training values [T], test values [S])} of the shift table, which has to be of these frames."""
    if list(table.id) != [*train.ids, *test.ids]:
        raise UserError(f"{path}: shift measures of other frames (ids differ); re-run the rule that made them")
    names = [name for name in measures.CRITERIA if name in table.columns and table[name].notna().any()]
    split = {name: np.split(table[name].to_numpy(dtype=float), [len(train)]) for name in names}
    return {name: tuple(values) for name, values in split.items()}


def absent(frames, labels, errors, maps, measures):
    """Sentences on what could not be diagnosed, and why."""
    (train, test), found = frames, []
    unlabelled = int((~labels[1].ok).sum())
    unpredicted = int((~np.isfinite(errors[1]) & labels[1].ok).sum())
    if unlabelled == len(test):
        found.append(
            "No test structure has a reference label: there are no errors, no rank correlations and no figure of them."
        )
    elif unlabelled:
        found.append(f"{unlabelled} of {len(test)} test structures have no reference label and no error.")
    if unpredicted:
        found.append(f"{unpredicted} labelled test structures have no prediction of this model and no error.")
    if not np.isfinite(errors[0]).any():
        found.append(f"The error on the {len(train)} training structures is not known: no labels or no predictions.")
    if maps is None:
        found.append("The model gives no representation: there is no embedding map and no distance in it.")
    if "prior_force_norm_eV_per_A" not in measures:
        found.append("There are no prior labels: the force norm axis has no measure of the prior.")
    return found


def main(args):
    train, test = Frames.load(args.train), Frames.load(args.test)
    labels = [Labels.load(args.reference_train, train), Labels.load(args.reference_test, test)]
    predictions = [Predictions.load(args.predictions_train, train), Predictions.load(args.predictions_test, test)]
    errors = [diagnosis.errors_of(p, known) for p, known in zip(predictions, labels)]
    measures = columns_of(read_table(args.shifts), train, test, args.shifts)
    norms = [measures.mean_norm(p.forces[-1], p.offsets) for p in predictions]
    measures["predicted_force_norm_eV_per_A"] = tuple(norms)

    frames = (train, test)
    maps, explained = None, [0.0, 0.0]
    inner = [representation(path, f) for path, f in zip((args.embedding_train, args.embedding_test), frames)]
    if all(e is not None for e in inner):
        names = train.molecule if len(set(train.molecule)) > 1 else train.ids
        known = inner[0][np.isfinite(inner[0]).all(axis=1)]
        distances = (
            measures.nearest(inner[0], inner[0], names=names, known_names=names),
            measures.nearest(inner[1], known),
        )
        measures["embedding_distance"] = distances
        *maps, explained = diagnosis.embedding_map(*inner)

    bootstrap = {"resamples": args.resamples, "seed": args.seed}
    joined = [np.concatenate([getattr(f, name) for f in frames]) for name in ("ids", "group", "molecule")]
    ids, group, molecule = joined
    what, units = statistics.resampled(molecule, ids)
    structures = [dict(zip(("id", "group", "molecule"), row)) for row in zip(*joined)]
    all_errors = np.concatenate(errors)
    own = {name: np.concatenate(measures[name]) for name in diagnosis.OWN if name in measures}
    points = np.concatenate(maps) if maps else []
    fraction = np.concatenate(measures["window_fraction"])
    test_side = (measures, errors[1], test.molecule)
    of_test = bootstrap | {"clusters": units[len(train) :]}
    tables = {
        "errors": [
            about | {"force_mae_meV_per_A": e} | {name: values[k] for name, values in own.items()}
            for k, (about, e) in enumerate(zip(structures, all_errors))
        ],
        "axes": diagnosis.in_and_out(*test_side, args.sigma, **of_test),
        "bins": diagnosis.binned(*test_side, **of_test),
        "ranks": diagnosis.ranks(*test_side, **of_test),
        "groups": diagnosis.by_group(
            *(group, molecule, fraction, measures["window_fraction"][0], all_errors, args.sigma),
            **bootstrap,
            clusters=units,
        ),
        "embedding": [about | dict(zip(COMPONENTS, xy)) for about, xy in zip(structures, points)],
    }
    for name, rows in tables.items():
        columns = ["id", "group", "molecule", *COMPONENTS] if name == "embedding" else None
        write_table(args.output / f"{name}.csv", rows, columns)
    summary = {
        "model": args.model,
        "n_train": len(train),
        "n_test": len(test),
        "resampled": what,
        "n_errors": int(np.isfinite(errors[1]).sum()),
        "explained_variance": [round(float(v), 6) for v in explained],
        "missing": absent(frames, labels, errors, maps, measures),
    }
    for line in summary["missing"]:
        log.info("%s: %s", args.model, line)
    with replacing(args.output / "diagnosis.json") as part:
        part.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    optional = {"type": Path, "required": False}
    cli.run(
        main,
        __doc__,
        {
            "model": {"help": "name of the model"},
            "train": {"type": Path, "help": "training frames"},
            "test": {"type": Path, "help": "test frames"},
            "reference_train": {"type": Path, "help": "reference labels of the training frames, as far as there are"},
            "reference_test": {"type": Path, "help": "reference labels of the test frames, as far as there are"},
            "predictions_train": {"type": Path, "help": "the model's predictions of the training frames"},
            "predictions_test": {"type": Path, "help": "the model's predictions of the test frames"},
            "embedding_train": {**optional, "help": "HDF5 with the model's representation of the training frames"},
            "embedding_test": {**optional, "help": "HDF5 with the model's representation of the test frames"},
            "shifts": {"type": Path, "help": "CSV of the shift measures of all frames"},
            "sigma": {"type": float, "help": "outside beyond this many training standard deviations"},
            "resamples": {"type": int, "help": "bootstrap resamples"},
            "seed": {"type": int, "help": "seed of the bootstrap"},
            "output": {"type": Path, "help": "folder of the tables and diagnosis.json"},
        },
    )

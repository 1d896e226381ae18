"""Measures of shift that rounding, size or the want of training data would falsify without a word.

Each case is a set of structures whose right answer is known; they go through the scripts of the rules.
"""

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from scripts import assert_refused, run_script


def shuffled(rng, atoms, noise):
    """The structure turned, with its atoms in another order, and displaced by less than changes its graph."""
    order = rng.permutation(len(atoms))
    made = Atoms(atoms.numbers[order], atoms.positions[order], cell=atoms.cell, pbc=atoms.pbc)
    if not made.pbc.any():
        made.positions = made.positions @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    made.positions += noise * rng.uniform(-1, 1, made.positions.shape)
    return made


def store(folder, name, groups):
    """Frames of {group: [Atoms]}, as the rule before writes them."""
    rows = []
    for group, many in groups.items():
        for k, atoms in enumerate(many):
            formula = atoms.get_chemical_formula()
            row = {"id": f"{group}{k}", "group": group, "molecule": formula, "charge": 0, "multiplicity": 1}
            row |= {"numbers": atoms.numbers, "positions": atoms.positions}
            rows.append(row | {"cell": atoms.cell[:], "pbc": atoms.pbc})
    frames = Frames.build(rows)
    frames.save(folder / f"{name}.h5")
    return frames


def diagnosed(folder, variant="published", *more):
    """Table of the shares outside, from the stores `train` and `test` of a folder."""
    outputs = [word for name in ("output", "summary", "sweep") for word in (f"--{name}", f"{name}.csv")]
    words = ["--cutoff", 3.0, "--variant", variant, "--sample", 2000, "--seed", 0, "--sigma", 1, *outputs, *more]
    done = run_script("diagnose_shifts", folder, "--train", "train.h5", "--test", "test.h5", *words)
    assert done.status == 0, done.lines
    return pd.read_csv(folder / "summary.csv").set_index(["criterion", "group"])


ALIKE = {
    "one molecule": ("published", [molecule("C6H6")], 1e-3),
    "three molecules": ("robust", [molecule("C6H6"), molecule("C2H6"), molecule("CH3OH")], 1e-3),
    "crystals": ("robust", [bulk("NaCl", "rocksalt", a=5.64) * (2, 1, 1)], 1e-3),
    "a single atom": ("published", [Atoms("Ar")], 0.0),
}


@pytest.mark.parametrize("kind", ALIKE)
def test_what_is_drawn_as_the_training_structures_were_is_not_outside(kind, tmp_path):
    """Not by a single measure that has no spread in training, and no more often than training by the others."""
    variant, structures, noise = ALIKE[kind]
    rng = np.random.default_rng(0)
    many = lambda n: [shuffled(rng, structures[k % len(structures)], noise) for k in range(n)]
    train = store(tmp_path, "train", {"train": many(36)})
    test = store(tmp_path, "test", {"id_test": many(24)})
    table = diagnosed(tmp_path, variant)
    share = table.fraction_outside.unstack("group")
    flat = table.xs("train", level="group").training_standard_deviation == 0
    assert flat.sum() >= (len(flat) if len(structures) == 1 else 4)
    assert (share.loc[flat.index[flat]] == 0).all(axis=None)
    assert np.allclose(share.id_test, share.train, atol=1e-9)

    # nor do their errors, bins and ranks tell apart what is the same
    labels = lambda f: Labels.build(f, [(0.0, np.zeros((n, 3))) for n in f.sizes], "reference")
    for name, frames in (("train", train), ("test", test)):
        labels(frames).save(tmp_path / f"labels_{name}.h5")
        rows = [([0.0], rng.normal(size=(1, n, 3))) for n in frames.sizes]
        Predictions.build(frames, rows, [0], 5.0, "m", -1).save(tmp_path / f"predictions_{name}.h5")
    stores = {"reference": "labels", "predictions": "predictions"}
    files = [f"--{kind}-{part}={stem}_{part}.h5" for kind, stem in stores.items() for part in ("train", "test")]
    more = ["--shifts", "output.csv", "--sigma", 1, "--resamples", 50, "--seed", 0, "--output", "m"]
    done = run_script("diagnose_model", tmp_path, "--model", "m", "--train=train.h5", "--test=test.h5", *files, *more)
    assert done.status == 0, done.lines
    axes, ranks, bins = (pd.read_csv(tmp_path / f"m/{name}.csv") for name in ("axes", "ranks", "bins"))
    names = flat.index[flat]
    assert (axes[axes.criterion.isin(names)].n_outside == 0).all() and axes.n_inside.max() == 24
    assert ranks[ranks.criterion.isin(names)].spearman.isna().all()
    assert (bins[bins.criterion.isin(names)].groupby("criterion").size() == 1).all()


def test_copies_of_a_molecule_have_its_spectrum(tmp_path):
    """A pair and a triple far apart: another number of atoms, and no distance of the graph."""
    rng = np.random.default_rng(1)
    acetone = molecule("CH3COCH3")

    def copies(n):
        parts = [acetone.copy() for _ in range(n)]
        for k, part in enumerate(parts):
            part.translate([40.0 * k, 0, 0])
        return shuffled(rng, sum(parts[1:], parts[0]), 0.0)

    store(tmp_path, "train", {"train": [shuffled(rng, acetone, 0.0) for _ in range(12)]})
    store(tmp_path, "test", {"ood_pairs": [copies(2), copies(3)], "ood_other": [molecule("C4H4O"), molecule("C6H6")]})
    table = diagnosed(tmp_path, "robust")
    for name in ("spectrum_wasserstein", "spectrum_wasserstein_nearest"):
        assert table.fraction_outside[name, "ood_pairs"] == 0 and table["mean"][name, "ood_pairs"] < 1e-12
        assert table.fraction_outside[name, "ood_other"] == 1
    assert table.fraction_outside["n_atoms", "ood_pairs"] == 1
    assert table.fraction_outside["composition_distance", "ood_pairs"] == 0


def test_without_training_structures_nothing_is_inside_or_outside(tmp_path):
    store(tmp_path, "train", {})
    store(tmp_path, "test", {"ood_a": [molecule("C6H6"), molecule("CH4")], "ood_b": [molecule("C2H6")]})
    table = diagnosed(tmp_path)
    assert table.fraction_outside.isna().all() and table.training_mean.isna().all() and table["mean"].notna().all()
    assert set(table.index.get_level_values("criterion")) == {"n_atoms", "window_fraction"}
    (tmp_path / "statistics.h5").write_text("not a store")
    more = ["--cutoff", 3.0, "--variant", "robust", "--sample", 9, "--seed", 0, "--sigma", 1]
    more += ["--output", "o.csv", "--summary", "s.csv", "--sweep", "w.csv", "--statistics", "statistics.h5"]
    done = run_script("diagnose_shifts", tmp_path, "--train", "train.h5", "--test", "test.h5", *more)
    assert_refused(done, "statistics.h5", "not a readable HDF5 store")

"""The connectivity benchmark: groups are what they say and lie apart, geometries sound, labels those of GFN2-xTB."""

import csv
import runpy
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from ase.io import read

from mlipshift.base import geometry
from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames
from mlipshift.base.tables import FAILURES, read_table, write_table
from mlipshift.data.smiles import canonical
from mlipshift.labelling import connectivity
from mlipshift.prior import engines
from mlipshift.prior.labels import label, label_frames

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "resources/connectivity/molecules.csv"
COUNTS = {"train": 115, "id_test": 40, "val_mixed": 44} | {
    f"ood_{name}": 40 for name in ("chains", "cages", "macrocycles", "dimers", "clusters", "shrunken", "swollen")
}
RADIUS = 3.5  # Å


@pytest.fixture(scope="module")
def rows():
    with open(TABLE, newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="module")
def frames(rows):
    shares = connectivity.shares(rows, COUNTS)
    return Frames.build(s for row, share in zip(rows, shares) for s in connectivity.sample(row, share, 0))


def row_of(rows, name):
    return next(row for row in rows if row["name"] == name)


def test_no_molecule_is_in_two_sets(rows):
    names = [canonical(row["smiles"]) for row in rows]
    assert all(names) and len(set(names)) == len(names) == len({row["name"] for row in rows})
    held_out = {row["group"] for row in rows} - {"train"}
    assert all(sum(row["group"] == group for row in rows) >= 12 for group in held_out)


def test_every_structure_is_sound(frames):
    assert {g: int((frames.group == g).sum()) for g in COUNTS} == COUNTS and len(set(frames.ids)) == len(frames)
    assert frames.sizes.max() <= 60 and not frames.charge.any() and (frames.multiplicity == 1).all()
    assert frames.sizes[frames.group == "train"].max() <= 35
    for k in range(len(frames)):
        numbers, positions, *_ = frames[k]
        assert geometry.nearest(numbers, positions)[1].min() >= connectivity.CLOSEST, frames.ids[k]


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(rows):
    for name in ("nicotine", "dodecane", "water_6"):
        row = row_of(rows, name)
        few, many, other = (connectivity.structures(row, row["group"], *at) for at in ((2, 0), (5, 0), (2, 1)))
        for one, same in zip(few, many):
            assert one["id"] == same["id"] and one["positions"].tobytes() == same["positions"].tobytes()
        assert few[0]["positions"].tobytes() != other[0]["positions"].tobytes()


def degrees(frames):
    """Mean number of neighbours [S] within RADIUS."""
    return np.array([len(geometry.pairs(frames[k][1], RADIUS)[0]) / n for k, n in enumerate(frames.sizes)])


def test_groups_differ_from_training_in_connectivity(frames):
    """By the mean degree, as it is or for the size; where molecules are scaled, by that of the same molecule."""
    degree, train = degrees(frames), frames.group == "train"
    trend = np.polyfit(np.log(frames.sizes[train]), degree[train], 1)
    for_size = degree - np.polyval(trend, np.log(frames.sizes))
    far = np.any([np.abs(d - d[train].mean()) > 2 * d[train].std() for d in (degree, for_size)], axis=0)
    share = {str(group): far[frames.group == group].mean().round(2) for group in COUNTS}
    assert share["train"] < 0.15 and share["id_test"] < 0.15, share
    assert min(share[f"ood_{name}"] for name in ("chains", "cages", "macrocycles", "dimers", "clusters")) > 0.3, share
    own = dict(zip(frames.molecule[train], degree[train]))
    change = degree - np.array([own.get(name, np.nan) for name in frames.molecule])
    means = {group: change[frames.group == group].mean().round(2) for group in ("id_test", *connectivity.SCALED)}
    assert abs(means["id_test"]) < 0.2 and means["ood_shrunken"] > 0.3 and means["ood_swollen"] < -0.5, means


def test_forms_are_what_they_say(rows):
    def positions(name, group, count):
        return [s["positions"] for s in connectivity.structures(row_of(rows, name), group, count, 0)]

    size = lambda x: np.linalg.norm(x[:, None] - x, axis=-1).max()
    stretched, coiled = positions("hexadecane", "ood_chains", 4)[::2]
    assert size(stretched) > 19 and size(coiled) < 0.85 * size(stretched)
    compact, spread = positions("methane_8", "ood_clusters", 2)
    assert 1.1 < size(spread) / size(compact) < 1.9
    path = positions("hexane_hexane", "ood_dimers", 7)
    gaps = [np.linalg.norm(x[:20, None] - x[20:], axis=-1).min() for x in path]
    np.testing.assert_allclose(gaps, np.arange(3, 10), atol=1e-6)


def test_a_table_that_does_not_fit_is_one_line(rows):
    with pytest.raises(UserError, match="no group of this benchmark"):
        connectivity.shares([row_of(rows, "cubane")], {"train": 3})
    with pytest.raises(UserError, match="no molecule of this group"):
        connectivity.shares([], {"train": 3})
    with pytest.raises(UserError, match="form 'knot' is unknown"):
        connectivity.structures(row_of(rows, "cubane") | {"form": "knot"}, "ood_cages", 1, 0)


def test_the_files_hold_labels_of_the_truth_and_what_is_left_out(rows, tmp_path):
    """Through the script that writes them: energies that forces are the slopes of, and what is left out."""
    chosen = {"ethanol": "train", "methanol_methanol": "ood_dimers"}
    made = (connectivity.structures(row_of(rows, name), group, 3, 0) for name, group in chosen.items())
    frames = Frames.build(s for some in made for s in some)
    labels, _ = label_frames(frames, engines.engine("GFN2-xTB", accuracy=0.1), "GFN2-xTB", "prior:GFN2-xTB")
    frames.save(tmp_path / "frames.h5")
    labels.save(tmp_path / "labels.h5")
    write_table(
        tmp_path / "unlabelled.csv", [{"id": frames.ids[0], "stage": "prior", "reason": "for a test"}], FAILURES
    )
    largest = sorted(np.linalg.norm(labels.forces_of(k), axis=1).max() for k in range(6))[-2]
    given = {"frames": "frames.h5", "labels": "labels.h5", "label_failures": "unlabelled.csv"}
    paths = {name: tmp_path / path for name, path in (given | {"failures": "failures.csv", "output": ""}).items()}
    script = runpy.run_path(str(ROOT / "workflow/scripts/assemble_connectivity.py"))
    script["main"](Namespace(**paths, molecules=TABLE, largest_force=largest))
    written = [a for group in chosen.values() for a in read(tmp_path / f"{group}.extxyz", index=":")]
    reasons = read_table(tmp_path / "failures.csv")
    assert len(written) + len(reasons) == 6 and set(reasons["id"]) | {a.info["id"] for a in written} == set(frames.ids)
    assert "for a test" in set(reasons["reason"]) and reasons["reason"].str.contains("more than").any()
    atoms, step = written[0], 1e-3
    energy = lambda x: label(atoms.numbers, x, 0, 1, "GFN2-xTB", accuracy=0.01)[0]
    assert energy(atoms.positions) == pytest.approx(atoms.info["REF_energy"], abs=1e-4)
    moved = np.zeros_like(atoms.positions)
    moved[2, 1] = step
    slope = (energy(atoms.positions + moved) - energy(atoms.positions - moved)) / (2 * step)
    assert -slope == pytest.approx(atoms.arrays["REF_forces"][2, 1], abs=2e-3)

"""The frame store: round trips, equal bytes, selection, and clear refusals."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlipshift.base import store
from mlipshift.base.errors import UserError
from mlipshift.base.frames import Dataset, Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.base.store import BLOCK


def make(sizes, seed=0, prefix="s"):
    """Frames of random structures with the given numbers of atoms, and labels for all but every third."""
    rng = np.random.default_rng(seed)
    frames = Frames.build(
        {
            "id": f"{prefix}/{k}",
            "group": "train",
            "molecule": f"molécule {k % 2}",
            "numbers": rng.integers(1, 18, n),
            "positions": rng.normal(size=(n, 3)),
            "charge": -1 if k % 2 else 0,
            "multiplicity": 1 + k % 2,
            **({"cell": rng.normal(size=(3, 3)), "pbc": [True, False, True]} if k % 4 == 1 else {}),
        }
        for k, n in enumerate(sizes)
    )
    results = [None if k % 3 == 2 else (rng.normal(), rng.normal(size=(n, 3))) for k, n in enumerate(sizes)]
    return frames, Labels.build(frames, results, "reference")


def assert_equal(a, b):
    assert type(a) is type(b)
    for field in fields(a):
        first, second = getattr(a, field.name), getattr(b, field.name)
        if isinstance(first, str):
            assert first == second
            continue
        assert first.dtype == second.dtype, field.name
        np.testing.assert_array_equal(first, second, err_msg=field.name)


def test_round_trip(tmp_path):
    frames, labels = make([3, 1, 7, 2])
    frames.save(tmp_path / "frames.h5")
    labels.save(tmp_path / "labels.h5")
    again = Frames.load(tmp_path / "frames.h5")
    assert_equal(frames, again)
    assert_equal(labels, Labels.load(tmp_path / "labels.h5", again))
    numbers, positions, charge, multiplicity = again[1]
    assert (len(numbers), positions.shape, charge, multiplicity) == (1, (1, 3), -1, 2)
    assert labels.ok.tolist() == [True, True, False, True]
    assert np.isnan(labels.forces_of(2)).all() and np.isfinite(labels.forces_of(3)).all()


def test_an_empty_store_round_trips(tmp_path):
    frames, labels = make([])
    frames.save(tmp_path / "frames.h5")
    labels.save(tmp_path / "labels.h5")
    assert len(Frames.load(tmp_path / "frames.h5")) == 0
    assert len(Labels.load(tmp_path / "labels.h5")) == 0


def test_equal_content_gives_equal_bytes(tmp_path):
    for name in ("a", "b"):
        frames, labels = make([3, 1, 7])
        frames.save(tmp_path / f"{name}.h5")
        labels.save(tmp_path / f"{name}_labels.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert (tmp_path / "a_labels.h5").read_bytes() == (tmp_path / "b_labels.h5").read_bytes()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=8), st.data())
def test_take_selects_and_concatenate_undoes_it(sizes, data):
    frames, labels = make(sizes)
    index = data.draw(st.permutations(range(len(sizes))))
    taken, chosen = frames.take(index), labels.take(index)
    for row, k in enumerate(index):
        assert taken.ids[row] == chosen.ids[row] == frames.ids[k]
        np.testing.assert_array_equal(taken[row][1], frames[k][1])
        np.testing.assert_array_equal(chosen.forces_of(row), labels.forces_of(k))
    cut = data.draw(st.integers(0, len(sizes)))
    rows = np.arange(len(sizes))
    assert_equal(frames, Frames.concatenate([frames.take(rows[:cut]), frames.take(rows[cut:])]))
    assert_equal(labels, Labels.concatenate([labels.take(rows[:cut]), labels.take(rows[cut:])]))


def test_a_mask_selects_like_its_indices():
    frames, labels = make([2, 3, 4])
    mask = np.array([True, False, True])
    assert_equal(frames.take(mask), frames.take([0, 2]))
    assert_equal(labels.take(mask), labels.take([0, 2]))


def rows_of(frames):
    """Rows as Frames.build takes them."""
    for k in range(len(frames)):
        numbers, positions, charge, multiplicity = frames[k]
        yield {
            "id": frames.ids[k],
            "group": frames.group[k],
            "molecule": frames.molecule[k],
            "numbers": numbers,
            "positions": positions,
            "charge": charge,
            "multiplicity": multiplicity,
            "cell": frames.cell[k],
            "pbc": frames.pbc[k],
        }


def results_of(labels):
    return [(labels.energy[k], labels.forces_of(k)) if labels.ok[k] else None for k in range(len(labels))]


def test_molecules_have_no_cell():
    frames, _ = make([2, 3, 4])
    assert not frames.pbc[[0, 2]].any() and not frames.cell[[0, 2]].any()
    assert frames.pbc[1].tolist() == [True, False, True] and frames.cell[1].all()
    assert (frames.cell.shape, frames.pbc.shape, frames.pbc.dtype) == ((3, 3, 3), (3, 3), bool)


@pytest.mark.parametrize(
    ("count", "atoms"), [(0, None), (1, None), (BLOCK, None), (2 * BLOCK + 7, None), (40, 7), (40, 1)]
)
def test_a_store_written_in_blocks_has_the_bytes_of_one_written_at_once(tmp_path, monkeypatch, count, atoms):
    """In blocks of BLOCK structures, and of fewer where the structures are large."""
    if atoms:
        monkeypatch.setattr(store, "ATOMS", atoms)
    frames, labels = make([1 + k % 4 for k in range(count)])
    frames.save(tmp_path / "frames.h5")
    labels.save(tmp_path / "labels.h5")
    with (
        Frames.writer(tmp_path / "frames_written.h5") as append_frame,
        Labels.writer(tmp_path / "labels_written.h5", "reference") as append_label,
    ):
        for row, result in zip(rows_of(frames), results_of(labels)):
            append_frame(row)
            append_label((row, result))
    with Labels.joiner(tmp_path / "labels_joined.h5", "reference") as append_labels:
        for start in range(0, count, 300):
            append_labels(labels.take(np.arange(start, min(start + 300, count))))
    for name in ("frames_written", "labels_written", "labels_joined"):
        assert (tmp_path / f"{name.split('_')[0]}.h5").read_bytes() == (tmp_path / f"{name}.h5").read_bytes()
    assert_equal(frames, Frames.load(tmp_path / "frames_written.h5"))
    assert_equal(labels, Labels.load(tmp_path / "labels_written.h5", frames))


def test_a_store_is_read_in_blocks(tmp_path):
    frames, _ = make([1 + k % 4 for k in range(2 * BLOCK + 7)])
    frames.save(tmp_path / "frames.h5")
    blocks = list(Frames.blocks(tmp_path / "frames.h5"))
    assert [len(b) for b in blocks] == [BLOCK, BLOCK, 7]
    assert all(b.offsets[0] == 0 for b in blocks)
    assert_equal(frames, Frames.concatenate(blocks))


def test_a_block_of_large_structures_holds_fewer(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "ATOMS", 10)
    frames, _ = make([12, 4, 4, 4, 1, 30, 9])
    frames.save(tmp_path / "frames.h5")
    blocks = list(Frames.blocks(tmp_path / "frames.h5"))
    assert [b.sizes.tolist() for b in blocks] == [[12], [4, 4, 4], [1, 30], [9]]
    assert_equal(frames, Frames.concatenate(blocks))
    assert [len(b) for b in Frames.blocks(tmp_path / "frames.h5", 5)] == [5, 2]


def test_a_dataset_keeps_structures_labels_and_origin_together(tmp_path):
    frames, labels = make([1 + k % 4 for k in range(BLOCK + 3)])
    with Dataset.writer(tmp_path / "data.h5", "some level") as append:
        for k, (row, result) in enumerate(zip(rows_of(frames), results_of(labels))):
            append((row, result, f"smiles {k}", "part"))
    blocks = list(Dataset.blocks(tmp_path / "data.h5"))
    assert_equal(frames, Frames.concatenate([b.frames for b in blocks]))
    again = Labels.concatenate([b.labels for b in blocks])
    assert again.level == "some level"
    np.testing.assert_array_equal(again.forces, labels.forces)
    np.testing.assert_array_equal(again.energy, labels.energy)
    assert [s for b in blocks for s in b.smiles] == [f"smiles {k}" for k in range(BLOCK + 3)]
    assert {s for b in blocks for s in b.subset} == {"part"}
    with pytest.raises(UserError, match="holds mlipshift-dataset-1, expected mlipshift-frames-2"):
        Frames.load(tmp_path / "data.h5")


def test_a_store_is_whole_or_as_it_was(tmp_path):
    frames, _ = make([2, 3])
    frames.save(tmp_path / "frames.h5")
    before = (tmp_path / "frames.h5").read_bytes()
    with pytest.raises(RuntimeError), Frames.writer(tmp_path / "frames.h5") as append:
        append(next(rows_of(frames)))
        raise RuntimeError("interrupted")
    assert (tmp_path / "frames.h5").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["frames.h5"]


def test_predictions_round_trip(tmp_path):
    frames, _ = make([2, 3])
    rows = [(np.zeros(2), np.ones((2, 2, 3))), None]
    Predictions.build(frames, rows, [0, 5], 5.0, "ttt", 1).save(tmp_path / "p.h5")
    again = Predictions.load(tmp_path / "p.h5", frames)
    assert (again.method, again.seed, again.ok.tolist()) == ("ttt", 1, [True, False])
    assert again.forces.shape == (2, 5, 3) and np.isnan(again.energy[:, 1]).all()


def test_refusals_name_the_file_and_the_mend(tmp_path):
    frames, labels = make([2, 3])
    frames.save(tmp_path / "frames.h5")
    labels.save(tmp_path / "labels.h5")
    (tmp_path / "text.h5").write_text("no store")
    other, _ = make([2, 3], prefix="other")
    for action, parts in [
        (lambda: Frames.load(tmp_path / "none.h5"), ["none.h5", "missing"]),
        (lambda: Frames.load(tmp_path / "text.h5"), ["text.h5", "delete it"]),
        (lambda: Frames.load(tmp_path / "labels.h5"), ["labels.h5", "expected mlipshift-frames"]),
        (lambda: Labels.load(tmp_path / "labels.h5", other), ["labels.h5", "do not belong"]),
    ]:
        with pytest.raises(UserError) as caught:
            action()
        assert all(part in str(caught.value) for part in parts)

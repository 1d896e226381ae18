"""Structures through a model in blocks: what is asked for together, what alone, and what is kept."""

import numpy as np
import pytest

from mlipshift.base.checkpoints import Checkpoints
from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames
from mlipshift.external.answer import Answer
from mlipshift.external.prediction import BLOCK, blocks_of, predict

SIZES = [3, 1, 5, 2, 3, 4, 1, 9, 2]


def frames():
    rng = np.random.default_rng(0)
    row = {"group": "test", "molecule": "m", "charge": 0, "multiplicity": 1}
    return Frames.build(
        row | {"id": f"s{k}", "numbers": [1] * n, "positions": rng.normal(size=(n, 3))} for k, n in enumerate(SIZES)
    )


class Springs:
    """Springs to the origin; `asked` is what it was asked for, sizes of structures that came together."""

    block = 6

    def __init__(self, bad=(), wrong=(), ends=None, error=ValueError):
        self.asked, self.bad, self.wrong, self.ends, self.error = [], bad, wrong, ends, error

    def __call__(self, structure):
        self.note(len(structure.numbers))
        return self.answer(structure)

    def note(self, what):
        self.asked.append(what)
        if self.ends is not None and len(self.asked) > self.ends:
            raise KeyboardInterrupt

    def many(self, structures):
        self.note([len(s.numbers) for s in structures])
        return [self.answer(s) for s in structures]

    def answer(self, structure):
        x = structure.positions
        if len(x) in self.bad:
            raise self.error("bad")
        if len(x) in self.wrong:
            return Answer(0.0, np.full_like(x, np.nan))
        return Answer((x**2).sum() / 2, -x, x.mean(axis=0), np.float64(x), np.abs(x[:, 0]))


def asked(model, folder, skip=(), features=False):
    return predict(model, frames(), set(skip), Checkpoints(folder, b"same"), "m", features)


def same(one, other):
    assert one.answers.keys() == other.answers.keys() and one.reasons == other.reasons
    for k, answer in one.answers.items():
        for value, expected in zip(answer, other.answers[k], strict=True):
            np.testing.assert_array_equal(value, expected)


def test_blocks_are_of_similar_sizes_and_bounded_when_padded():
    blocks = blocks_of(range(len(SIZES)), np.array(SIZES), 6)
    assert sorted(k for block in blocks for k in block) == [*range(len(SIZES))]
    assert [[SIZES[k] for k in block] for block in blocks] == [[1, 1, 2], [2, 3], [3], [4], [5], [9]]
    assert blocks_of([4, 2], np.array(SIZES), 0) == [[4], [2]] and BLOCK > 0


def test_a_block_is_asked_for_together_and_answers_are_those_of_each(tmp_path):
    model = Springs()
    found = asked(model, tmp_path / "a", skip={"s1"})
    # a structure that is alone in its block is asked for as any other
    assert model.asked == [[1, 2, 2], [3, 3], 4, 5, 9]
    assert sorted(found.answers) == [k for k in range(9) if k != 1] and not found.reasons
    for k, answer in found.answers.items():
        _, x, *_ = frames()[k]
        np.testing.assert_allclose(answer.forces, -(x - x.mean(axis=0)), atol=1e-12)
        assert answer.features is None and answer.spread is not None


@pytest.mark.parametrize("how", ["bad", "wrong"])
def test_a_failure_in_a_block_is_that_of_one_structure(how, tmp_path):
    whole, found = asked(Springs(), tmp_path / "a"), asked(Springs(**{how: (2,)}), tmp_path / "b")
    assert sorted(found.reasons) == [3, 8] and not found.reasons.keys() & found.answers.keys()
    assert all("bad" in r or "not finite" in r for r in found.reasons.values())
    for k, answer in found.answers.items():
        np.testing.assert_array_equal(answer.forces, whole.answers[k].forces)


@pytest.mark.parametrize("error", [UserError, MemoryError])
def test_what_concerns_all_structures_ends_the_job_from_a_block(error, tmp_path):
    with pytest.raises(UserError):
        asked(Springs(bad=(2,), error=error), tmp_path / "a")


@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize("ends", [1, 2, 4])
def test_a_killed_job_goes_on_with_whole_blocks_features_and_spread(ends, features, tmp_path, monkeypatch):
    monkeypatch.setattr("mlipshift.external.kept.KEPT_EVERY", (0.0, 0.0))
    whole = asked(Springs(), tmp_path / "a", features=features)
    with pytest.raises(KeyboardInterrupt):
        asked(Springs(ends=ends), tmp_path / "b", features=features)
    model = Springs()
    found = asked(model, tmp_path / "b", features=features)
    same(found, whole)
    assert found.resumed >= 3 and [1, 1, 2] not in model.asked
    kept = found.answers[0].features
    assert kept.dtype == np.float32 and kept.shape == (3, 3) if features else kept is None


def test_what_only_some_structures_have_is_kept_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr("mlipshift.external.kept.KEPT_EVERY", (1e9, 0.0))

    def model(structure):
        answer = Springs().answer(structure)
        return answer if len(structure.numbers) % 2 else Answer(answer.energy, answer.forces)

    first = asked(model, tmp_path / "a", features=True)
    again = asked(model, tmp_path / "a", features=True)
    same(again, first)
    assert again.resumed == 9 and [k for k, a in again.answers.items() if a.spread is None] == [3, 5, 8]

"""How long a model learns from a few labelled structures, and how fast: what cross-validation over them alone chooses.

No step at all is among the choices: few labels may not be enough to learn anything. No other label has a part in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlipshift.base.averages import SOFT
from mlipshift.base.errors import UserError
from mlipshift.base.log import log

Choice = tuple[int, float]  # steps or epochs; learning rate, 0 where there is none to choose
NOTHING: Choice = (0, 0.0)


def folds(molecules: np.ndarray, count: int, enough: int | None = None) -> list[tuple[list[int], list[int]]]:
    """(numbers to learn from, numbers held out) of at most `count` folds over molecules [S].

    Over the structures where they are all of one molecule. enough: where there are many structures, folds are smaller,
    and no more of them are given than hold out so many structures together. Raises UserError for one structure alone.
    """
    names = sorted(set(molecules))
    keys = [names.index(m) for m in molecules] if len(names) > 1 else [*range(len(molecules))]
    count = max(count, len(keys) // enough) if enough else count
    count = min(count, max(keys, default=0) + 1)
    if count < 2:
        raise UserError("one labelled structure alone cannot say how long to learn from it; give two at least")
    fold = [key % count for key in keys]
    every, found, held_out = range(len(fold)), [], 0
    for f in range(count):
        if enough is None or held_out < enough:
            held = [k for k in every if fold[k] == f]
            found.append(([k for k in every if fold[k] != f], held))
            held_out += len(held)
    return found


@dataclass(frozen=True)
class Course:
    """chosen: one of `choices`; ratios: error of held-out structures after each, a share of that before."""

    choices: list[Choice]
    ratios: list[float]
    chosen: Choice

    @classmethod
    def of(cls, errors: Mapping[Choice, Sequence[float]]) -> "Course":
        """That with the least mean log ratio; none where this is within its own standard error of doing nothing.

        errors {choice: [held-out structures] eV/Å}, NOTHING among them.
        """
        before = np.log(np.array(errors[NOTHING]) + SOFT)
        logs = {k: np.log(np.array(e) + SOFT) - before for k, e in errors.items()}
        best = min(sorted(logs), key=lambda k: logs[k].mean())
        spread = logs[best].std(ddof=1) / len(before) ** 0.5 if len(before) > 1 else np.inf
        ratios = [round(float(np.exp(r.mean())), 4) for r in logs.values()]
        log.info("error of held-out labelled structures, share of that before: %s", dict(zip(logs, ratios)))
        return cls([*logs], ratios, best if logs[best].mean() + spread < 0 else NOTHING)

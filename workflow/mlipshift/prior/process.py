"""The prior in a process of its own: an xTB engine must not share one with torch, their threads wait for each other.

`Process` is the side that asks; run as a script, this module is the side that answers, a line of JSON for each.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from mlipshift.base.errors import UserError, shortened
from mlipshift.prior import engines


class Process:
    """Energy (eV) and forces [n, 3] (eV/Å) of structures, by a process that is started with the first one.

    python: interpreter of an environment that has the engine; that of this process by default. fitted: see engines.
    Use it in a with statement, or call `close`; it ends with this process, too.
    """

    def __init__(
        self,
        method: str = "GFN2-xTB",
        library: str = "tblite",
        accuracy: float = 1.0,
        python: Path | str | None = None,
        fitted: Path | str | None = None,
    ):
        self.command = [str(python or sys.executable), "-m", __name__, method, library, str(accuracy)]
        self.command += [str(fitted)] if fitted else []
        self.process: subprocess.Popen[str] | None = None

    def __call__(
        self, numbers: np.ndarray, positions: np.ndarray, charge: int = 0, multiplicity: int = 1
    ) -> tuple[float, np.ndarray]:
        """As prior.engines.Singlepoint. Raises UserError with what the engine said if it fails."""
        asked = [np.asarray(numbers).tolist(), np.asarray(positions).tolist(), int(charge), int(multiplicity)]
        process = self._started()
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = process.wait()
            self.process = None
            raise UserError(f"the process of the prior ended with {code}: {' '.join(self.command)}")
        answer = json.loads(line)
        if "error" in answer:
            raise UserError(f"prior: {answer['error']}")
        return answer["energy"], np.array(answer["forces"])

    def _started(self):
        if self.process is None or self.process.poll() is not None:
            library = str(Path(__file__).parents[2])
            paths = [library, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
            environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            self.process = subprocess.Popen(self.command, env=environment, **pipes)
        return self.process

    def close(self) -> None:
        """End the process."""
        if self.process is not None and self.process.poll() is None:
            assert self.process.stdin is not None
            self.process.stdin.close()
            self.process.wait()
        self.process = None

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def _answer() -> None:
    """Answer every line of standard input."""
    method, library, accuracy, *fitted = sys.argv[1:]
    # what a library prints must not come between the answers
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    singlepoint = engines.engine(method, library, float(accuracy), *fitted)
    for line in sys.stdin:
        numbers, positions, charge, multiplicity = json.loads(line)
        try:
            energy, forces = singlepoint(np.array(numbers), np.array(positions), charge, multiplicity)
            row = {"energy": float(energy), "forces": forces.tolist()}
        except Exception as error:
            row = {"error": shortened(error)}
        out.write(json.dumps(row) + "\n")
        out.flush()


if __name__ == "__main__":
    _answer()

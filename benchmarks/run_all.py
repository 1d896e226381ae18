"""Run every benchmark of this folder in its own process; a header and one line per benchmark."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main():
    sys.path.insert(0, str(HERE))
    from common import HEADER

    print(HEADER, flush=True)
    paths = [str(HERE.parent / "workflow"), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    failed = 0
    for script in sorted(HERE.glob("bench_*.py")):
        done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True)
        print(done.stdout, end="", flush=True)
        if done.returncode:
            failed = 1
            print(
                f"{script.stem} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}",
                flush=True,
            )
    return failed


if __name__ == "__main__":
    sys.exit(main())

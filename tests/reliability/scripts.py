"""Runs a script of the workflow as a rule does, in a forked process, which saves the imports."""

import logging
import os
import runpy
import subprocess
import sys
from types import SimpleNamespace

from clone import ROOT, environment

# those with an xTB engine, whose threads would wait for ever for those of the torch of other tests
ALONE = {"check_labels"}


def run_script(name, folder, *arguments):
    """(exit status, printed lines) of workflow/scripts/NAME.py in `folder`; arguments as on a command line."""
    printed = folder / "printed.txt"
    if name in ALONE:
        return _run_alone(name, folder, arguments, printed)
    process = os.fork()
    if process == 0:
        status = 70
        try:
            os.chdir(folder)
            target = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for descriptor in (1, 2):
                os.dup2(target, descriptor)
            sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
            logging.getLogger().handlers.clear()  # those of the tests, beside which the script would add none
            sys.argv = [f"{name}.py", *map(str, arguments)]
            runpy.run_path(str(ROOT / "workflow" / "scripts" / f"{name}.py"), run_name="__main__")
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except BaseException:  # what would be a traceback on the terminal
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return SimpleNamespace(status=status, lines=printed.read_text(errors="replace").splitlines())


def _run_alone(name, folder, arguments, printed):
    """`run_script` in a process of its own."""
    command = [sys.executable, ROOT / f"workflow/scripts/{name}.py", *map(str, arguments)]
    known = environment() | {"PYTHONPATH": str(ROOT / "workflow")}
    with open(printed, "w") as handle:
        status = subprocess.run(command, cwd=folder, env=known, stdout=handle, stderr=handle).returncode
    return SimpleNamespace(status=status, lines=printed.read_text(errors="replace").splitlines())


def assert_refused(done, *words):
    """Non-zero exit and one line that has all `words`, no traceback."""
    errors = [line for line in done.lines if line.startswith("error: ")]
    assert done.status == 1, (done.status, done.lines)
    assert len(errors) == 1 and not any("Traceback" in line for line in done.lines), done.lines
    assert "the traceback is in" not in errors[0], errors[0]  # what the program did not foresee
    for word in words:
        assert word in errors[0], (word, errors[0])
    return errors[0]

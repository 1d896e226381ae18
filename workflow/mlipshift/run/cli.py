"""What every script shares: argument parsing, the log file, and one clear line on failure."""

import argparse
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from mlipshift.base.errors import UserError
from mlipshift.base.files import NO_SPACE, disk_is_full
from mlipshift.base.log import RELAY, log
from mlipshift.run.memory import keep_memory
from mlipshift.run.processes import end_with_the_run


def run(main: Callable[[argparse.Namespace], None], description: str, arguments: dict[str, dict]) -> None:
    """Parse the command line, call `main(args)` and turn failures into one line.

    main: function of the parsed namespace; description: of the script, for --help.
    arguments: {name: dict of argparse keywords}; `--log` is always added.
    A UserError or a missing file exits with 1 and one line; any other exception likewise, with the
    traceback in the log file only.
    """
    parser = argparse.ArgumentParser(description=description)
    for name, keywords in arguments.items():
        parser.add_argument(f"--{name.replace('_', '-')}", **{"required": True, **keywords})
    parser.add_argument("--log", type=Path, help="log file; standard error if absent")
    args = parser.parse_args()
    handlers: list[logging.StreamHandler] = [logging.StreamHandler(sys.stderr)]
    if args.log:
        args.log.parent.mkdir(parents=True, exist_ok=True)
        args.log.write_bytes(b"")
        handlers = [logging.FileHandler(args.log, mode="a")]  # what the rule's shell sends there is behind it, too
        logging.raiseExceptions = False  # a log on a full disk
        if os.environ.get(RELAY):
            # what libraries print belongs to the log; the run shows the error line of it
            for descriptor in (1, 2):
                os.dup2(handlers[0].stream.fileno(), descriptor)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", handlers=handlers)
    end_with_the_run()
    keep_memory()
    start = time.perf_counter()
    try:
        main(args)
    except (UserError, FileNotFoundError, PermissionError) as error:
        _fail(str(error), args.log)
    except Exception as error:
        log.info(traceback.format_exc())
        if disk_is_full(error):
            _fail(NO_SPACE, args.log)
        where = f"; the traceback is in {args.log}" if args.log else ""
        _fail(f"{type(error).__name__}: {error}{where}", None if not args.log else args.log)
    log.info("done in %.1f s", time.perf_counter() - start)


def _fail(message, logfile):
    line = "error: " + " ".join(message.split())
    if logfile:
        log.info(line)
    if not (logfile and os.environ.get(RELAY)):
        print(line, file=sys.stderr)
    sys.exit(1)


def settings(text: str) -> dict:
    """Dictionary from a JSON text or from the path of a JSON file, as a type of argparse."""
    if os.path.exists(text):
        text = Path(text).read_text()
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from error

"""Unpack an archive into a folder, or one file out of it."""

from pathlib import Path

from mlipshift.data import archives
from mlipshift.run import cli


def main(args):
    if args.member:
        archives.extract(args.archive, args.member, args.output, args.limit)
    else:
        archives.unpack(args.archive, args.output, args.limit)


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "archive": {"type": Path, "help": "tar (also .gz, .bz2, .xz) or zip file"},
            "member": {"required": False, "help": "path of one file within it; everything if absent"},
            "limit": {"type": int, "required": False, "help": "upper limit of the unpacked bytes"},
            "output": {"type": Path, "help": "folder to write, or the one file"},
        },
    )

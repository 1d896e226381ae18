"""The one reader of YAML: settings, registry, manifest and schemas all come through it."""

import json
from pathlib import Path
from typing import Any

import yaml

from mlipshift.base.errors import UserError, shortened

RESTORE = "restore it from the repository"  # what mends a missing file of the workflow itself


class _Strict(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error, not silently the last one."""

    def compose_mapping_node(self, anchor):
        # as written, before merge keys (<<) bring in those of other mappings
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                line = key.start_mark.line + 1
                raise UserError(f"key {str(key.value)!r} stands twice, again in line {line}; keep one of them")
            seen.add(key.value)
        return node


def parse(text: str) -> Any:
    """What a text of YAML or JSON holds. Raises yaml.YAMLError, and UserError for a key that stands twice."""
    return yaml.load(text, _Strict)


def read(path: Path | str, missing: str = "correct the name of the file") -> Any:
    """What a YAML or JSON file holds.

    missing: how to mend that the file cannot be opened. Raises UserError with one line that names the file, for what
    is not YAML the line in it, and the mend.
    """
    try:
        node = parse(Path(path).read_text(encoding="utf-8"))
        json.dumps(node, default=str)  # not if it contains itself
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {missing}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text file in UTF-8 (byte {error.start}); save it as UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UserError(
            f"{path}{where}: not YAML, {getattr(error, 'problem', None) or shortened(error)}; mend the line, and "
            "indent with spaces, not tabs"
        ) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read ({shortened(error)}); mend the file") from error
    return node

"""The experiments of the paper as configurations of this workflow: config/paper.yaml, read by workflow/paper.smk."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake.utils import update_config

from mlipshift.base.errors import UserError
from mlipshift.base.text import listed
from mlipshift.catalogue.paper import ITEMS
from mlipshift.run import configuration

KEYS = ("trust", "device", "experiments")


@dataclass(frozen=True)
class Paper:
    """settings: {experiment: configuration of this workflow}; figures: {figure or table: its files}."""

    settings: dict[str, dict[str, Any]]
    figures: dict[str, list[str]]

    @classmethod
    def of(cls, config: Mapping[str, Any], home: Path) -> "Paper":
        """From config/paper.yaml and what changes it; home: folder of this workflow.

        Raises UserError for unknown keys and experiments, and without a yes to checkpoints that can run any code.
        """
        unknown = [name for name in config if name not in KEYS]
        if unknown:
            raise UserError(f"config/paper.yaml: {listed(unknown)}: no such setting; known are {', '.join(KEYS)}")
        wanted = dict.fromkeys(item.experiment for item in ITEMS.values())
        if set(config["experiments"]) != set(wanted):
            raise UserError(f"config/paper.yaml: experiments has to have the entries {', '.join(wanted)}, and no other")
        if configuration.typed(config["trust"]) is not True:
            raise UserError(
                "config/paper.yaml: checkpoints of MACE and fairchem are Python pickles, which can run any code; allow"
                " it with --config trust=true"
            )
        settings = {name: _settings(config, home, name) for name in wanted}
        folders = {name: Path("results", own["run"]) for name, own in settings.items()}
        files = {name: [str(folders[item.experiment] / path) for path in item.files] for name, item in ITEMS.items()}
        return cls(settings, files)


def _settings(config: Mapping[str, Any], home: Path, name: str) -> dict[str, Any]:
    """Configuration of one experiment: its file, its own settings, the device, the yes to its checkpoints."""
    entry = config["experiments"][name]
    merged: dict[str, Any] = configuration.read(home / entry["file"]) if entry.get("file") else {}
    update_config(merged, entry.get("settings") or {})
    update_config(merged, {"model": {"device": config["device"]}})
    for model in merged.get("models") or {}:
        merged["models"][model] = {"trust": True} | (merged["models"][model] or {})
    return merged

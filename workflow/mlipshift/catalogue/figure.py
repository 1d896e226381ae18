"""What rules and report know of a figure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlipshift.catalogue import tables as tables_of

ACCURACY = "Dashed line: chemical accuracy, {accuracy} meV/Å (1 kcal/mol/Å)."


@dataclass(frozen=True)
class Figure:
    """What rules and report know of a figure.

    name: of its files and of its module; title: at its head; section: key of SECTIONS; tables: names of those that it
    is drawn from, and from nothing else; caption: template of `filled`; on_demand: target that draws it, for a figure
    that is no part of the report; setting: a setting, "simulate.molecules" for one, without which it is none either.
    """

    name: str
    title: str
    section: str
    tables: tuple[str, ...]
    caption: str
    on_demand: str = ""
    setting: str = ""

    def paths(self, results: str) -> list[str]:
        """Paths of its tables below the folder of the results."""
        return tables_of.paths(self.tables, results)

    def file(self, results: str, suffix: str) -> str:
        """Path of its drawing (svg, png), facts (json) or caption (txt) below the folder of the results."""
        return f"{results}/figures/{self.name}.{suffix}"

    def wanted(self, config: Mapping[str, Any]) -> bool:
        """Whether the report of a run with these settings shows it."""
        return not self.on_demand and tables_of.asked(self.setting, config)

"""How runs of dynamics are called and what they look like, in figures and in the report."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from mlipshift.catalogue import methods
from mlipshift.catalogue.groups import group


def key(row: Mapping[str, Any]) -> str:
    """The method or adaptation that a run is."""
    if isinstance(row["scheme"], str):
        return row["scheme"]
    return f"{row['model']}_corrected" if row["corrected"] else row["model"]


def title(row: Mapping[str, Any], forces: bool = False) -> str:
    """Name of a run; forces: whether the kind of its forces is said."""
    name = methods.scheme_title(key(row))
    if isinstance(row["scheme"], str):
        name += f" ({row['geometries']:g})"
    said = ["on the fly"] if row["on_the_fly"] else []
    said += [f"{row['forces']} forces"] if forces and row["model"] != "prior" else []
    said += ["NVE"] if row["ensemble"] == "nve" else []
    said += [row["precision"]] if row["precision"] != "float32" else []
    return ", ".join([name, *said])


def titles(table: pd.DataFrame) -> dict[str, str]:
    """{run: name} of rows of dynamics_summary.csv; forces are said where there are both kinds."""
    networks = table[table.model != "prior"]
    usual = networks.forces.mode()[0] if len(networks) else ""
    rows = table.drop_duplicates("run").to_dict("records")
    return {row["run"]: title(row, row["forces"] != usual) for row in rows}


def colour(row: Mapping[str, Any]) -> str:
    """Colour of a run: that of its method or adaptation."""
    return methods.look(key(row))[0]


def molecule(name: str) -> str:
    """Display name of a molecule, from that of its group."""
    return group(name).partition(": ")[2].capitalize() or group(name)


def molecules(names: Iterable[str]) -> list[str]:
    """Distinct molecules in the order in which they come."""
    return list(dict.fromkeys(names))

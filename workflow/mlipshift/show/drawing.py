"""From the name of a figure and the paths of its tables to a drawing and the facts of its caption."""

import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType

import pandas as pd
from matplotlib.figure import Figure

from mlipshift.base.errors import UserError
from mlipshift.base.tables import read_table
from mlipshift.show import samples, style

FIGURES = Path(__file__).parent / "figures"


def find_tables(given: Iterable[Path]) -> dict[str, Path]:
    """{table name: path} of CSV files and of folders that hold them; later entries win."""
    files = [f for item in given for f in (sorted(item.glob("*.csv")) if item.is_dir() else [item])]
    return {f.stem: f for f in files}


def module_of(name: str) -> ModuleType:
    """The module of a figure. Raises UserError for an unknown one."""
    known = sorted(path.stem for path in FIGURES.glob("fig_*.py"))
    if name not in known:
        raise UserError(f"figure {name!r} is unknown; use one of {', '.join(known)}")
    return importlib.import_module(f"mlipshift.show.figures.{name}")


def load(name: str, paths: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    """{table: DataFrame} of what a figure is drawn from. Raises UserError for a missing table or column."""
    tables = {}
    for table, columns in module_of(name).NEEDS.items():
        if table not in paths:
            raise UserError(f"{name} needs the table {table}.csv, which was not given; run the evaluation first")
        found = read_table(paths[table])
        missing = [column for column in columns if column not in found.columns]
        if missing and len(found):
            raise UserError(
                f"{paths[table]}: a column is missing that {name} needs: {', '.join(missing)}; run the rule that"
                " writes the table again"
            )
        # a table of no rows may have no columns either
        tables[table] = found.reindex(columns=[*found.columns, *missing])
    return tables


def draw(name: str, paths: Mapping[str, Path], title: str, *about: object) -> tuple[Figure, dict[str, str]] | None:
    """(figure, facts of its caption) from the tables at `paths` {table: path}.

    about: what else the figures of a diagnosis are told; they are None where the tables have nothing to draw, other
    figures then say why. Raises UserError for an unknown figure and for a missing or incomplete table.
    """
    tables = load(name, paths)
    with style.house_style():
        try:
            return module_of(name).draw(tables, title, *about)
        except samples.NothingToDraw as found:
            reason, short = str(found), title.partition(",")[0]
            return style.empty(short, f"{reason[0].upper()}{reason[1:]}."), {"nothing": f"{short}: {reason}."}

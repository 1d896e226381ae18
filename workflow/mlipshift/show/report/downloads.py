"""What can be downloaded from a page: the tables that a shown one is made from, inside of the page itself."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from mlipshift.catalogue.headings import Shown


def downloads(names: Iterable[str], given: Mapping[str, pd.DataFrame], folder: str = "") -> list[dict[str, str]]:
    """[{name, source}] of those of the tables that there are, as CSV in a data URI; folder: before their names."""
    found = []
    for name in names:
        if name in given:
            text = given[name].to_csv(index=False, float_format="%.8g", lineterminator="\n")
            code = base64.b64encode(text.encode()).decode()
            found.append({"name": f"{folder}{name}.csv", "source": f"data:text/csv;charset=utf-8;base64,{code}"})
    return found


def shown(
    key: str, about: Shown, content: Mapping[str, Any] | None, given: Mapping[str, pd.DataFrame], folder: str = ""
) -> dict[str, Any]:
    """A table as the pages take it; key: its id there; given: DataFrames of the files; folder: of downloads."""
    return {
        "id": key,
        "title": about.title,
        "heading": about.heading,
        "content": content,
        "downloads": [] if content is None else downloads(about.tables, given, folder),
    }

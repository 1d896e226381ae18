"""Figures with their captions, as files; apart from `drawing`, so that a caption redraws no figure of the report."""

from collections.abc import Mapping
from pathlib import Path

from mlipshift.catalogue.captions import filled
from mlipshift.catalogue.figures import Figure
from mlipshift.show import drawing, style


def write(figure: Figure, paths: Mapping[str, Path], about: Mapping[str, object], folder: Path) -> None:
    """Draw a figure of the catalogue that always has something to show: NAME.svg, .png and the caption, .txt.

    paths {table: path}; about: what the module of the figure is told. The folder is made.
    """
    drawn = drawing.draw(figure.name, paths, figure.title, about)
    assert drawn is not None
    canvas, facts = drawn
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in (".svg", ".png"):
        style.save(canvas, folder / f"{figure.name}{suffix}")
    (folder / f"{figure.name}.txt").write_text(filled(figure.caption, facts) + "\n", encoding="utf-8")

"""The explorer: one page with structures on a map of any two quantities and in 3-D with their forces, by chemiscope.

The page holds the viewer and the data, so that it needs no network. Numbers are those of tables, to six digits.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chemiscope
import numpy as np
from ase import Atoms
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames
from mlipshift.catalogue.groups import GROUPS, group, ordered

BUDGET = 9_000_000  # bytes of data on a page, beside the 3 MB of the viewer
OF_ATOM, OF_NUMBER = 34, 9  # bytes of the element and place of an atom, and of any other number
SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # lengths in Å of an arrow of 1 eV/Å
CLEAR = 1.0  # Å, at first half of the arrows are at least as long, and so end outside the spheres of their atoms
DIGITS = 4  # decimals of positions in Å and of forces in eV/Å
GROUP, NUMBER = "Group", "Group (number)"
# the colour maps of the viewer that have bands, by the number of these
BANDS = {
    10: "#1f77b4 #ff7f0e #2ca02c #d62728 #9467bd #8c564b #e377c2 #7f7f7f #bcbd22 #17becf",
    20: "#1f77b4 #aec7e8 #ff7f0e #ffbb78 #2ca02c #98df8a #d62728 #ff9896 #9467bd #c5b0d5"
    " #8c564b #c49c94 #e377c2 #f7b6d2 #7f7f7f #c7c7c7 #bcbd22 #dbdb8d #17becf #9edae5",
}


@dataclass(frozen=True)
class Quantity:
    """What is known of every structure.

    key: in addresses of the page, as a column of a table; name: on the page, with its unit; values [S]: numbers, NaN
    where there is none, or text; about: a sentence.
    """

    key: str
    name: str
    values: np.ndarray
    about: str = ""

    @property
    def is_text(self) -> bool:
        """Whether the values are words, which no axis can have."""
        return np.asarray(self.values).dtype.kind not in "fiub"


@dataclass(frozen=True)
class Arrows:
    """Forces [N, 3] eV/Å that are drawn at the atoms, NaN where a structure has none; key: in addresses of the page."""

    key: str
    title: str
    colour: str
    forces: np.ndarray


@dataclass(frozen=True)
class Words:
    """What the page says: title, lead (how to read it), notes; back: (file, words) of a link to the report."""

    title: str
    lead: str
    notes: Sequence[str] = ()
    back: tuple[str, str] = ("report.html", "Back to the report")


def sample(frames: Frames, quantities: int, arrows: int, budget: int) -> np.ndarray:
    """Sorted numbers of the structures that a page of `budget` bytes can hold; all of them, if it can.

    Every group gives structures in turn, so that small groups stay whole; within a group in the order of a hash of
    the id, which looks random and is the same in every run.
    """
    weight = frames.sizes * (OF_ATOM + 3 * arrows * OF_NUMBER) + quantities * OF_NUMBER
    if weight.sum() <= budget:
        return np.arange(len(frames))
    drawn = np.array([hashlib.sha256(name.encode()).hexdigest() for name in frames.ids.astype(str)])
    turn = np.empty(len(frames), int)
    for name in set(frames.group):
        own = np.flatnonzero(frames.group == name)
        turn[own[np.argsort(drawn[own])]] = np.arange(len(own))
    order = np.lexsort((drawn, turn))
    return np.sort(order[np.cumsum(weight[order]) <= budget])


def _numbers(values):
    """Numbers with six digits, None where there is none."""
    return [float(f"{v:.6g}") if np.isfinite(v) else None for v in np.asarray(values, dtype=float).ravel()]


def _rounded(values):
    return np.round(values, DIGITS) + 0.0  # no minus zero


def _vectors(forces, frames):
    """Flat list of the components of every structure, None for one that lacks any."""
    parts = np.split(forces, frames.offsets[1:-1])
    return [_rounded(part).ravel().tolist() if np.isfinite(part).all() else None for part in parts]


def _structures(frames):
    """ASE Atoms; periodic ones keep their cell."""
    return [
        Atoms(numbers, _rounded(positions), cell=frames.cell[k] if frames.pbc[k].any() else None, pbc=frames.pbc[k])
        for k, (numbers, positions, *_) in enumerate(frames[j] for j in range(len(frames)))
    ]


def scale_of(arrows: Sequence[Arrows]) -> float:
    """The smallest of SCALES at which half of the arrows can be seen beside the sphere of their atom; 1 without any."""
    norms = np.concatenate([np.linalg.norm(a.forces, axis=1) for a in arrows] or [np.empty(0)])
    norms = norms[np.isfinite(norms)]
    usual = np.median(norms) if len(norms) else 0.0
    return min((s for s in SCALES if s * usual >= CLEAR), default=SCALES[-1]) if usual > 0 else 1.0


def groups_of(frames: Frames) -> list[dict[str, Any]]:
    """{key, title, number, colour, count} of every group, in display order; no colour where there are too many."""
    keys = ordered(frames.group, GROUPS)
    bands = next((colours.split() for most, colours in BANDS.items() if len(keys) <= most), [])
    count = lambda key: int((frames.group == key).sum())
    return [
        {"key": key, "title": group(key), "number": k, "colour": bands[k] if bands else "", "count": count(key)}
        for k, key in enumerate(keys)
    ]


def _about(frames, groups):
    """What is known of any structures: quantities of which the map can show the numbers."""
    place = {g["key"]: g for g in groups}
    text = lambda values: np.array([str(v) for v in values], dtype=object)
    return [
        Quantity("id", "Structure", text(frames.ids)),
        Quantity("group", GROUP, text([place[g]["title"] for g in frames.group])),
        Quantity("number", NUMBER, np.array([place[g]["number"] for g in frames.group])),
        Quantity("molecule", "Molecule", text(frames.molecule)),
        Quantity("formula", "Formula", text([atoms.get_chemical_formula() for atoms in _structures(frames)])),
        Quantity("n_atoms", "Number of atoms", frames.sizes),
        Quantity("charge", "Charge (e)", frames.charge),
    ]


def _dataset(frames, quantities):
    """What chemiscope reads; None for what is missing, as NaN is not JSON."""
    properties = {q.name: {"target": "structure", "values": _given(q), "description": q.about} for q in quantities}
    data = chemiscope.create_input(_structures(frames), properties=properties, metadata={"name": "structures"})
    for q in quantities:
        data["properties"][q.name]["values"] = _given(q) if q.is_text else _numbers(q.values)
    return data


def content(
    frames: Frames, quantities: Sequence[Quantity], arrows: Sequence[Arrows], start: dict[str, str]
) -> dict[str, Any]:
    """The data of a page, which JSON can hold.

    quantities, arrows: of these frames; what is missing everywhere is left out; start: {"x", "y", "color"} keys of the
    quantities on the map at first, of which those that are not there are replaced; the structure that is highest on it
    is the first that is drawn. Raises UserError without structures.
    """
    if not len(frames):
        raise UserError("no structure to show; give test structures in data.files")
    given = [q for q in quantities if q.is_text or np.isfinite(np.asarray(q.values, dtype=float)).any()]
    given = [q for q in given if q.key not in ("n_atoms", "charge")]
    arrows = [a for a in arrows if any(v is not None for v in _vectors(a.forces, frames))]
    kept = sample(frames, len(given), len(arrows), BUDGET)
    total, counts = len(frames), Counter(frames.group)
    atoms = np.concatenate([np.arange(frames.offsets[k], frames.offsets[k + 1]) for k in kept])
    frames = frames.take(kept)
    groups = groups_of(frames)
    shown = _about(frames, groups)
    shown += [Quantity(q.key, q.name, np.asarray(q.values)[kept], q.about) for q in given]
    if len({q.name for q in shown}) < len(shown):
        raise ValueError("two quantities of one name, of which the page would show one alone")
    known = [q.key for q in shown if not q.is_text]
    own = [k for k in known if k not in ("number", "charge", "n_atoms")] + ["n_atoms", "charge"]
    start = dict(zip(("x", "y"), own)) | {"color": "number"} | {n: key for n, key in start.items() if key in known}
    height = np.asarray(next(q.values for q in shown if q.key == start["y"]), dtype=float)
    first = int(np.nanargmax(height)) if np.isfinite(height).any() else 0
    return {
        "dataset": _dataset(frames, shown),
        "total": total,
        "groups": [g | {"total": counts[g["key"]]} for g in groups],
        "bands": next((most for most in BANDS if len(groups) <= most), 0),
        "quantities": [{"key": q.key, "name": q.name, "about": q.about, "text": q.is_text} for q in shown],
        "arrows": [
            {"key": a.key, "title": a.title, "colour": a.colour, "vectors": _vectors(a.forces[atoms], frames)}
            for a in arrows
        ],
        "periodic": frames.pbc.any(axis=1).tolist(),
        "start": start,
        "first": first,
        "scale": scale_of(arrows),
    }


def _given(quantity):
    """Values that chemiscope takes: words, or numbers with NaN for what is missing."""
    values = np.asarray(quantity.values)
    return [str(v) if v == v and v is not None else "–" for v in values] if quantity.is_text else values.astype(float)


def viewer() -> dict[str, str]:
    """{script, licence} of the viewer, from the package chemiscope; the script can stand in a page."""
    package = Path(chemiscope.__file__).parent
    script = (package / "sphinx/static/chemiscope.min.js").read_text(encoding="utf-8")
    licences = [*package.parent.glob("chemiscope-*.dist-info/licenses/LICENSE"), *package.rglob("*.LICENSE.txt")]
    return {
        "version": chemiscope.__version__,
        "script": script.replace("</script", "<\\/script").replace("<!--", "<\\!--"),
        "licence": "\n\n".join(path.read_text(encoding="utf-8") for path in licences),
    }


def embedded(data: dict[str, Any]) -> str:
    """JSON that can stand in a script element of a page. Raises ValueError for NaN."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def render(template: Path, data: dict[str, Any], words: Words) -> str:
    """HTML of the page; template: path of explorer.html.j2; data: of `content`."""
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    known = viewer()
    return environment.get_template(template.name).render(
        words=words,
        data=Markup(embedded(data)),  # noqa: S704, escaped above
        script=Markup(known["script"]),  # noqa: S704, the viewer itself
        licence=known["licence"],
        version=known["version"],
        groups=data["groups"],
        arrows=[{k: a[k] for k in ("key", "title", "colour")} for a in data["arrows"]],
        quantities=data["quantities"],
        scales=[f"{s:g}" for s in SCALES],
        scale=f"{data['scale']:g}",
        shown=len(data["dataset"]["structures"]),
        total=data["total"],
    )

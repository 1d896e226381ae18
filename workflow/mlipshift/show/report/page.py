"""The report of a run: one self-contained HTML page from the tables, the figures and their captions."""

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from mlipshift.base.errors import UserError
from mlipshift.catalogue.captions import INTERVAL
from mlipshift.catalogue.figures import SECTIONS, reported
from mlipshift.catalogue.headings import REPORT
from mlipshift.evaluate.statistics import CHEMICAL_ACCURACY
from mlipshift.show.report import (
    answer,
    decision,
    finetuning,
    left_out,
    messages,
    motion,
    optional_tables,
    rewiring,
    surfaces,
    tables,
)
from mlipshift.show.report.downloads import shown
from mlipshift.show.report.format import ALONE, sample
from mlipshift.show.report.results import Results
from mlipshift.show.report.sentences import sentences

# by the id of catalogue.headings.REPORT
MAKERS = {
    "methods": tables.methods_table,
    "groups": tables.groups_table,
    "all": tables.summary_table,
    "paired": tables.paired_table,
    "knowledge": tables.known_table,
    "failed": tables.failures_table,
    "durations": tables.durations_table,
    "diagnosis": optional_tables.diagnosis_table,
    "published": optional_tables.published_table,
    "weights": optional_tables.weights_table,
    "refinement": optional_tables.refinement_table,
    "conformers": optional_tables.conformers_table,
    "answers": decision.answers_table,
    "decision": decision.decision_table,
    "variants": optional_tables.variants_table,
    "radius_rules": rewiring.rules_table,
    "radius_adapted": rewiring.adapted_table,
    "radius_motion": rewiring.motion_table,
    "dynamics": motion.dynamics_table,
    "roughness": surfaces.roughness_table,
    "bonds": surfaces.bonds_table,
    "prior_labels": optional_tables.prior_labels_table,
    "learning_curves": finetuning.curves_table,
    "labels_needed": finetuning.needed_table,
}


def flat(settings: object, prefix: str = "") -> list[tuple[str, str]]:
    """Rows (key path, value) of nested settings; lists of plain values stay on one line."""
    if isinstance(settings, dict):
        return [r for k, v in settings.items() for r in flat(v, f"{prefix}.{k}" if prefix else str(k))]
    if isinstance(settings, list) and any(isinstance(v, (dict, list)) for v in settings):
        return [r for k, v in enumerate(settings) for r in flat(v, f"{prefix}[{k}]")]
    text = ", ".join(map(str, settings)) if isinstance(settings, list) else str(settings)
    return [(prefix, text)]


def figures(folder: Path, config: Mapping[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """{name: {name, number, source, caption, alt}} of the figures of a run with these settings; the SVG as data URI."""
    out = {}
    for k, name in enumerate(reported(config=config), 1):
        drawing, caption = folder / f"{name}.svg", folder / f"{name}.txt"
        for path in (drawing, caption):
            if not path.exists():
                raise UserError(f"{path}: the report needs this figure; run `snakemake {name}`")
        out[name] = embedded(drawing) | {"name": name, "number": k}
    return out


def embedded(drawing: Path) -> dict[str, Any]:
    """{source, caption, alt} of an SVG file and the text file beside it; the SVG as data URI. No name, no message."""
    text = drawing.with_suffix(".txt").read_text(encoding="utf-8").strip()
    code = base64.b64encode(drawing.read_bytes()).decode()
    return {
        "name": "",
        "number": 0,
        "message": "",
        "source": f"data:image/svg+xml;base64,{code}",
        "caption": text,
        "alt": re.split(r"(?<=[a-zÅ)])\. ", text)[0],
    }


def section(name: str, title: str, **parts: Any) -> dict[str, Any]:
    """A section of a page of help.html.j2; parts: texts, code, figures, tables."""
    return {"name": name, "title": title, "texts": [], "code": "", "figures": [], "tables": [], **parts}


def unbroken(text: str) -> Markup:
    """Escaped text in which units, sample sizes and intervals do not break across lines."""
    return Markup(
        re.sub(
            r"(\[[+−\d.,]+, [+−\d.,]+\]†?|1 kcal/mol/Å|meV/Å|eV/Å|n = [\d.]+|\d [%s](?!\w))",
            r'<span class="u">\1</span>',
            str(escape(text)),
        )
    )


def page(template: Path) -> Template:
    """Jinja template of a report, from its path."""
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["units"] = unbroken
    return environment.get_template(template.name)


def render(
    template: Path,
    given: Mapping[str, pd.DataFrame],
    drawn: Mapping[str, Mapping[str, object]],
    info: Mapping[str, Any],
    told: Sequence[str] = (),
) -> str:
    """HTML of the report.

    template: path of the Jinja template; given: {name: DataFrame} of the tables that the report needs, and of its
    optional ones if there; drawn: from `figures`; info: the dictionary of run_info.json; told: lines of
    left_out.lines.
    """
    results = Results(given)
    settings = info.get("config") or {}
    made = {key: shown(key, REPORT[key], make(results), given) for key, make in MAKERS.items()}
    sections = [
        {
            "id": key,
            "title": heading,
            "figures": [{**drawn[f], "message": messages.message(f, results)} for f in reported(key, settings)],
            "tables": [made[k] for k, t in REPORT.items() if t.section == key and made[k]["content"] is not None],
        }
        for key, heading in SECTIONS.items()
        if reported(key, settings)
    ]
    return page(template).render(
        info=info,
        interval=INTERVAL,
        alone=ALONE if results.of_one_molecule else "",
        accuracy=CHEMICAL_ACCURACY,
        blocks=answer.blocks(results),
        tiles=answer.tiles(results),
        pooled=results.error("supervised"),
        sample=sample,
        sentences=sentences(results),
        sections=sections,
        tables=made,
        choice=decision.form(results),
        told=told,
        read=left_out.tables(given, given["method_failures"].to_dict("records")),
        config=flat(settings),
    )

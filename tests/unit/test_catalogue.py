"""The catalogue: what it names is there, and what is there is named."""

from pathlib import Path

import pytest

from mlipshift.catalogue import captions, criteria, figures, headings, methods, tables
from mlipshift.catalogue.figure import Figure
from mlipshift.catalogue.groups import AXES, GROUPS, group, ordered
from mlipshift.run import sources
from mlipshift.show import criteria as words
from mlipshift.show import drawing
from mlipshift.show.report import page

ALL_FIGURES = (
    figures.FIGURES | figures.ASKED | figures.DIAGNOSIS | figures.HELP | {figures.RESCUED.name: figures.RESCUED}
)


def test_every_figure_has_a_module_and_every_module_an_entry():
    assert set(ALL_FIGURES) == {path.stem for path in drawing.FIGURES.glob("fig_*.py")}


@pytest.mark.parametrize("name", ALL_FIGURES)
def test_a_figure_is_drawn_from_the_tables_of_the_catalogue(name):
    figure, needs = ALL_FIGURES[name], drawing.module_of(name).NEEDS
    assert set(figure.tables) == set(needs) and all(needs.values())
    of_model = figure.section == "diagnosis" and name != "fig_criteria"
    of_help = {**tables.HELP, tables.RESCUED.name: tables.RESCUED}
    known = of_help if figure.section == "help" else tables.DIAGNOSIS if of_model else tables.TABLES
    assert set(figure.tables) <= set(known)
    assert figure.section in [*figures.SECTIONS, "diagnosis", "help"]


def test_paths_are_those_of_the_tables():
    frontier = figures.FIGURES["fig_frontier"]
    assert frontier.paths("r") == ["r/tables/frontier.csv", "r/timings/seconds.csv", "r/tables/summary.csv"]
    assert frontier.file("r", "svg") == "r/figures/fig_frontier.svg"
    assert list(tables.by_rule("collect_run_info")) == ["durations"]
    needed = {"summary", "paired", "frontier", "failures", "method_failures", "seconds", "durations"}
    assert set(tables.in_report("needed")) == needed | {*tables.INPUT}
    assert set(headings.INPUT_REPORT) == {"census", "left_out", "label_check", "duplicates"}


def test_a_part_of_a_caption_without_its_fact_is_left_out():
    assert captions.filled("A {b}[[c: and {c}, {b}]].", {"b": "1"}) == "A 1."
    assert captions.filled("A {b}[[c: and {c}, {b}]].", {"b": "1", "c": "{x}"}) == "A 1 and {x}, 1."


def test_every_table_of_the_report_has_a_heading_and_a_maker():
    assert set(page.MAKERS) == set(headings.REPORT)
    assert {t.section for t in headings.REPORT.values()} - {""} <= set(figures.SECTIONS)


def test_a_method_looks_the_same_everywhere_and_like_no_other():
    known = methods.METHODS.values()
    assert len({(m.colour, m.marker, m.filled) for m in known}) == len(known)
    assert all(m.title and m.meaning for m in known)
    assert {m.before for m in known} - {None} <= set(methods.METHODS)
    assert methods.look("unknown")[1] == "o" and methods.title("unknown") == "unknown"


def test_every_criterion_has_a_name_and_an_axis():
    for key, criterion in criteria.CRITERIA.items():
        assert criterion.axis in words.AXES and criterion.side in ("upper", "both")
        assert words.label(key) != key and words.short(key) != key
        assert key.endswith("eV_per_A") == bool(words.WORDS[key].unit)


def test_groups_of_the_users_own_have_a_name_and_come_last():
    assert group("ood_my_set") == "Held out: my set" and group("ood_larger") == AXES["larger"]
    assert ordered(["ood_my_set", "ood_all", "id_test"], GROUPS) == ["id_test", "ood_all", "ood_my_set"]


def test_the_catalogue_needs_no_numerical_library():
    for path in Path(figures.__file__).parent.glob("*.py"):
        assert not {name.split(".")[0] for name in sources.imports(path)} & {"numpy", "pandas", "matplotlib", "torch"}


def test_what_a_setting_asks_for_is_reported_where_it_is_set():
    figure = Figure("fig_x", "", "simulate", (), "", setting="simulate.molecules")
    assert figure.wanted({"simulate": {"molecules": ["toluene"]}})
    assert not any(map(figure.wanted, ({}, {"simulate": None}, {"simulate": {"molecules": []}})))
    assert tables.asked("", {}) and not Figure("fig_x", "", "", (), "", on_demand="variants").wanted({})

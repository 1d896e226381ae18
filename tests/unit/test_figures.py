"""Figures and their captions, drawn from small tables made here."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.text import Text
from result_tables import MEANS, make_tables

from drawn import faults
from mlipshift.base.errors import UserError
from mlipshift.base.tables import read_table
from mlipshift.catalogue import methods
from mlipshift.catalogue.captions import INTERVAL, filled
from mlipshift.catalogue.figures import FIGURES
from mlipshift.evaluate import statistics
from mlipshift.run import sources
from mlipshift.show import drawing, style

ROOT = Path(__file__).resolve().parents[2]
BINS = ("fig_error_bins", "fig_prior_bins")  # numbers of structures, without an interval


def draw(name, paths):
    """(figure, caption) of a figure of the catalogue."""
    figure, facts = drawing.draw(name, paths, FIGURES[name].title)
    return figure, filled(FIGURES[name].caption, facts)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Folder of a finished run, and the paths of its tables."""
    folder = tmp_path_factory.mktemp("run")
    return folder, make_tables(folder)


@pytest.fixture(scope="module")
def drawn(run):
    """{name: (figure, caption)} of every figure."""
    return {name: draw(name, run[1]) for name in FIGURES}


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Paths of the tables of a run of another size."""
    return make_tables(tmp_path_factory.mktemp("other"), n=52, molecules=9, seeds=1)


@pytest.fixture(scope="module")
def awkward(tmp_path_factory):
    """Paths of the tables of a run of one molecule, with groups of long names and every scheme at once."""
    paths = make_tables(tmp_path_factory.mktemp("awkward"), molecules=1, seeds=1)
    long = {"ood_larger": "ood_much_larger_molecules_of_my_own", "ood_force_norm": "ood_hot_naphthalene_600k"}
    for name in ("summary", "shift_axes", "steps", "gains"):
        table = read_table(paths[name])
        if "axis" in table:
            table["axis"] = table.axis.replace({k[4:]: v[4:] for k, v in long.items()})
        table.assign(group=table.group.replace(long)).to_csv(paths[name], index=False)
    table = read_table(paths["conformers"])
    one = table[table.scheme == "joint_distil"]
    schemes = [*methods.SCHEMES, "own_adaptation"]
    pd.concat([one.assign(scheme=s) for s in schemes]).to_csv(paths["conformers"], index=False)
    return paths


def texts(figure):
    """Every visible text of a figure."""
    return [t.get_text() for t in figure.findobj(Text) if t.get_visible() and t.get_text()]


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_states_n_and_the_interval(name, drawn):
    figure, caption = drawn[name]
    binned = name in ("fig_force_norm", "fig_connectivity")  # hold the in-distribution structures, too
    assert ("n = 39 structures" if binned else "n = 37 structures of 11 molecules, 3 seeds") in caption
    assert any(re.search(r"\bn = 3[79]\b", t) for t in texts(figure))
    if name not in BINS:
        assert INTERVAL in caption


@pytest.mark.parametrize("name", FIGURES)
def test_captions_follow_the_tables(name, other):
    caption = draw(name, other)[1]
    assert "n = 52 structures of 9 molecules, 1 seed" in caption
    assert "1 seeds" not in caption and not re.search(r"\b11\b", caption)


def test_binned_figures_say_which_structures_they_hold(tmp_path):
    """39 binned structures are more than the 30 of the held-out groups: some are in distribution."""
    more = draw("fig_force_norm", make_tables(tmp_path / "a", n=30))[1]
    assert "in distribution and held-out" in more and "n = 39 structures" in more
    all_held_out = draw("fig_force_norm", make_tables(tmp_path / "b", n=39))[1]
    assert "(held-out shift groups)" in all_held_out and "n = 39 structures of 11 molecules" in all_held_out


@pytest.mark.parametrize("name", FIGURES)
def test_force_error_axes_have_units_and_the_chemical_accuracy_line(name, drawn):
    figure = drawn[name][0]
    labels = {a: (a.get_xlabel(), a.get_ylabel()) for a in figure.axes if a.get_visible()}
    assert any("meV/Å" in text for pair in labels.values() for text in pair)
    if name in BINS:  # there the axis is cut into bins of the force error
        return
    values = [
        set(line.get_xdata() if name in ("fig_shift_axes", "fig_ablations", "fig_variants") else line.get_ydata())
        for a in labels
        for line in a.lines
        if line.get_linestyle() == "--"
    ]
    difference = lambda axes: any(w in text for text in labels[axes] for w in ("Change", "Gain"))
    panels = [a for a in labels if a.lines and not difference(a)]
    assert sum(v == {statistics.CHEMICAL_ACCURACY} for v in values) == len(panels)


@pytest.mark.parametrize("name", FIGURES)
def test_saved_figures_are_reproducible_and_undated(name, run, tmp_path):
    # one PNG is as good as all of them, and slow
    for suffix in ("svg", "png") if name == "fig_frontier" else ("svg",):
        paths = [tmp_path / f"{k}.{suffix}" for k in range(2)]
        for path in paths:
            style.save(draw(name, run[1])[0], path)
        first, second = (p.read_bytes() for p in paths)
        assert first == second and len(first) > 1000
    assert b"dc:date" not in (tmp_path / "0.svg").read_bytes()


def test_texts_stay_in_the_figure_and_apart(drawn, awkward):
    for figures in (drawn, {name: draw(name, awkward) for name in FIGURES}):
        for name, (figure, _) in figures.items():
            assert faults(figure) == [], name
            legend = figure.legends[0].get_window_extent()
            assert not any(a.get_window_extent().overlaps(legend) for a in figure.axes if a.get_visible()), name


def test_what_leaves_the_figure_is_found():
    figure, panels = style.canvas(2, 1, 2, left=0.5, right=0.1, top=0.5, bottom=0.5, wspace=0.3)
    assert faults(figure) == []
    panels[0, 1].set_title("A title that is longer than what is left of the page beside it")
    panels[0, 0].set_xticks([0, 0.01], ["first", "second"])
    found = faults(figure)
    assert any("A title" in line and "leaves" in line for line in found)
    assert "'first' and 'second' overlap" in found


def test_intervals_of_one_molecule_are_marked(drawn, awkward):
    """Dotted in the drawing, called too narrow in legend and caption; of several molecules they are not."""
    counts = ("fig_error_bins", "fig_prior_bins")
    for name in set(FIGURES) - {*counts, "fig_shift_axes"}:
        caption = draw(name, awkward)[1]
        assert "one molecule alone" in caption and "too narrow" in caption, name
        assert "too narrow" not in drawn[name][1]
    for name in set(FIGURES) - {*counts, "fig_prior_gain"}:
        labels = [t.get_text() for t in draw(name, awkward)[0].legends[0].get_texts()]
        assert any("of one molecule" in label.lower() for label in labels), name
    bars = lambda figure: [c for a in figure.axes for c in a.collections if isinstance(c, LineCollection)]
    dotted = lambda figure: [c for c in bars(figure) if c.get_linestyle()[0][1] is not None]
    shown = [key for key in MEANS if not methods.METHODS[key].aside]
    assert len(dotted(draw("fig_frontier", awkward)[0])) == 2 * len(shown) and not dotted(drawn["fig_frontier"][0])


def test_a_method_looks_the_same_everywhere_and_like_no_other(drawn, awkward):
    keys = [*methods.METHODS, *methods.SCHEMES, *(f"own_{k}" for k in range(6))]
    looks = methods.looks(dict.fromkeys(keys))
    assert len(set(looks.values())) == len(looks)
    colours = {look[0] for look in looks.values()}
    groups = style.group_looks([f"ood_{k}" for k in range(8)])
    assert len(groups) == 8 and colours.isdisjoint(colour for colour, _ in style.SERIES)
    seen = {}
    for name in FIGURES:
        for figure in (drawn[name][0], draw(name, awkward)[0]):
            found = {}
            for entry in figure.legends[0].legend_handles:
                if isinstance(entry, Line2D) and entry.get_marker() not in ("None", "", None):
                    look = entry.get_color(), entry.get_marker(), str(entry.get_markerfacecolor())
                    found[entry.get_label()] = look
            assert len(set(found.values())) == len(found), name
            for label, look in found.items():
                assert seen.setdefault(label, look) == look, (name, label)
    assert {methods.title(key) for key in MEANS if not methods.METHODS[key].aside} - {"Zero forces"} <= set(seen)


@pytest.mark.parametrize("key", ["delta", "joint_corrected"])
def test_what_the_same_prior_calls_give_is_in_every_comparison(key, drawn):
    for name, (figure, _) in drawn.items():
        assert any(methods.title(key) in text for text in texts(figure)), name


@pytest.mark.parametrize("missing", [("joint_corrected",), ("delta",), ("joint_corrected", "delta")])
def test_a_run_without_them_is_drawn_without_them(missing, run, tmp_path):
    """No correction, no Δ-learning, or neither."""
    for name, path in run[1].items():
        table = read_table(path)
        for column in ("method", "baseline", "choice"):
            if column in table:
                table = table[~table[column].isin(missing)]
        table = table.assign(**{f"{key}_meV_per_A": np.nan for key in missing if name == "gains"})
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    paths = drawing.find_tables([tmp_path])
    for name in set(FIGURES) - {"fig_ablations"}:
        figure, caption = draw(name, paths)
        assert faults(figure) == [], name
        assert not any(methods.title(key) in text for key in missing for text in [*texts(figure), caption]), name


def test_a_few_errors_that_vanish_do_not_stretch_an_axis(run, tmp_path):
    """As of symmetric crystals: they are open at the edge, and the caption says how many."""
    table = read_table(run[1]["gains"])
    table = pd.concat([table] * 5)
    table.loc[table.id == "ood_larger/3", "after_meV_per_A"] = 1e-6
    table.to_csv(tmp_path / "gains.csv", index=False)
    figure, caption = draw("fig_prior_gain", run[1] | {"gains": tmp_path / "gains.csv"})
    assert "Open at the edge: 5 errors beyond the axes" in caption
    low, high = figure.axes[1].get_ylim()
    assert high / low < 100
    for name in ("frontier", "summary", "steps", "bins"):
        table = read_table(run[1][name])
        errors = [c for c in table if c.endswith("meV_per_A")]
        table[errors] = table[errors].astype(float).where(table.method != "joint", 1e-6)
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    for name in ("fig_frontier", "fig_force_norm", "fig_ttt_steps"):
        figure = draw(name, run[1] | drawing.find_tables([tmp_path]))[0]
        low, high = figure.axes[0].get_ylim()
        assert high / low < 2000, name


def test_bins_are_drawn_where_structures_are(run, tmp_path, drawn):
    ticks = [t.get_text() for t in drawn["fig_error_bins"][0].axes[-1].get_xticklabels()]
    assert ticks == ["0–25", "25–50", "> 50"], "that from 800 to 900 is empty"
    table = read_table(run[1]["bins"])
    table[table.bin_left != 1.0].to_csv(tmp_path / "bins.csv", index=False)
    panel = draw("fig_force_norm", run[1] | {"bins": tmp_path / "bins.csv"})[0].axes[0]
    lines = [line for line in panel.lines if len(line.get_xdata()) > 1 and line.get_linestyle() == "-"]
    assert not lines, "no line leads over a bin without structures"


def test_error_bins_draw_the_counts_of_the_table(drawn):
    panel = drawn["fig_error_bins"][0].axes[0]
    heights = [bar.get_height() for bar in panel.patches]
    assert heights == [9, 8, 20, 13, 9, 15, *([9, 8, 20] * 2)]  # before, after, correction, Δ-learning
    assert {"+4", "+1", "−5"} <= {t.get_text() for t in panel.texts}
    assert "9 of 37 before, 13 of 37 after" in drawn["fig_error_bins"][1]


def test_frontier_puts_every_method_at_its_cost_and_error(run, drawn):
    frontier, seconds = (read_table(run[1][t]).set_index("method") for t in ("frontier", "seconds"))
    panel = drawn["fig_frontier"][0].axes[1]
    points = {tuple(np.round([line.get_xdata()[0], line.get_ydata()[0]], 6)) for line in panel.lines}
    for key, row in frontier.iterrows():
        if methods.METHODS[key].aside:
            assert methods.title(key) in drawn["fig_frontier"][1]
            continue
        assert (round(seconds.seconds_per_structure[key], 6), round(row["mean_meV_per_A"], 6)) in points


def test_validation_groups_are_not_shown(drawn):
    for figure, caption in drawn.values():
        assert not any("validation" in t for t in [*texts(figure), caption])


def test_what_has_nothing_to_draw_or_no_measured_time_says_so(run, tmp_path):
    table = read_table(run[1]["seconds"])
    table[table.method != "delta"].to_csv(tmp_path / "seconds.csv", index=False)
    caption = draw("fig_frontier", run[1] | {"seconds": tmp_path / "seconds.csv"})[1]
    assert caption.endswith(" Not in (b), as no time was measured: Δ-learning.")
    (tmp_path / "conformers.csv").write_text("group,scheme\n")
    figure, caption = draw("fig_conformers", {"conformers": tmp_path / "conformers.csv"})
    assert caption == "Other geometries of a molecule: no held-out molecule has two or more geometries."
    assert texts(figure)[-1] == "No held-out molecule has two or more geometries."


def test_wrong_input_is_a_user_error(run, tmp_path):
    paths = run[1]
    with pytest.raises(UserError, match="fig_frontier"):
        drawing.draw("fig_nothing", paths, "")
    with pytest.raises(UserError, match=r"steps\.csv"):
        draw("fig_ttt_steps", {k: v for k, v in paths.items() if k != "steps"})
    empty = tmp_path / "bins.csv"
    empty.write_text(paths["bins"].read_text().splitlines()[0] + "\n")
    figure, caption = draw("fig_force_norm", paths | {"bins": empty})
    assert caption.startswith("Force error by force norm: bins.csv has no rows for") and len(texts(figure)) == 2
    cut = tmp_path / "frontier.csv"
    cut.write_text("method,mean_meV_per_A,ci_low_meV_per_A,ci_high_meV_per_A\njoint,5,4,6\n")
    with pytest.raises(UserError, match=r"frontier\.csv: .*fig_frontier needs: prior_calls_per_structure"):
        draw("fig_frontier", paths | {"frontier": cut})


@pytest.mark.parametrize("name", FIGURES)
def test_tables_without_rows_end_no_figure(run, tmp_path, name):
    """As those of a run without an adaptation, a refinement or a reference label."""
    for table in FIGURES[name].tables:
        (tmp_path / f"{table}.csv").write_text(run[1][table].read_text().splitlines()[0] + "\n")
    figure, caption = draw(name, drawing.find_tables([tmp_path]))
    assert len(texts(figure)) == 2 and caption.endswith(".")


@pytest.mark.parametrize("error", [AttributeError, KeyError])
def test_an_error_of_the_program_is_not_called_one_of_the_table(error, run, monkeypatch):
    def broken(*_):
        raise error("no such thing")

    monkeypatch.setattr(style, "head", broken)
    with pytest.raises(error, match="no such thing"):
        draw("fig_frontier", run[1])


@pytest.mark.parametrize("name", FIGURES)
def test_every_column_that_a_figure_uses_is_stated(name, run, tmp_path):
    """Drawn from tables of the stated columns alone, it is the same."""
    paths = {}
    for table, columns in drawing.module_of(name).NEEDS.items():
        paths[table] = tmp_path / f"{table}.csv"
        read_table(run[1][table])[list(columns)].to_csv(paths[table], index=False)
    assert draw(name, paths)[1] == draw(name, run[1])[1]


def test_neither_a_caption_nor_another_figure_draws_a_figure_again():
    library = lambda path: {Path(p).name for p in sources.library_of(path, ROOT / "workflow")}
    loaded = library(ROOT / "workflow" / "scripts" / "plot_figure.py")
    for name in FIGURES:
        used = loaded | library(drawing.FIGURES / f"{name}.py")
        assert not any(n.startswith("fig_") for n in used) and "figures.py" not in used
        assert "page.py" not in used
    assert not any(n.startswith(("fig_", "style", "panels")) for n in library(ROOT / "workflow/scripts/make_report.py"))


def script(name, *words):
    command = [sys.executable, str(ROOT / "workflow" / "scripts" / f"{name}.py"), *map(str, words)]
    environment = {"PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_scripts_draw_and_fail_in_one_line(run, drawn, tmp_path):
    tables = [run[1][name] for name in FIGURES["fig_frontier"].tables]
    facts, caption = tmp_path / "a.json", tmp_path / "a.txt"
    common = ("--title", "A title", "--tables", *tables, "--log", tmp_path / "log")
    files = ("--svg", tmp_path / "a.svg", "--png", tmp_path / "a.png", "--facts", facts)
    done = script("plot_figure", "--name", "fig_frontier", *common, *files)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    done = script("write_caption", "--caption", FIGURES["fig_frontier"].caption, "--facts", facts, "--output", caption)
    assert done.returncode == 0, done.stderr
    assert caption.read_text(encoding="utf-8") == drawn["fig_frontier"][1] + "\n"
    wrong = script("plot_figure", "--name", "fig_none", *common, *files)
    assert wrong.returncode == 1 and len(wrong.stderr.strip().splitlines()) == 1
    facts.write_text(json.dumps({"accuracy": "43"}))
    template = FIGURES["fig_frontier"].caption
    wrong = script("write_caption", "--caption", template, "--facts", facts, "--output", tmp_path / "b.txt")
    assert wrong.returncode == 1 and "no fact 'sample' for the caption" in wrong.stderr
    assert not (tmp_path / "b.txt").exists()

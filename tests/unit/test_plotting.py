"""Figures, captions and report, drawn from small tables made here."""

import base64
import json
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from mlipshift.base.errors import UserError
from mlipshift.base.tables import read_table, write_table
from mlipshift.catalogue import names
from mlipshift.evaluate import statistics
from mlipshift.show import plotting, reporting

ROOT = Path(__file__).resolve().parents[2]
ALL_FIGURES = [*plotting.FIGURES, *plotting.EXTRA_FIGURES]
BINS = ("fig_error_bins", "fig_prior_bins")  # numbers of structures, without an interval
GROUPS = ["id_test", "val_force_norm", *(f"ood_{a}" for a in names.AXES), "ood_all"]
MEANS = {  # meV/Å on the pooled held-out groups
    "zero": 900.0,
    "prior": 160.0,
    "supervised": 120.0,
    "supervised_rr": 125.0,
    "freeze": 150.0,
    "freeze_ttt": 130.0,
    "joint": 110.0,
    "joint_ttt": 70.0,
    "joint_placebo": 140.0,
    "delta": 55.0,
}
PAIRS = [
    ("joint_ttt", "joint"),
    ("freeze_ttt", "freeze"),
    ("joint_placebo", "joint"),
    ("joint_ttt", "supervised"),
    ("joint_ttt", "prior"),
    ("joint_ttt", "delta"),
    ("supervised_rr", "supervised"),
]
CALLS = {"prior": 1, "delta": 1, "freeze_ttt": 1, "joint_ttt": 1, "joint_placebo": 1}


def interval(mean, half=8.0):
    return {"mean_meV_per_A": mean, "ci_low_meV_per_A": mean - half, "ci_high_meV_per_A": mean + half}


def make_tables(folder, means=MEANS, n=37, molecules=11, seeds=3, half=8.0):
    """Every table of a run, consistent with `means`; half: half width of the paired intervals."""
    tables, timings = folder / "tables", folder / "timings"
    level = {"id_test": 0.4, "ood_all": 1.0}
    no_seed = ("zero", "prior")

    def mean(group, key):
        return means[key] * level.get(group, 1.0)

    sizes = {"n_structures": n, "n_molecules": molecules}
    write_table(
        tables / "summary.csv",
        [
            {
                "group": g,
                "method": k,
                **sizes,
                "n_seeds": None if k in no_seed else seeds,
                **interval(mean(g, k)),
            }
            | {"median_meV_per_A": 50.0, "q25_meV_per_A": 30.0, "q75_meV_per_A": 90.0}
            | {"below_25_meV_per_A": 0.1, "below_43_meV_per_A": 0.3}
            for g in GROUPS
            for k in means
        ],
    )
    write_table(
        tables / "paired.csv",
        [
            {"group": g, "method": a, "baseline": b, **sizes, "n_seeds": seeds}
            | {"baseline_mean_meV_per_A": mean(g, b), "method_mean_meV_per_A": mean(g, a)}
            | {"difference_meV_per_A": mean(g, a) - mean(g, b)}
            | {"ci_low_meV_per_A": mean(g, a) - mean(g, b) - half}
            | {"ci_high_meV_per_A": mean(g, a) - mean(g, b) + half}
            | {"median_relative_change": -0.2, "fraction_improved": 0.7, "fraction_worsened": 0.3}
            | {"below_25_before": 0.1, "below_25_after": 0.2}
            for g in GROUPS
            for a, b in PAIRS
        ],
    )
    edges = {"force_norm": [0.0, 1.0, 2.0, 6.0], "window_fraction": [0.0, 0.3, 0.6, 0.9]}
    write_table(
        tables / "bins.csv",
        [
            {
                "axis": axis,
                "subset": subset,
                "bin_left": a,
                "bin_right": b,
                "method": k,
                "n_structures": 12 + j if subset == "all" else 1 + j,
                **interval(20 + means[k] * j),
            }
            for axis, cuts in edges.items()
            for subset in ("all", "top10_joint_ttt")
            for j, (a, b) in enumerate(zip(cuts[:-1], cuts[1:]))
            for k in means
        ],
    )
    write_table(
        tables / "training_density.csv",
        [
            {"axis": axis, "bin_left": a, "bin_right": b, "density": d}
            for axis, cuts in edges.items()
            for a, b, d in zip(cuts[:-1], cuts[1:], (0.2, 0.7, 0.0))
        ],
    )
    write_table(
        tables / "error_bins.csv",
        [
            {
                "method": k,
                "bin_left_meV_per_A": a,
                "bin_right_meV_per_A": b,
                "n_structures": c + (k[-3:] == "ttt") * s,
            }
            for k in ("joint", "joint_ttt", "freeze", "freeze_ttt")
            for a, b, c, s in ((0, 25, 9, 4), (25, 50, 8, 1), (50, None, 20, -5))
        ],
    )
    rng = np.random.default_rng(0)
    write_table(
        tables / "gains.csv",
        [
            {"id": f"{g}/{k}", "group": g, "molecule": f"m{k}", "method": "joint_ttt", "baseline": "joint"}
            | {"prior_error_meV_per_A": e, "before_meV_per_A": 2 * e, "after_meV_per_A": e * f}
            for g in ("id_test", "ood_larger", "ood_force_norm")
            for k, (e, f) in enumerate(zip(rng.uniform(40, 400, 20), rng.uniform(0.3, 1.5, 20)))
        ],
    )
    found = {"method": "joint_ttt", "group": "ood_all", "of": "gain", **sizes}
    write_table(
        tables / "gain_correlation.csv",
        [
            found | {"with": w, "spearman": -0.25, "ci_low": -0.5, "ci_high": 0.1}
            for w in ("prior_error", "error_before")
        ],
    )
    write_table(
        tables / "published.csv",
        [
            {"quantity": "Error ratio", "model": "MACE-OFF", "data": "SPICE", "published": 3.4, "unit": "ratio"}
            | {"reading": "digitised", "place": "Fig. 2", "ours": x, "ours_is": "supervised"}
            for x in (2.75, None)
        ],
    )
    write_table(
        tables / "steps.csv",
        [
            {
                "group": g,
                "method": k,
                "step": s,
                "n_structures": n,
                **interval(mean(g, k) + 20 * np.exp(-s / 5)),
            }
            | {"prior_loss_meV_per_A": 50.0}
            for g in GROUPS
            for k in ("joint_ttt", "joint_placebo", "freeze_ttt")
            for s in (0, 5, 20)
        ],
    )
    write_table(
        tables / "shift_axes.csv",
        [
            {"axis": x, "group": g, "method": k, "n_structures": n, "n_seeds": seeds, **interval(mean(g, k))}
            for x in names.AXES
            for g in ("id_test", f"ood_{x}")
            for k in means
        ],
    )
    write_table(
        tables / "frontier.csv",
        [
            {
                "method": k,
                **interval(means[k]),
                "prior_calls_per_structure": CALLS.get(k, 0),
                "n_structures": n,
            }
            for k in means
        ],
    )
    write_table(
        tables / "failures.csv",
        [{"id": "ood_larger/x/00", "stage": "prior", "reason": "not <converged>"}],
        ["id", "stage", "reason"],
    )
    write_table(
        timings / "seconds.csv",
        [{"method": k, "seconds_per_structure": 0.01 * (1 + j), "n_structures": n} for j, k in enumerate(means)],
    )
    write_table(
        timings / "durations.csv",
        [{"rule": "train", "jobs": 3, "seconds_total": 5400.0, "max_rss_MB": 812.0}],
    )
    info = {
        "versions": {"numpy": "9.8.7"},
        "python": "3.11",
        "platform": "test",
        "cpu": "a processor",
        "cores": 2,
        "git_commit": "",
        "seeds": list(range(seeds)),
        "config": {"ttt": {"steps": 77, "record": [0, 5]}, "name": "<b>&"},
        "date_utc": "2026-01-02T03:04:05Z",
    }
    shift = {"axis": "connectivity", "criterion": "window_fraction", "n_structures": n, "mean": 0.2}
    known = {"training_mean": 0.5, "training_standard_deviation": 0.1}
    write_table(
        tables / "shift_summary.csv",
        [
            {**shift, "group": g, **known, "fraction_outside": x}
            for g, x in (("train", 0.99), ("id_test", 0.125), ("ood_connectivity", 0.875))
        ],
    )
    refined = {"n_structures": n, "trained_cutoff_A": 5.0, "mean_radius_A": 4.321}
    shares = ("fraction_below_trained", "fraction_edges_removed", "fraction_refined_with_fallback")
    write_table(
        tables / "refinement.csv",
        [{"strategy": "joint", "group": "ood_all", **refined, **dict(zip(shares, (0.61, 0.29, 0.043)))}],
    )
    point = {**sizes, "n_seeds": seeds}
    unseen = lambda geometries, scheme: means["joint_ttt"] + 16.0 - 4 * geometries + 5 * scheme
    write_table(
        tables / "conformers.csv",
        [
            {"group": g, **point, "scheme": s, "strategy": "joint", "geometries": k, "prior_calls_per_molecule": 5 * k}
            | interval(unseen(k, j))
            | {"baseline": b, "baseline_mean_meV_per_A": means[b], "difference_meV_per_A": unseen(k, j) - means[b]}
            | {f"difference_ci_{e}_meV_per_A": unseen(k, j) - means[b] + d for e, d in (("low", -half), ("high", half))}
            | {"fraction_improved": 0.8, "fraction_worsened": 0.2}
            for g in ("ood_all", "ood_common", "ood_force_norm")
            for j, s in enumerate(("joint_ttt", "joint_distil"))
            for k in (1, 2, 4)
            for b in ("joint", "supervised", "prior", "delta")
        ],
    )
    write_table(
        tables / "variants_paired.csv",
        [
            {"group": "ood_all", "method": "joint_published", "baseline": "joint", **sizes, "n_seeds": seeds}
            | {"baseline_mean_meV_per_A": 110.0, "method_mean_meV_per_A": 91.5, "difference_meV_per_A": -18.5}
            | {"ci_low_meV_per_A": -25.0, "ci_high_meV_per_A": -12.0, "fraction_improved": 0.7}
            | {"fraction_worsened": 0.3}
        ],
    )
    choice = {"prior_seconds": 0.01, "predictions_per_adaptation": 1000, "choice": "joint_distil (4)"}
    choice |= {"error_meV_per_A": 60.0, "seconds_per_prediction": 0.002, "frontier": "delta > joint_distil (4)"}
    write_table(timings / "decision.csv", [choice | {"budget_seconds_per_prediction": b} for b in (0.1, None)])
    write_table(
        tables / "ablations.csv",
        [
            {"point": p, "prior": p, "noise": 0.0, "fraction": f, "group": "ood_all", **sizes, "n_seeds": seeds}
            | {f"{k}_meV_per_A": means[k] for k in ("prior", "supervised", "delta", "joint", "joint_ttt")}
            | {"gain_meV_per_A": 40.0, "gain_ci_low_meV_per_A": 30.0, "gain_ci_high_meV_per_A": 50.0}
            for p, f in (("GFN2-xTB", 1.0), ("Morse", 1.0), ("GFN2-xTB", 0.3))
        ],
    )
    write_table(
        tables / "ablation_bins.csv",
        [
            {"point": p, "method": k, "bin_left_meV_per_A": a, "bin_right_meV_per_A": b}
            | {"n_structures": c + s * (k[-3:] == "ttt")}
            for p in ("GFN2-xTB", "Morse")
            for k in ("joint", "joint_ttt")
            for a, b, c, s in ((0, 25, 9, 4), (25, 50, 8, 1), (50, None, 20, -5))
        ],
    )
    (folder / "run_info.json").write_text(json.dumps(info))
    return plotting.find_tables([tables, timings])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Folder of a finished run, and the paths of its tables."""
    folder = tmp_path_factory.mktemp("run")
    return folder, make_tables(folder)


@pytest.fixture(scope="module")
def drawn(run):
    """{name: (figure, caption)} of every figure."""
    return {name: plotting.draw(name, run[1]) for name in ALL_FIGURES}


def texts(figure):
    """Every visible text of a figure."""
    from matplotlib.text import Text

    return [t.get_text() for t in figure.findobj(Text) if t.get_visible() and t.get_text()]


@pytest.mark.parametrize("name", ALL_FIGURES)
def test_every_figure_states_n_and_the_interval(name, drawn):
    figure, caption = drawn[name]
    binned = name in ("fig_force_norm", "fig_connectivity")  # hold the in-distribution structures, too
    assert ("n = 39 structures" if binned else "n = 37 structures of 11 molecules, 3 seeds") in caption
    assert any(re.search(r"\bn = 3[79]\b", t) for t in texts(figure))
    if name not in BINS:
        assert plotting.INTERVAL in caption


@pytest.mark.parametrize("name", ALL_FIGURES)
def test_captions_follow_the_tables(name, tmp_path):
    other = plotting.draw(name, make_tables(tmp_path, n=52, molecules=9, seeds=1))[1]
    assert "n = 52 structures of 9 molecules, 1 seed" in other
    assert "1 seeds" not in other and not re.search(r"\b11\b", other)


def test_binned_figures_say_which_structures_they_hold(tmp_path):
    """39 binned structures are more than the 30 of the held-out groups: some are in distribution."""
    more = plotting.draw("fig_force_norm", make_tables(tmp_path / "a", n=30))[1]
    assert "in distribution and held-out" in more and "n = 39 structures" in more
    all_held_out = plotting.draw("fig_force_norm", make_tables(tmp_path / "b", n=39))[1]
    assert "(held-out shift groups)" in all_held_out and "n = 39 structures of 11 molecules" in all_held_out


@pytest.mark.parametrize("name", ALL_FIGURES)
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


@pytest.mark.parametrize("name", ALL_FIGURES)
def test_saved_figures_are_reproducible_and_undated(name, run, tmp_path):
    # one PNG is as good as all of them, and slow
    for suffix in ("svg", "png") if name == "fig_frontier" else ("svg",):
        paths = [tmp_path / f"{k}.{suffix}" for k in range(2)]
        for path in paths:
            plotting.save(plotting.draw(name, run[1])[0], path)
        first, second = (p.read_bytes() for p in paths)
        assert first == second and len(first) > 1000
    assert b"dc:date" not in (tmp_path / "0.svg").read_bytes()


def test_texts_do_not_leave_the_figure_and_titles_do_not_overlap(drawn):
    for name, (figure, _) in drawn.items():
        figure.canvas.draw()
        box = figure.bbox
        legend = figure.legends[0].get_window_extent()
        assert legend.x0 >= box.x0 and legend.x1 <= box.x1 and legend.y0 >= box.y0, name
        for axes in figure.axes:
            if axes.get_visible():
                assert not axes.get_window_extent().overlaps(legend), name
        heads = [t.get_window_extent() for t in figure.texts]
        assert all(h.x1 <= box.x1 for h in heads) and not heads[0].overlaps(heads[1]), name


def test_a_method_looks_the_same_everywhere_and_like_no_other():
    assert set(plotting.STYLE) == set(names.METHODS) == set(names.MEANING)
    assert len(set(plotting.STYLE.values())) == len(plotting.STYLE)


def test_error_bins_draw_the_counts_of_the_table(drawn):
    panel = drawn["fig_error_bins"][0].axes[0]
    heights = [bar.get_height() for bar in panel.patches]
    assert heights == [9, 8, 20, 13, 9, 15]
    assert {"+4", "+1", "−5"} <= {t.get_text() for t in panel.texts}
    assert "9 of 37 before, 13 of 37 after" in drawn["fig_error_bins"][1]


def test_frontier_puts_every_method_at_its_cost_and_error(run, drawn):
    frontier, seconds = (read_table(run[1][t]).set_index("method") for t in ("frontier", "seconds"))
    panel = drawn["fig_frontier"][0].axes[1]
    points = {tuple(np.round([line.get_xdata()[0], line.get_ydata()[0]], 6)) for line in panel.lines}
    for key, row in frontier.iterrows():
        assert (round(seconds.seconds_per_structure[key], 6), round(row["mean_meV_per_A"], 6)) in points


def test_validation_groups_are_not_shown(drawn):
    for figure, caption in drawn.values():
        assert not any("validation" in t for t in [*texts(figure), caption])


def test_wrong_input_is_a_user_error(run, tmp_path):
    paths = run[1]
    with pytest.raises(UserError, match="fig_frontier"):
        plotting.draw("fig_nothing", paths)
    with pytest.raises(UserError, match=r"steps\.csv"):
        plotting.draw("fig_ttt_steps", {k: v for k, v in paths.items() if k != "steps"})
    empty = tmp_path / "bins.csv"
    empty.write_text(paths["bins"].read_text().splitlines()[0] + "\n")
    with pytest.raises(UserError, match=r"bins\.csv: no rows"):
        plotting.draw("fig_force_norm", paths | {"bins": empty})
    cut = tmp_path / "frontier.csv"
    cut.write_text("method,mean_meV_per_A\njoint,5\n")
    with pytest.raises(UserError, match="column is missing"):
        plotting.draw("fig_frontier", paths | {"frontier": cut})


def script(name, *words):
    command = [sys.executable, str(ROOT / "workflow" / "scripts" / f"{name}.py"), *map(str, words)]
    environment = {"PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def build(folder):
    """Figures and report of the run in `folder`; HTML of the report."""
    figures = folder / "figures"
    figures.mkdir()
    paths = plotting.find_tables([folder / "tables", folder / "timings"])
    for name in plotting.FIGURES:
        figure, caption = plotting.draw(name, paths)
        plotting.save(figure, figures / f"{name}.svg")
        (figures / f"{name}.txt").write_text(caption)
    done = script(
        "make_report", "--tables", folder / "tables", "--timings", folder / "timings", "--figures", figures,
        "--run-info", folder / "run_info.json", "--output", folder / "report.html", "--log", folder / "log",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return (folder / "report.html").read_text(encoding="utf-8")


def words(page):
    """Text of the page without tags."""
    page = re.sub(r"<(style|script).*?</\1>", "", page.replace("</td>", " "), flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", "", page)).split())


@pytest.fixture(scope="module")
def page(run):
    return build(run[0])


def test_report_needs_nothing_from_outside(page):
    resources = re.findall(r"<(?:script|link|img|iframe|source|object)\b[^>]*?(?:src|href|data)\s*=\s*\"([^\"]*)", page)
    assert len(resources) == len(plotting.FIGURES)
    assert all(r.startswith("data:image/svg+xml;base64,") for r in resources)
    assert not re.search(r"@import|url\(", page)
    for source in resources:
        drawing = base64.b64decode(source.split(",", 1)[1]).decode()
        assert not re.search(r"(?:href|src)\s*=\s*\"(?:https?:)?//", drawing)


def test_report_holds_every_figure_caption_and_table(page, drawn):
    text = words(page)
    for name, (_, caption) in drawn.items():
        if name in plotting.EXTRA_FIGURES:
            continue
        assert f'id="{name}"' in page
        assert caption in text
    for part in ("9.8.7", "ttt.steps", "77", "a processor", "1.5 h", "ood_larger/x/00", "10.1039/D5DD00260E"):
        assert part in text
    for part in (
        "Eigenvalues in [0.9, 1.1] 12 % 88 %",
        "Joint All held-out shifts 37 5.00 4.32 61 % 29 % 4.3 %",
        "joint published Joint 91.5 110.0 −18.5 [−25.0, −12.0] 70 % 30 % 37",
        "Joint + distillation 4 20 75.0 [67.0, 83.0] Δ-learning 55.0 +20.0 [+12.0, +28.0] 80 % 37",
        "0.01 s 1,000 any Joint + distillation (4) 60.0 0.002 s Δ-learning > Joint + distillation (4)",
    ):
        assert part in text
    assert 'title="joint_ttt: ' in page and "Joint + TTT" in text
    assert "not &lt;converged&gt;" in page and "&lt;b&gt;&amp;" in page


def test_report_states_the_numbers_of_the_tables(page):
    text = words(page)
    assert (
        "TTT lowers the force MAE of the Joint model on the held-out shift groups: from 110.0 to 70.0 meV/Å"
        " (paired difference −40.0, 95 % interval [−48.0, −32.0]; 37 structures of 11 molecules, 3 seeds)"
    ) in text
    assert "Joint + TTT is less accurate than Δ-learning (paired difference +15.0 meV/Å [+7.0, +23.0])" in text
    assert "Prior gives 160.0 meV/Å [152.0, 168.0]" in text
    assert "The gain of TTT therefore needs the prior labels of the structure itself" in text
    assert "The lowest mean force MAE on the held-out shift groups has Δ-learning (55.0 meV/Å" in text
    assert (
        "Adapted on 1 geometry, Joint + TTT lowers the force MAE: from 110.0 to 82.0 meV/Å (paired difference −28.0"
    ) in text
    assert "On 4 geometries the best scheme is Joint + TTT, from 110.0 to 70.0 meV/Å" in text
    assert "Error ratio" in text and "2.75" in text and "3.4" in text
    assert "10 % are below 25 meV/Å before and 20 % after" in text


def test_a_negative_result_is_reported_as_one(tmp_path):
    make_tables(tmp_path, MEANS | {"joint_ttt": 130.0, "freeze_ttt": 152.0})
    text = words(build(tmp_path))
    assert "TTT raises the force MAE of the Joint model on the held-out shift groups: from 110.0 to 130.0" in text
    assert "TTT does not measurably change the force MAE of the Freeze model" in text
    assert "TTT lowers the force MAE" not in text
    assert "gain of TTT" not in text
    assert "lowers the error in 0 of 4 shift groups, raises it in 4" in text
    assert "Joint + TTT is less accurate than Δ-learning" in text


def summary(paths):
    """All sentences of the summary of the tables at `paths`."""
    results = reporting.Results({name: read_table(path) for name, path in paths.items()})
    return " ".join(s["text"] for s in reporting.sentences(results))


def test_no_claim_where_the_interval_holds_zero(tmp_path):
    text = summary(make_tables(tmp_path, half=500.0))
    assert "does not measurably change" in text and "cannot be told apart from" in text
    assert not re.search(r"TTT (lowers|raises) the force|is (more|less) accurate than|gain of TTT", text)


def test_noise_of_the_summation_is_no_result(tmp_path):
    means = MEANS | {"supervised_rr": MEANS["supervised"] - 1e-5}
    text = summary(make_tables(tmp_path, means, half=1e-6))
    assert "Radius refinement leaves the force MAE as it is for Supervised as published" in text
    assert not re.search(r"Radius refinement \S+ (lowers|raises)", text)


def test_a_tie_goes_to_the_plainer_method(tmp_path):
    means = {"supervised": 120.0, "supervised_rr": 119.99999, "prior": 160.0}
    folder = tmp_path / "tables"
    make_tables(tmp_path)
    tables = {n: read_table(p) for n, p in plotting.find_tables([folder, tmp_path / "timings"]).items()}
    rows = tables["frontier"]
    tables["frontier"] = rows[rows.method.isin(means)].assign(mean_meV_per_A=lambda t: t.method.map(means))
    choice = next(s for s in reporting.sentences(reporting.Results(tables)) if s["title"] == "Which to use")
    assert "has Supervised (120.0" in choice["text"] and "RR" not in choice["text"]


def test_a_placebo_that_helps_is_not_hidden(tmp_path):
    text = summary(make_tables(tmp_path, MEANS | {"joint_placebo": 90.0}))
    assert "The placebo reaches 50 % of the gain of TTT" in text
    assert "needs the prior labels of the structure itself" not in text


ROUNDED = [
    (131.04, False, "131.0"),
    (-4.25, True, "−4.2"),
    (0.04, True, "0.0"),
    (-0.04, True, "0.0"),
    (2.0, True, "+2.0"),
    (1234.6, False, "1,235"),
    (float("nan"), False, "–"),
    (None, False, "–"),
]


@pytest.mark.parametrize(("value", "sign", "text"), ROUNDED)
def test_numbers_are_rounded_with_a_true_minus_sign(value, sign, text):
    assert reporting.number(value, sign) == text


def test_scripts_draw_and_fail_in_one_line(run, tmp_path):
    folder = run[0]
    common = ("--tables", folder / "tables", "--timings", folder / "timings", "--log", tmp_path / "log")
    files = ("--svg", tmp_path / "a.svg", "--png", tmp_path / "a.png", "--caption", tmp_path / "a.txt")
    done = script("plot_figure", "--name", "fig_frontier", *common, *files)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "37 structures" in (tmp_path / "a.txt").read_text()
    wrong = script("plot_figure", "--name", "fig_none", *common, *files)
    assert wrong.returncode == 1 and len(wrong.stderr.strip().splitlines()) == 1
    report = ("--run-info", folder / "run_info.json", "--output", tmp_path / "r.html")
    wrong = script("make_report", *common, "--figures", tmp_path / "none", *report)
    assert wrong.returncode == 1 and "fig_shift_axes.svg" in wrong.stderr
    assert not (tmp_path / "r.html").exists()


def test_run_information_and_durations(tmp_path):
    benchmarks = tmp_path / "benchmarks"
    head = "s\th:m:s\tmax_rss\n"
    for name, line in {
        "train/joint_0.tsv": "10.5\t0:00:10\t100.0\n",
        "train/joint_1.tsv": "4.5\t0:00:04\t250.5\n",
        "evaluate.tsv": "0.1\t0:00:00\tNA\n",
        "label_reference_3.tsv": "2.0\t0:00:02\t-\n",
    }.items():
        (benchmarks / name).parent.mkdir(parents=True, exist_ok=True)
        (benchmarks / name).write_text(head + line)
    output, durations = tmp_path / "run_info.json", tmp_path / "durations.csv"
    words = ("--benchmarks", benchmarks, "--seeds", 4, 5, "--output", output, "--durations", durations)
    done = script("collect_run_info", *words, "--config-json", '{"a": {"b": 1}}', "--log", tmp_path / "log")
    assert done.returncode == 0, done.stderr
    table = read_table(durations).set_index("rule")
    assert list(table.index) == ["evaluate", "label_reference", "train"]
    assert tuple(table.loc["train"]) == (2, 15.0, 250.5)
    assert table.max_rss_MB["evaluate"] == 0
    info = json.loads(output.read_text())
    assert info["seeds"] == [4, 5] and info["config"] == {"a": {"b": 1}}
    assert info["versions"]["numpy"] == np.__version__
    assert {"python", "platform", "cpu", "cores", "git_commit", "date_utc"} <= set(info)
    (benchmarks / "evaluate.tsv").write_text("nothing\n")
    wrong = script("collect_run_info", *words, "--config-json", "{}", "--log", tmp_path / "log")
    assert wrong.returncode == 1 and "evaluate.tsv" in wrong.stderr

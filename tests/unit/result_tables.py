"""Every table of a run, small and consistent with a mean error per method."""

import json
from dataclasses import dataclass, field

import numpy as np

from mlipshift.base.tables import write_table
from mlipshift.base.timing import CPU
from mlipshift.catalogue.groups import AXES
from mlipshift.catalogue.methods import prior_calls
from mlipshift.catalogue.tables import TABLES
from mlipshift.evaluate.ablations import MODELS
from mlipshift.show.drawing import find_tables

GROUPS = ["id_test", "val_force_norm", *(f"ood_{a}" for a in AXES), "ood_all"]
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
    "joint_corrected": 65.0,
    "joint_corrected_placebo": 170.0,
    "delta": 55.0,
    "joint_corrected_delta": 52.0,
    "joint_ttt_delta": 58.0,
}
PAIRS = [
    ("joint_ttt", "joint"),
    ("freeze_ttt", "freeze"),
    ("joint_placebo", "joint"),
    ("joint_ttt", "supervised"),
    ("joint_ttt", "prior"),
    ("joint_ttt", "delta"),
    ("supervised_rr", "supervised"),
    ("joint_corrected", "joint"),
    ("joint_corrected", "joint_ttt"),
    ("joint_corrected", "delta"),
    ("joint_corrected_placebo", "joint"),
    ("joint_corrected_delta", "delta"),
    ("joint_ttt_delta", "delta"),
]
CALLS = prior_calls()
LEVELS = {"id_test": 0.4}  # error of a group over that of the pooled ones
EDGES = {"force_norm": [0.0, 1.0, 2.0, 6.0], "window_fraction": [0.0, 0.3, 0.6, 0.9]}
BINS = ((0, 25, 9, 4), (25, 50, 8, 1), (50, None, 20, -5))  # left, right, structures, change by TTT


@dataclass(frozen=True)
class Run:
    """Means by method, sizes of every group, half width of the paired intervals."""

    means: dict = field(default_factory=lambda: MEANS)
    n: int = 37
    molecules: int = 11
    seeds: int = 3
    half: float = 8.0

    @property
    def sizes(self):
        return {"n_structures": self.n, "n_molecules": self.molecules}

    def mean(self, group, key):
        return self.means[key] * LEVELS.get(group, 1.0)

    def difference(self, value, prefix=""):
        """Columns of a paired difference and its interval."""
        ends = {"ci_low": value - self.half, "ci_high": value + self.half}
        return {"difference_meV_per_A": value} | {f"{prefix}{k}_meV_per_A": v for k, v in ends.items()}


def interval(mean, half=8.0):
    return {"mean_meV_per_A": mean, "ci_low_meV_per_A": mean - half, "ci_high_meV_per_A": mean + half}


def of_errors(run):
    """Errors and paired comparisons by group."""
    spread = {"median_meV_per_A": 50.0, "q25_meV_per_A": 30.0, "q75_meV_per_A": 90.0}
    spread |= {"below_25_meV_per_A": 0.1, "below_43_meV_per_A": 0.3}
    seeds = lambda key: None if key in ("zero", "prior") else run.seeds
    shares = {"median_relative_change": -0.2, "fraction_improved": 0.7, "fraction_worsened": 0.3}
    shares |= {"below_25_before": 0.1, "below_25_after": 0.2}
    means = lambda g, a, b: {"baseline_mean_meV_per_A": run.mean(g, b), "method_mean_meV_per_A": run.mean(g, a)}
    return {
        "summary": [
            {"group": g, "method": k, **run.sizes, "n_seeds": seeds(k), **interval(run.mean(g, k)), **spread}
            for g in GROUPS
            for k in run.means
        ],
        "paired": [
            {"group": g, "method": a, "baseline": b, **run.sizes, "n_seeds": run.seeds, **means(g, a, b)}
            | run.difference(run.mean(g, a) - run.mean(g, b))
            | shares
            for g in GROUPS
            for a, b in PAIRS
        ],
        "shift_axes": [
            {"axis": x, "group": g, "method": k, **run.sizes, "n_seeds": run.seeds} | interval(run.mean(g, k))
            for x in AXES
            for g in ("id_test", f"ood_{x}")
            for k in run.means
        ],
        "frontier": [
            {"method": k, **interval(run.means[k]), "prior_calls_per_structure": CALLS.get(k, 0), **run.sizes}
            for k in run.means
        ],
        "correction_weights": [
            {"method": "joint_corrected", "weight": w, "used": w == 1.0, **run.sizes, "n_seeds": run.seeds}
            | interval(run.means["joint_corrected"] + 40 * abs(1 - w))
            for w in (0.0, 0.5, 1.0, 1.25)
        ],
        "failures": [
            {
                "id": "ood_larger/x/00",
                "group": "ood_larger",
                "stage": "prior",
                "reason": "<SCF> in 250 cycles",
            },
            {"id": "ood_larger/x/01", "group": "ood_larger", "stage": "curate", "reason": "has no atom"},
        ],
        "method_failures": [
            {"id": "ood_larger/x/00", "group": "ood_larger", "stage": "adapt:structure", "reason": "no prior label"},
        ],
        "left_out": [
            {"group": "ood_larger", "stage": "curate", "reason": "has no atom", "n_structures": 1, "n_of": 13},
            {
                "group": "ood_larger",
                "stage": "prior",
                "reason": "<SCF> in … cycles",
                "n_structures": 1,
                "n_of": 12,
            },
        ],
        "census": [
            {"group": g, "n_read": 12 + (g == "ood_larger"), "n_used": 12, "n_left_out": int(g == "ood_larger")}
            | {"n_energy": 11, "n_forces": 12, "n_zero_forces": 0, "n_net_force": 0}
            for g in ("train", "id_test", "ood_larger")
        ],
        "duplicate_counts": [{"group": "id_test", "also_in": "train", "n_structures": 2, "n_of": 12}],
        "label_check": [
            {"group": "train", "n_structures": 12, "n_atoms": 80, "correlation": 0.97, "slope": 1.1, "norm_ratio": 1.15}
            | {"n_energies": 0, "energy_correlation": None, "energy_slope": None, "verdict": "plausible"},
        ],
    }


def of_bins(run):
    """Errors along the axes of the shift over the training density, and structures per bin of the error."""
    pairs = lambda axis: list(zip(EDGES[axis][:-1], EDGES[axis][1:]))
    return {
        "bins": [
            {"axis": axis, "subset": subset, "bin_left": a, "bin_right": b, "bin_mean": 0.4 * a + 0.6 * b, "method": k}
            | {"n_structures": (12 if subset == "all" else 1) + j, "n_molecules": run.molecules}
            | interval(20 + run.means[k] * j)
            for axis in EDGES
            for subset in ("all", "top10_joint_ttt")
            for j, (a, b) in enumerate(pairs(axis))
            for k in run.means
        ],
        "training_density": [
            {"axis": axis, "bin_left": a, "bin_right": b, "density": d}
            for axis in EDGES
            for (a, b), d in zip(pairs(axis), (0.2, 0.7, 0.0))
        ],
        "error_bins": [
            {"method": k, "bin_left_meV_per_A": a, "bin_right_meV_per_A": b}
            | {"n_structures": c + (k[-3:] == "ttt") * s}
            for k in ("joint", "joint_ttt", "freeze", "freeze_ttt", "joint_corrected", "delta")
            for a, b, c, s in (*BINS, (800, 900, 0, 0))
        ],
    }


def of_training(run):
    """What test-time training does, step by step and by the error of the prior."""
    rng = np.random.default_rng(0)
    found = {"method": "joint_ttt", "group": "ood_all", "of": "gain", **run.sizes}
    return {
        "steps": [
            {"group": g, "method": k, "step": s, **run.sizes}
            | interval(run.mean(g, k) + 20 * np.exp(-s / 5))
            | {"prior_loss_meV_per_A": 50.0}
            for g in GROUPS
            for k in ("joint_ttt", "joint_placebo", "freeze_ttt")
            for s in (0, 5, 20)
        ],
        "gains": [
            {"id": f"{g}/{k}", "group": g, "molecule": f"m{k}", "method": "joint_ttt", "baseline": "joint"}
            | {"prior_error_meV_per_A": e, "before_meV_per_A": 2 * e, "after_meV_per_A": e * f}
            | {"joint_corrected_meV_per_A": 0.9 * e * f, "delta_meV_per_A": 0.8 * e * f}
            for g in ("id_test", "ood_larger", "ood_force_norm")
            for k, (e, f) in enumerate(zip(rng.uniform(40, 400, 20), rng.uniform(0.3, 1.5, 20)))
        ],
        "gain_correlation": [
            found | {"with": w, "spearman": -0.25, "ci_low": -0.5, "ci_high": 0.1}
            for w in ("prior_error", "error_before")
        ],
    }


def choice(prior_seconds, predictions, budget):
    """Δ-learning where it is allowed, else distillation where enough predictions follow, else nothing."""
    found = {"choice": "delta", "error_meV_per_A": 55.0, "seconds_per_prediction": prior_seconds + 0.001}
    if budget is None or prior_seconds < budget:
        return found
    cheap = {"choice": "joint_distil (4)", "error_meV_per_A": 60.0, "seconds_per_prediction": 0.002}
    return cheap if predictions > 1 else dict.fromkeys(cheap)


# method: error (meV/Å), prior calls per prediction, per adaptation, seconds of an adaptation beside them
COSTS = {
    "supervised": (120.0, 0, 0, 0.0),
    "joint": (110.0, 0, 0, 0.0),
    "prior": (160.0, 1, 0, 0.0),
    "joint_corrected": (65.0, 1, 0, 0.0),
    "delta": (55.0, 1, 0, 0.0),
    "joint_ttt (1)": (82.0, 0, 5, 0.13),
    "joint_ttt (4)": (70.0, 0, 20, 0.34),
    "joint_distil (1)": (None, 0, 5, 0.14),
    "joint_distil (4)": (60.0, 0, 20, 0.33),
}


def of_other_rules(run):
    """Shift, published values, radii, times."""
    shift = {"axis": "connectivity", "criterion": "window_fraction", "n_structures": run.n, "mean": 0.2}
    known = {"training_mean": 0.5, "training_standard_deviation": 0.1}
    refined = {"n_structures": run.n, "trained_cutoff_A": 5.0, "mean_radius_A": 4.321}
    shares = ("fraction_below_trained", "fraction_edges_removed", "fraction_refined_with_fallback")
    return {
        "published": [
            {"quantity": "Error ratio", "model": "MACE-OFF", "data": "SPICE", "published": 3.4, "unit": "ratio"}
            | {"reading": "digitised", "place": "Fig. 2", "ours": x, "ours_is": "supervised", "said": None}
            for x in (2.75, None)
        ],
        "shift_summary": [
            {**shift, "group": g, **known, "fraction_outside": x}
            for g, x in (("train", 0.99), ("id_test", 0.125), ("ood_connectivity", 0.875))
        ],
        "refinement": [{"strategy": "joint", "group": "ood_all", **refined, **dict(zip(shares, (0.61, 0.29, 0.043)))}],
        "seconds": [
            {"method": k, "seconds_per_structure": 0.01 * (1 + j), "measured": CPU, "n_structures": run.n}
            for j, k in enumerate(run.means)
        ],
        "durations": [{"rule": "train", "jobs": 3, "seconds_total": 5400.0, "max_rss_MB": 812.0}],
        "decision": [
            {"prior_seconds": s, "predictions_per_adaptation": n, "budget_seconds_per_prediction": b}
            | choice(s, n, b)
            | {"frontier": "delta > joint_distil (4)"}
            for s in (0.01, 0.1, 60)
            for n in (1, 100, 1000)
            for b in (0.1, None)
        ],
        "decision_methods": [
            {"method": k, "error_meV_per_A": e, "ci_low_meV_per_A": e and e - 8, "ci_high_meV_per_A": e and e + 8}
            | {"seconds_per_prediction": 0.0 if k == "prior" else 0.0002 + 0.00001 * j}
            | {"prior_calls_per_prediction": each, "prior_calls_per_adaptation": once, "seconds_per_adaptation": more}
            | {**run.sizes, "n_seeds": run.seeds}
            for j, (k, (e, each, once, more)) in enumerate(COSTS.items())
        ],
    }


def of_variants(run):
    """Further adaptations, and adaptation to some geometries of a molecule."""
    point = {**run.sizes, "n_seeds": run.seeds}
    unseen = lambda geometries, scheme: run.means["joint_ttt"] + 16.0 - 4 * geometries + 5 * scheme
    return {
        "conformers": [
            {"group": g, **point, "scheme": s, "strategy": "joint", "geometries": k, "prior_calls_per_molecule": 5 * k}
            | interval(unseen(k, j))
            | {"baseline": b, "baseline_mean_meV_per_A": run.means[b]}
            | run.difference(unseen(k, j) - run.means[b], "difference_")
            | {"fraction_improved": 0.8, "fraction_worsened": 0.2}
            for g in ("ood_all", "ood_common", "ood_force_norm")
            for j, s in enumerate(("joint_ttt", "joint_distil"))
            for k in (1, 2, 4)
            for b in ("joint", "supervised", "prior", "joint_corrected", "delta", "joint_corrected_delta")
        ],
        "variants_paired": [
            {"group": "ood_all", "method": "joint_published", "baseline": b, **point}
            | {"baseline_mean_meV_per_A": run.means[b], "method_mean_meV_per_A": 91.5}
            | {"difference_meV_per_A": 91.5 - run.means[b], "ci_low_meV_per_A": 85.0 - run.means[b]}
            | {"ci_high_meV_per_A": 98.0 - run.means[b], "fraction_improved": 0.7, "fraction_worsened": 0.3}
            for b in ("joint", "supervised", "prior", "joint_corrected", "delta")
        ],
    }


def of_ablations(run):
    """Other priors and fewer labels."""
    return {
        "ablations": [
            {"point": p, "prior": p, "noise": 0.0, "fraction": f, "group": "ood_all", **run.sizes}
            | {"n_seeds": run.seeds}
            | {f"{k}_meV_per_A": run.means[k] for k in MODELS}
            | {"gain_meV_per_A": 40.0, "gain_ci_low_meV_per_A": 30.0, "gain_ci_high_meV_per_A": 50.0}
            for p, f in (("GFN2-xTB", 1.0), ("Morse", 1.0), ("GFN2-xTB", 0.3))
        ],
        "ablation_bins": [
            {"point": p, "method": k, "bin_left_meV_per_A": a, "bin_right_meV_per_A": b}
            | {"n_structures": c + s * (k[-3:] == "ttt")}
            for p in ("GFN2-xTB", "Morse")
            for k in ("joint", "joint_ttt", "joint_corrected", "delta")
            for a, b, c, s in BINS
        ],
    }


def make_tables(folder, means=MEANS, **sizes):
    """Every table of a run and its run_info.json below `folder`; {name: path} of the tables. sizes: of Run."""
    run = Run(means, **sizes)
    for made in (of_errors, of_bins, of_training, of_other_rules, of_variants, of_ablations):
        for name, rows in made(run).items():
            write_table(TABLES[name].path(folder), rows)
    info = {
        "versions": {"numpy": "9.8.7"},
        "python": "3.11",
        "platform": "test",
        "cpu": "a processor",
        "cores": 2,
        "git_commit": "",
        "seeds": list(range(run.seeds)),
        "config": {"ttt": {"steps": 77, "record": [0, 5]}, "name": "<b>&"},
        "date_utc": "2026-01-02T03:04:05Z",
    }
    (folder / "run_info.json").write_text(json.dumps(info))
    return find_tables([folder / "tables", folder / "timings"])

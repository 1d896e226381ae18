"""Compare all predictions with the reference labels: the only rule that reads labels of test structures."""

from pathlib import Path

import numpy as np
import pandas as pd

from mlipshift import cli, shifts, statistics
from mlipshift.frames import Frames, Labels, Predictions
from mlipshift.tables import read_table, write_table

AXES = ("new_elements", "connectivity", "force_norm", "larger")
BINS = 8
ERROR_EDGES = (0, 25, 50, 100, 150, 200, 300, 400, 600, 800, np.inf)  # meV/Å
POOLED = "ood_all"
NO_SEED = ("zero", "prior")

# every comparison of the paired table: (method, baseline)
COMPARISONS = [
    ("freeze_ttt", "freeze"),
    ("joint_ttt", "joint"),
    ("joint_ttt", "supervised"),
    ("joint_ttt", "prior"),
    ("joint_ttt", "delta"),
    ("freeze_ttt", "delta"),
    ("joint_placebo", "joint"),
    ("joint_ttt_other", "joint"),
    ("joint_ttt_other", "supervised"),
    ("joint_ttt_other", "prior"),
    ("joint_ttt_other", "delta"),
    ("joint", "supervised"),
    ("delta", "supervised"),
    ("supervised_rr", "supervised"),
    ("supervised_rr_fallback", "supervised"),
    ("joint_rr", "joint"),
    ("joint_rr_fallback", "joint"),
]


class Errors:
    """Error tensors of all methods on the test structures.

    final: {method: [seeds, S]} meV/Å after the last step; trace: {method: (steps [T], [seeds, T, S], loss)}.
    """

    def __init__(self, frames, reference, prior, adapted_on, paths):
        self.frames = frames
        self.final, self.trace, self.seeds = {}, {}, {}
        missing = ~reference.ok
        gather = {}
        for path in paths:
            p = Predictions.load(path, frames)
            gather.setdefault(p.method, []).append(p)
        zero = statistics.force_mae(np.zeros_like(reference.forces), reference.forces, frames.offsets)
        own = statistics.force_mae(prior.forces, reference.forces, frames.offsets)
        self.final |= {"zero": zero[None], "prior": own[None]}
        for method, parts in sorted(gather.items()):
            parts.sort(key=lambda p: p.seed)
            errors = np.stack([statistics.force_mae(p.forces, reference.forces, frames.offsets) for p in parts])
            if method.endswith("_ttt_other"):
                # a geometry on which its molecule was adapted is no test of transfer
                errors[..., np.isin(frames.ids.astype(str), adapted_on.ids.astype(str))] = np.nan
            errors[..., missing] = np.nan
            self.final[method] = errors[:, -1]
            self.seeds[method] = [p.seed for p in parts]
            if len(parts[0].steps) > 1:
                self.trace[method] = (parts[0].steps, errors, 1000 * np.stack([p.loss for p in parts]))

    def mean(self, method):
        """Error per structure [S], averaged over seeds; NaN where the method has none."""
        return self.final[method].mean(0)

    def groups(self):
        """{group: boolean [S]}, the pooled held-out shift groups last."""
        out = {g: self.frames.group == g for g in dict.fromkeys(self.frames.group)}
        ood = np.array([str(g).startswith("ood_") for g in self.frames.group])
        return out | ({POOLED: ood} if ood.any() else {})


def edges_of(values, bins=BINS):
    """Bin edges with about equally many of `values` in each bin, rounded, unique."""
    edges = np.unique(np.round(np.quantile(values, np.linspace(0, 1, bins + 1)), 2))
    edges[-1] = np.nextafter(values.max(), np.inf) if edges[-1] <= values.max() else edges[-1]
    return edges if len(edges) > 1 else np.array([edges[0] - 0.5, edges[0] + 0.5])


def per_structure(errors):
    f = errors.frames
    return [
        {
            "id": f.ids[k],
            "group": f.group[k],
            "molecule": f.molecule[k],
            "n_atoms": f.sizes[k],
            "method": method,
            "seed": None if method in NO_SEED else errors.seeds[method][s],
            "force_mae_meV_per_A": value,
        }
        for method, table in errors.final.items()
        for s, row in enumerate(table)
        for k, value in enumerate(row)
        if np.isfinite(value)
    ]


def main(args):
    frames, train = Frames.load(args.frames), Frames.load(args.train)
    reference, prior = Labels.load(args.reference, frames), Labels.load(args.prior, frames)
    train_reference = Labels.load(args.train_reference, train)
    diagnosis = read_table(args.shifts)
    adapted_on = Frames.load(args.adapted_on)
    errors = Errors(frames, reference, prior, adapted_on, args.predictions)
    molecule, groups = frames.molecule, errors.groups()
    boot = (args.resamples, args.seed)
    out = args.output

    write_table(out / "per_structure.csv", per_structure(errors))

    rows = []
    for group, chosen in groups.items():
        for method in errors.final:
            values = errors.mean(method)
            keep = chosen & np.isfinite(values)
            if keep.any():
                rows.append(
                    {"group": group, "method": method, "n_seeds": len(errors.seeds.get(method, [])) or None}
                    | statistics.summary(values[keep], molecule[keep], *boot)
                )
    head = ["group", "method", "n_structures", "n_molecules", "n_seeds"]
    write_table(out / "summary.csv", rows, head + [c for c in rows[0] if c not in head])
    table = pd.DataFrame(rows)

    rows = []
    for group, chosen in groups.items():
        for method, baseline in COMPARISONS:
            if method in errors.final and baseline in errors.final:
                a, b = errors.mean(method), errors.mean(baseline)
                keep = chosen & np.isfinite(a) & np.isfinite(b)
                if keep.any():
                    rows.append(
                        {"group": group, "method": method, "baseline": baseline}
                        | {"n_seeds": len(errors.seeds[method])}
                        | statistics.paired(a[keep], b[keep], molecule[keep], *boot)
                    )
    head = ["group", "method", "baseline", "n_structures", "n_molecules", "n_seeds"]
    write_table(out / "paired.csv", rows, head + [c for c in rows[0] if c not in head])

    # bins along two shift axes, held-out shift groups and in-distribution test together
    shown = np.array([not str(g).startswith("val_") for g in frames.group])
    is_train = (diagnosis["group"] == "train").to_numpy()
    axes = {
        "force_norm": (shifts.force_norm(reference), shifts.force_norm(train_reference)),
        "window_fraction": (
            diagnosis["window_fraction"].to_numpy()[~is_train],
            diagnosis["window_fraction"].to_numpy()[is_train],
        ),
    }
    rows, density = [], []
    for axis, (values, known) in axes.items():
        valid = shown & np.isfinite(values)
        edges = edges_of(values[valid])
        for left, right in zip(edges[:-1], edges[1:]):
            inside = valid & (values >= left) & (values < right)
            for method in errors.final:
                e = errors.mean(method)
                keep = inside & np.isfinite(e)
                if keep.any():
                    s = statistics.summary(e[keep], molecule[keep], *boot)
                    rows.append(
                        {"axis": axis, "bin_left": left, "bin_right": right, "method": method}
                        | {c: s[c] for c in ("n_structures", "mean_meV_per_A", "ci_low_meV_per_A", "ci_high_meV_per_A")}
                    )
        height, cuts = np.histogram(known[np.isfinite(known)], bins=20, density=True)
        density += [
            {"axis": axis, "bin_left": a, "bin_right": b, "density": h} for a, b, h in zip(cuts[:-1], cuts[1:], height)
        ]
    write_table(out / "bins.csv", rows)
    write_table(out / "training_density.csv", density)

    ood = groups.get(POOLED, np.zeros(len(frames), dtype=bool))
    rows = []
    for method, values in errors.final.items():
        for left, right in zip(ERROR_EDGES[:-1], ERROR_EDGES[1:]):
            count = ((values >= left) & (values < right) & ood).sum(1).mean()
            rows.append(
                {
                    "method": method,
                    "bin_left_meV_per_A": left,
                    "bin_right_meV_per_A": None if np.isinf(right) else right,
                    "n_structures": count,
                }
            )
    write_table(out / "error_bins.csv", rows)

    rows = []
    for method, (steps, trace, loss) in errors.trace.items():
        for group, chosen in groups.items():
            for t, step in enumerate(steps):
                e = trace[:, t].mean(0)
                keep = chosen & np.isfinite(e)
                if keep.any():
                    s = statistics.summary(e[keep], molecule[keep], *boot)
                    rows.append(
                        {"group": group, "method": method, "step": step}
                        | {c: s[c] for c in ("n_structures", "mean_meV_per_A", "ci_low_meV_per_A", "ci_high_meV_per_A")}
                        | {"prior_loss_meV_per_A": loss[:, t].mean(0)[keep].mean()}
                    )
    write_table(out / "steps.csv", rows)

    intervals = ["n_structures", "n_seeds", "mean_meV_per_A", "ci_low_meV_per_A", "ci_high_meV_per_A"]
    rows = []
    for axis in AXES:
        for group in ("id_test", f"ood_{axis}"):
            for r in table[table["group"] == group].to_dict("records"):
                rows.append({"axis": axis, "group": group, "method": r["method"]} | {c: r[c] for c in intervals})
    write_table(out / "shift_axes.csv", rows)

    calls = prior_calls(errors, groups, adapted_on)
    rows = [
        {"method": r["method"]}
        | {c: r[c] for c in intervals[2:]}
        | {"prior_calls_per_structure": calls(r["method"]), "n_structures": r["n_structures"]}
        for r in table[table["group"] == POOLED].to_dict("records")
        if r["method"] != "zero"
    ]
    write_table(out / "frontier.csv", rows)

    rows = []
    for path in args.radii:
        radii = read_table(path)
        for group in groups:
            own = radii[(radii["group"] == group) | ((group == POOLED) & radii["group"].str.startswith("ood_"))]
            if len(own):
                rows.append(
                    {
                        "strategy": path.parent.name,
                        "group": group,
                        "n_structures": len(own),
                        "trained_cutoff_A": own["trained_cutoff_A"].iloc[0],
                        "mean_radius_A": own["published_A"].mean(),
                        "fraction_below_trained": (own["published_A"] < own["trained_cutoff_A"]).mean(),
                        "fraction_edges_removed": (own["edges_removed"] > 0).mean(),
                        "fraction_refined_with_fallback": own["reason_for_fallback"].isna().mean(),
                    }
                )
    write_table(out / "refinement.csv", rows)

    failures = [r for path in args.failures for r in read_table(path).to_dict("records")]
    for k in np.flatnonzero(~reference.ok):
        failures.append({"id": frames.ids[k], "stage": "evaluate", "reason": "no reference label"})
    write_table(out / "failures.csv", failures, columns=["id", "stage", "reason"])
    best = table[(table["group"] == POOLED)].sort_values("mean_meV_per_A")[["method", "mean_meV_per_A"]]
    cli.log.info("force MAE on %s (meV/Å):\n%s", POOLED, best.to_string(index=False))


def prior_calls(errors, groups, adapted_on):
    """Function of the method: prior calls per predicted structure of the held-out groups."""
    ids = errors.frames.ids[groups[POOLED]].astype(str)
    predicted = (~np.isin(ids, adapted_on.ids.astype(str))).sum()
    spent = np.char.startswith(adapted_on.group.astype(str), "ood_").sum()
    other = spent / max(1, predicted)

    def calls(method):
        if method.endswith("_ttt_other"):
            return other
        return float(method in ("prior", "delta") or method.endswith(("_ttt", "_placebo")))

    return calls


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "frames": {"type": Path, "help": "test frames"},
            "reference": {"type": Path, "help": "reference labels of the test frames"},
            "prior": {"type": Path, "help": "prior labels of the test frames"},
            "adapted_on": {"type": Path, "help": "geometries on which molecules were adapted"},
            "radii": {"type": Path, "nargs": "*", "help": "CSV of the refined radii, one per model"},
            "train": {"type": Path, "help": "training frames"},
            "train_reference": {"type": Path, "help": "reference labels of the training frames"},
            "shifts": {"type": Path, "help": "CSV of the shift measures"},
            "predictions": {"type": Path, "nargs": "+"},
            "failures": {"type": Path, "nargs": "+"},
            "resamples": {"type": int, "help": "bootstrap resamples"},
            "seed": {"type": int, "help": "bootstrap seed"},
            "output": {"type": Path, "help": "directory of the tables"},
        },
    )

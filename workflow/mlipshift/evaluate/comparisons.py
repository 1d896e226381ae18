"""Tables of the comparison: all methods against the reference labels of the test structures.

Every function returns rows (list of dicts) of one tidy table; units are in the column names. Errors are
force MAE in meV/Å, per structure, averaged over seeds unless a column says otherwise.
"""

import numpy as np

from mlipshift.base.errors import UserError
from mlipshift.base.predictions import Predictions
from mlipshift.evaluate import statistics
from mlipshift.mitigate.decision import Method
from mlipshift.shift import measures

BINS = 8
ERROR_EDGES = (0, 25, 50, 100, 150, 200, 300, 400, 600, 800, np.inf)  # meV/Å
POOLED = "ood_all"
MEAN = ["mean_meV_per_A", "ci_low_meV_per_A", "ci_high_meV_per_A"]

# what a mitigation is compared with first
MITIGATIONS = {"joint_ttt": "joint", "freeze_ttt": "freeze", "supervised_rr": "supervised"}
# every comparison of the paired table: (method, baseline)
COMPARISONS = [
    ("freeze_ttt", "freeze"),
    ("joint_ttt", "joint"),
    ("joint_ttt", "supervised"),
    ("joint_ttt", "prior"),
    ("joint_ttt", "delta"),
    ("freeze_ttt", "delta"),
    ("joint_placebo", "joint"),
    ("joint", "supervised"),
    ("delta", "supervised"),
    ("supervised_rr", "supervised"),
    ("supervised_rr_fallback", "supervised"),
    ("joint_rr", "joint"),
    ("joint_rr_fallback", "joint"),
]


class Errors:
    """Errors of all methods on S test structures.

    final: {method: [seeds, S]} meV/Å after the last step, NaN where missing; seeds: {method: list}, absent for
    methods without a seed; trace: {method: (steps [T], errors [seeds, T, S], prior loss [seeds, T, S])} of the
    adapted methods. frames, reference, prior: Frames and Labels of the test structures; paths: files of
    Predictions; resamples, seed: of the bootstrap. Raises UserError without held-out structures.
    """

    def __init__(self, frames, reference, prior, paths, resamples, seed):
        if not frames.of_kind("ood_").any():
            raise UserError("no structure in a held-out shift group; give one or more files in data.files.ood_*")
        self.frames, self.resamples, self.seed = frames, resamples, seed
        self.final, self.trace, self.seeds = {}, {}, {}
        mae = lambda forces: statistics.force_mae(forces, reference.forces, frames.offsets)
        self.final["zero"] = mae(np.zeros_like(reference.forces))[None]
        self.final["prior"] = mae(prior.forces)[None]
        gather = {}
        for path in paths:
            p = Predictions.load(path, frames)
            gather.setdefault(p.method, []).append(p)
        for method, parts in sorted(gather.items()):
            parts.sort(key=lambda p: p.seed)
            errors = np.stack([mae(p.forces) for p in parts])
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
        return out | {POOLED: self.frames.of_kind("ood_")}

    def summarise(self, values, chosen):
        """statistics.summary of the structures `chosen` [S] that have a value, None if there are none."""
        keep = chosen & np.isfinite(values)
        if not keep.any():
            return None
        return statistics.summary(values[keep], *self._units(keep))

    def compare(self, method, baseline, chosen):
        """statistics.paired of the structures `chosen` [S] that both values [S] have, None if there are none."""
        keep = chosen & np.isfinite(method) & np.isfinite(baseline)
        if not keep.any():
            return None
        return statistics.paired(method[keep], baseline[keep], *self._units(keep))

    def _units(self, keep):
        return self.frames.molecule[keep], self.frames.ids[keep], self.resamples, self.seed


def per_structure(errors):
    """One row per structure, method and seed."""
    f = errors.frames
    return [
        {
            "id": f.ids[k],
            "group": f.group[k],
            "molecule": f.molecule[k],
            "n_atoms": f.sizes[k],
            "method": method,
            "seed": errors.seeds[method][s] if method in errors.seeds else None,
            "force_mae_meV_per_A": value,
        }
        for method, table in errors.final.items()
        for s, row in enumerate(table)
        for k, value in enumerate(row)
        if np.isfinite(value)
    ]


def summary(errors, methods=None):
    """Distribution of the error per group and method; of all methods, or of `methods`."""
    rows = []
    for group, chosen in errors.groups().items():
        for method in errors.final if methods is None else [m for m in dict.fromkeys(methods) if m in errors.final]:
            found = errors.summarise(errors.mean(method), chosen)
            if found:
                counts = {c: found.pop(c) for c in ("n_structures", "n_molecules")}
                seeds = len(errors.seeds[method]) if method in errors.seeds else None
                rows.append({"group": group, "method": method} | counts | {"n_seeds": seeds} | found)
    return rows


def paired(errors, comparisons=COMPARISONS):
    """Paired comparisons (method, baseline) per group, on the structures that both methods predict."""
    rows = []
    for group, chosen in errors.groups().items():
        for method, baseline in comparisons:
            if method not in errors.final or baseline not in errors.final:
                continue
            found = errors.compare(errors.mean(method), errors.mean(baseline), chosen)
            if found:
                counts = {c: found.pop(c) for c in ("n_structures", "n_molecules")}
                rows.append(
                    {"group": group, "method": method, "baseline": baseline}
                    | counts
                    | {"n_seeds": len(errors.seeds[method])}
                    | found
                )
    return rows


def compared(errors, strategies):
    """Paired comparisons of adaptations {name: strategy} with their strategy and with what one could do instead."""
    return paired(
        errors,
        [
            (name, baseline)
            for name, strategy in strategies.items()
            for baseline in dict.fromkeys([strategy, "supervised", "prior", "delta"])
        ],
    )


CONFORMERS = [
    "group",
    "scheme",
    "strategy",
    "geometries",
    "prior_calls_per_molecule",
    "n_structures",
    "n_molecules",
    "n_seeds",
    *MEAN,
    "baseline",
    "baseline_mean_meV_per_A",
    "difference_meV_per_A",
    "difference_ci_low_meV_per_A",
    "difference_ci_high_meV_per_A",
    "fraction_improved",
    "fraction_worsened",
]


def conformers(errors, strategies, copies):
    """Error on geometries that were not adapted on against the number that were, and paired differences.

    Methods SCHEME_K of `strategies` {scheme: strategy}; copies: rattled copies per geometry. One row per baseline.
    Per group, pooled over the held-out groups, and `ood_common`: those that every number of geometries predicts.
    """
    points = {}
    for name in errors.final:
        scheme, _, count = name.rpartition("_")
        if scheme in strategies and count.isdigit():
            points[name] = (scheme, int(count))
    if not points:
        return []
    groups = errors.groups()
    # numbers of geometries that no held-out molecule has are no points of the curve
    reached = [np.isfinite(errors.mean(name)) & groups[POOLED] for name in points]
    reached = [r for r in reached if r.any()]
    groups["ood_common"] = np.logical_and.reduce(reached) if reached else np.zeros(len(errors.frames), dtype=bool)
    rows = []
    for group, chosen in groups.items():
        for name, (scheme, count) in points.items():
            values = errors.mean(name)
            found = errors.summarise(values, chosen)
            if not found:
                continue
            row = {"group": group, "scheme": scheme, "strategy": strategies[scheme], "geometries": count}
            row |= {"prior_calls_per_molecule": count * (1 + copies), "n_seeds": len(errors.seeds[name])}
            row |= {c: found[c] for c in ("n_structures", "n_molecules", *MEAN)}
            for baseline in dict.fromkeys([strategies[scheme], "supervised", "prior", "delta"]):
                if baseline not in errors.final:
                    continue
                pair = errors.compare(values, errors.mean(baseline), chosen)
                if pair is None:
                    continue
                copied = ("baseline_mean_meV_per_A", "difference_meV_per_A", "fraction_improved", "fraction_worsened")
                rows.append(
                    row
                    | {"baseline": baseline}
                    | {c: pair[c] for c in copied}
                    | {f"difference_{c}_meV_per_A": pair[f"{c}_meV_per_A"] for c in ("ci_low", "ci_high")}
                )
    return rows


def decision_methods(curve, seconds, adaptations, group="ood_common"):
    """Methods for the decision, all on the same structures.

    curve: rows of `conformers`; seconds: {method: time of a prediction, of a prior call for "prior"};
    adaptations: {(scheme, geometries): list of seconds per adaptation without prior calls}.
    """
    rows = [r for r in curve if r["group"] == group]
    methods = {}
    for r in rows:
        base, single = r["baseline"], seconds.get(r["baseline"], 0.0)
        calls = float(base in ("prior", "delta"))
        # the prior's time is that of its calls, which have their own price
        methods[base] = Method(base, r["baseline_mean_meV_per_A"], 0.0 if base == "prior" else single, calls)
    for r in rows:
        key = (r["scheme"], r["geometries"])
        if key in adaptations:
            methods[key] = Method(
                f"{r['scheme']} ({r['geometries']})",
                r["mean_meV_per_A"],
                seconds.get("supervised", 0.0),
                0.0,
                r["prior_calls_per_molecule"],
                float(np.mean(adaptations[key])),
            )
    return list(methods.values())


def bin_edges(values, bins=BINS):
    """Edges of at most `bins` bins with about equally many of `values` in each, rounded to two decimals."""
    edges = np.round(np.quantile(values, np.linspace(0, 1, bins + 1)), 2)
    edges[0] = np.floor(100 * values.min()) / 100
    edges = np.unique(edges)
    if edges[-1] <= values.max():
        edges[-1] = np.nextafter(values.max(), np.inf)
    return edges if len(edges) > 1 else np.array([edges[0] - 0.5, edges[0] + 0.5])


def shift_values(errors, reference, train_reference, diagnosis):
    """{axis: (values of the test structures [S], of the training structures)} of the binned figures.

    diagnosis: DataFrame of measures.csv, training structures first.
    """
    is_train = (diagnosis["group"] == "train").to_numpy()
    window = diagnosis["window_fraction"].to_numpy()
    return {
        "force_norm": (measures.force_norm(reference), measures.force_norm(train_reference)),
        "window_fraction": (window[~is_train], window[is_train]),
    }


def most_improved(errors, method, baseline, share=0.1):
    """Boolean [S]: the share of the reported structures, no validation group, that `method` improves most."""
    gain = errors.mean(baseline) - errors.mean(method)
    gain[errors.frames.of_kind("val_") | ~np.isfinite(gain)] = -np.inf
    count = int(np.ceil(share * np.isfinite(gain).sum()))
    chosen = np.zeros(len(gain), dtype=bool)
    chosen[np.argsort(-gain, kind="stable")[:count]] = True
    return chosen & (gain > 0)


def bins(errors, axes):
    """Errors binned along `axes` (see shift_values); in-distribution and held-out groups, no validation group.

    subset: "all", or "top10_METHOD", the tenth of the structures that METHOD of MITIGATIONS improves most, as in the
    b panels of the paper's figures; those are chosen by the errors that they show.
    """
    shown = ~errors.frames.of_kind("val_")
    subsets = {"all": (shown, BINS)}
    for method, baseline in MITIGATIONS.items():
        if {method, baseline} <= set(errors.final):
            subsets[f"top10_{method}"] = (most_improved(errors, method, baseline), BINS // 2)
    rows = []
    for axis, (values, _) in axes.items():
        for subset, (members, count) in subsets.items():
            valid = members & np.isfinite(values)
            if not valid.any():
                continue
            edges = bin_edges(values[valid], count)
            for left, right in zip(edges[:-1], edges[1:]):
                inside = valid & (values >= left) & (values < right)
                for method in errors.final:
                    found = errors.summarise(errors.mean(method), inside)
                    if found:
                        rows.append(
                            {"axis": axis, "subset": subset, "bin_left": left, "bin_right": right, "method": method}
                            | {c: found[c] for c in ("n_structures", *MEAN)}
                        )
    return rows


GAINS = ["id", "group", "molecule", "method", "baseline"]
GAINS += ["prior_error_meV_per_A", "before_meV_per_A", "after_meV_per_A"]


def gains(errors):
    """Error of the prior beside the error before and after TTT, per reported structure; seeds averaged."""
    f, prior = errors.frames, errors.mean("prior")
    rows = []
    for method, baseline in MITIGATIONS.items():
        if not (method.endswith("_ttt") and {method, baseline} <= set(errors.final)):
            continue
        before, after = errors.mean(baseline), errors.mean(method)
        keep = ~f.of_kind("val_") & np.isfinite(prior) & np.isfinite(before) & np.isfinite(after)
        rows += [
            dict(zip(GAINS, (f.ids[k], f.group[k], f.molecule[k], method, baseline, prior[k], before[k], after[k])))
            for k in np.flatnonzero(keep)
        ]
    return rows


GAIN_CORRELATION = ["method", "group", "of", "with", "n_structures", "n_molecules", "spearman", "ci_low", "ci_high"]


def gain_correlation(errors):
    """Rank correlation, per group, of TTT's gain with the prior's error and with the error before TTT."""
    f, prior = errors.frames, errors.mean("prior")
    rows = []
    for method, baseline in MITIGATIONS.items():
        if not (method.endswith("_ttt") and {method, baseline} <= set(errors.final)):
            continue
        before, after = errors.mean(baseline), errors.mean(method)
        for group, chosen in errors.groups().items():
            keep = chosen & np.isfinite(prior) & np.isfinite(before) & np.isfinite(after)
            if keep.sum() < 3:
                continue
            clusters = statistics.resampled(f.molecule[keep], f.ids[keep])[1]
            pairs = [
                ("gain", "prior_error", before - after, prior),
                ("gain", "error_before", before - after, before),
                ("error_after", "prior_error", after, prior),
            ]
            for of, other, first, second in pairs:
                found = statistics.spearman(first[keep], second[keep], clusters, errors.resamples, errors.seed)
                sizes = (int(keep.sum()), len(set(f.molecule[keep])))
                rows.append(dict(zip(GAIN_CORRELATION, (method, group, of, other, *sizes, *found))))
    return rows


def training_density(axes):
    """Normalised histogram of the training structures along `axes`."""
    rows = []
    for axis, (_, known) in axes.items():
        height, edges = np.histogram(known[np.isfinite(known)], bins=20, density=True)
        rows += [
            {"axis": axis, "bin_left": a, "bin_right": b, "density": h}
            for a, b, h in zip(edges[:-1], edges[1:], height)
        ]
    return rows


def error_bins(errors):
    """Number of held-out structures per bin of the error, counted per seed and averaged."""
    chosen = errors.groups()[POOLED]
    return [
        {
            "method": method,
            "bin_left_meV_per_A": left,
            "bin_right_meV_per_A": None if np.isinf(right) else right,
            "n_structures": ((values >= left) & (values < right) & chosen).sum(1).mean(),
        }
        for method, values in errors.final.items()
        for left, right in zip(ERROR_EDGES[:-1], ERROR_EDGES[1:])
    ]


def steps(errors):
    """Error and prior loss of the adapted methods after every recorded step."""
    rows = []
    for method, (counts, trace, loss) in errors.trace.items():
        for group, chosen in errors.groups().items():
            for t, step in enumerate(counts):
                values = trace[:, t].mean(0)
                found = errors.summarise(values, chosen)
                if found:
                    rows.append(
                        {"group": group, "method": method, "step": step}
                        | {c: found[c] for c in ("n_structures", *MEAN)}
                        | {"prior_loss_meV_per_A": loss[:, t].mean(0)[chosen & np.isfinite(values)].mean()}
                    )
    return rows


def shift_axes(table):
    """In-distribution beside held-out error per shift axis; table: rows of `summary`."""
    columns = ("n_structures", "n_seeds", *MEAN)
    return [
        {"axis": axis, "group": group, "method": r["method"]} | {c: r[c] for c in columns}
        for axis in dict.fromkeys(r["group"].removeprefix("ood_") for r in table if r["group"].startswith("ood_"))
        if axis != POOLED.removeprefix("ood_")
        for group in ("id_test", f"ood_{axis}")
        for r in table
        if r["group"] == group
    ]


def frontier(errors, table):
    """Error on all held-out structures beside prior calls per structure; table: rows of `summary`."""
    return [
        {"method": r["method"]}
        | {c: r[c] for c in MEAN}
        | {"prior_calls_per_structure": _prior_calls(r["method"]), "n_structures": r["n_structures"]}
        for r in table
        if r["group"] == POOLED and r["method"] != "zero"
    ]


def _prior_calls(method):
    """Prior calls per predicted structure."""
    # transductive pre-training has called the prior for the test structures before
    own = method in ("prior", "delta", "delta_joint", "joint_transductive")
    return float(own or method.endswith(("_ttt", "_placebo")))


REFINEMENT = [
    "strategy",
    "group",
    "n_structures",
    "trained_cutoff_A",
    "mean_radius_A",
    "fraction_below_trained",
    "fraction_edges_removed",
    "fraction_refined_with_fallback",
]


def refinement(errors, radii):
    """What radius refinement chose and changed per group; radii: {strategy: DataFrame of the chosen radii}."""
    rows = []
    for strategy, table in radii.items():
        for group, chosen in errors.groups().items():
            own = table[table["id"].isin(set(errors.frames.ids[chosen]))]
            rows.append(
                {
                    "strategy": strategy,
                    "group": group,
                    "n_structures": len(own),
                    "trained_cutoff_A": own["trained_cutoff_A"].iloc[0],
                    "mean_radius_A": own["published_A"].mean(),
                    "fraction_below_trained": (own["published_A"] < own["trained_cutoff_A"]).mean(),
                    "fraction_edges_removed": (own["edges_removed"] > 0).mean(),
                    "fraction_refined_with_fallback": own["reason_for_fallback"].isna().mean(),
                }
            )
    return rows


def ablation(errors, point):
    """Errors of one point of an ablation per group, and TTT's gain over the joint model with its interval.

    point: columns that describe it; errors: of prior, supervised, delta, joint and joint_ttt.
    """
    rows = []
    for group, chosen in errors.groups().items():
        before, after = errors.mean("joint"), errors.mean("joint_ttt")
        keep = chosen & np.isfinite(before) & np.isfinite(after)
        found = errors.compare(after, before, chosen)
        if not found:
            continue
        means = {
            f"{m}_meV_per_A": np.nanmean(errors.mean(m)[keep])
            for m in ("prior", "supervised", "delta", "joint", "joint_ttt")
        }
        rows.append(
            point
            | {"group": group, "n_structures": found["n_structures"], "n_molecules": found["n_molecules"]}
            | {"n_seeds": len(errors.seeds["joint"])}
            | means
            | {
                "gain_meV_per_A": -found["difference_meV_per_A"],
                "gain_ci_low_meV_per_A": -found["ci_high_meV_per_A"],
                "gain_ci_high_meV_per_A": -found["ci_low_meV_per_A"],
                "fraction_improved": found["fraction_improved"],
                "fraction_worsened": found["fraction_worsened"],
            }
        )
    return rows

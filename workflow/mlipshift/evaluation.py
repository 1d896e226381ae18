"""Tables of the comparison: all methods against the reference labels of the test structures.

Every function returns rows (list of dicts) of one tidy table; units are in the column names. Errors are
force MAE in meV/Å, per structure, averaged over seeds unless a column says otherwise.
"""

import numpy as np

from mlipshift import shifts, statistics
from mlipshift.errors import UserError
from mlipshift.frames import Predictions

AXES = ("new_elements", "connectivity", "force_norm", "larger")
BINS = 8
ERROR_EDGES = (0, 25, 50, 100, 150, 200, 300, 400, 600, 800, np.inf)  # meV/Å
POOLED = "ood_all"
MEAN = ["mean_meV_per_A", "ci_low_meV_per_A", "ci_high_meV_per_A"]

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
    """Errors of all methods on S test structures.

    final: {method: [seeds, S]} meV/Å after the last step, NaN where missing; seeds: {method: list}, absent for
    methods without a seed; trace: {method: (steps [T], errors [seeds, T, S], prior loss [seeds, T, S])} of the
    adapted methods. frames, reference, prior: Frames and Labels of the test structures; adapted_on: Frames on
    which whole molecules were adapted; paths: files of Predictions; resamples, seed: of the bootstrap.
    Raises UserError without held-out structures.
    """

    def __init__(self, frames, reference, prior, adapted_on, paths, resamples, seed):
        if not frames.of_kind("ood_").any():
            raise UserError("no structure in a held-out shift group; give one or more files in data.files.ood_*")
        self.frames, self.resamples, self.seed = frames, resamples, seed
        self.adapted_on = adapted_on
        self.known = np.isin(frames.ids.astype(str), adapted_on.ids.astype(str))
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
            if method.endswith("_ttt_other"):
                # a geometry on which its molecule was adapted is no test of transfer
                errors[..., self.known] = np.nan
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
        return statistics.summary(values[keep], self.frames.molecule[keep], self.resamples, self.seed)


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


def summary(errors):
    """Distribution of the error per group and method."""
    rows = []
    for group, chosen in errors.groups().items():
        for method in errors.final:
            found = errors.summarise(errors.mean(method), chosen)
            if found:
                counts = {c: found.pop(c) for c in ("n_structures", "n_molecules")}
                seeds = len(errors.seeds[method]) if method in errors.seeds else None
                rows.append({"group": group, "method": method} | counts | {"n_seeds": seeds} | found)
    return rows


def paired(errors):
    """Paired comparisons of COMPARISONS per group, on the structures that both methods predict."""
    rows = []
    for group, chosen in errors.groups().items():
        for method, baseline in COMPARISONS:
            if method not in errors.final or baseline not in errors.final:
                continue
            a, b = errors.mean(method), errors.mean(baseline)
            keep = chosen & np.isfinite(a) & np.isfinite(b)
            if keep.any():
                molecules = errors.frames.molecule[keep]
                found = statistics.paired(a[keep], b[keep], molecules, errors.resamples, errors.seed)
                counts = {c: found.pop(c) for c in ("n_structures", "n_molecules")}
                rows.append(
                    {"group": group, "method": method, "baseline": baseline}
                    | counts
                    | {"n_seeds": len(errors.seeds[method])}
                    | found
                )
    return rows


def bin_edges(values, bins=BINS):
    """Edges of at most `bins` bins with about equally many of `values` in each, rounded to two decimals."""
    edges = np.unique(np.round(np.quantile(values, np.linspace(0, 1, bins + 1)), 2))
    if edges[-1] <= values.max():
        edges[-1] = np.nextafter(values.max(), np.inf)
    return edges if len(edges) > 1 else np.array([edges[0] - 0.5, edges[0] + 0.5])


def shift_values(errors, reference, train_reference, diagnosis):
    """{axis: (values of the test structures [S], of the training structures)} of the binned figures.

    diagnosis: DataFrame of shifts.csv, training structures first.
    """
    is_train = (diagnosis["group"] == "train").to_numpy()
    window = diagnosis["window_fraction"].to_numpy()
    return {
        "force_norm": (shifts.force_norm(reference), shifts.force_norm(train_reference)),
        "window_fraction": (window[~is_train], window[is_train]),
    }


def bins(errors, axes):
    """Errors binned along `axes` (see shift_values); in-distribution and held-out groups, no validation group."""
    shown = ~errors.frames.of_kind("val_")
    rows = []
    for axis, (values, _) in axes.items():
        valid = shown & np.isfinite(values)
        edges = bin_edges(values[valid])
        for left, right in zip(edges[:-1], edges[1:]):
            inside = valid & (values >= left) & (values < right)
            for method in errors.final:
                found = errors.summarise(errors.mean(method), inside)
                if found:
                    rows.append(
                        {"axis": axis, "bin_left": left, "bin_right": right, "method": method}
                        | {c: found[c] for c in ("n_structures", *MEAN)}
                    )
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
        for axis in AXES
        for group in ("id_test", f"ood_{axis}")
        for r in table
        if r["group"] == group
    ]


def frontier(errors, table):
    """Error on all held-out structures beside prior calls per structure; table: rows of `summary`."""
    calls = _prior_calls(errors)
    return [
        {"method": r["method"]}
        | {c: r[c] for c in MEAN}
        | {"prior_calls_per_structure": calls(r["method"]), "n_structures": r["n_structures"]}
        for r in table
        if r["group"] == POOLED and r["method"] != "zero"
    ]


def _prior_calls(errors):
    """Function of the method: prior calls per predicted held-out structure, an adaptation's spread over all of them."""
    predicted = (errors.groups()[POOLED] & ~errors.known).sum()
    spent = errors.adapted_on.of_kind("ood_").sum()
    other = spent / max(1, predicted)

    def calls(method):
        if method.endswith("_ttt_other"):
            return other
        return float(method in ("prior", "delta") or method.endswith(("_ttt", "_placebo")))

    return calls


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

"""Tables of the report that a run may lack; each is None then."""

import numpy as np

from mlipshift.catalogue.criteria import CRITERIA
from mlipshift.catalogue.groups import COMMON, GROUPS, POOLED, group, ordered
from mlipshift.catalogue.methods import SCHEMES, look, scheme_title, title
from mlipshift.show import criteria
from mlipshift.show.report import cells
from mlipshift.show.report.cells import cell, counted, error, group_cell, method_cell, shared
from mlipshift.show.report.format import LOW, MEAN, interval, number, sample, share
from mlipshift.show.report.results import Results, first

Table = dict[str, list] | None


def diagnosis_table(results: Results) -> Table:
    """Share of structures outside the training distribution by criterion and group."""
    table = results.optional("shift_summary")
    if table is None:
        return None
    table = table[(table.group != "train") & ~table.group.str.startswith("val_")]
    table = table[~table.criterion.str.startswith("reference_")]  # the heading promises no reference label
    groups = ordered(table.group, GROUPS)
    rows = []
    for criterion in ordered(table.criterion, CRITERIA):
        line = [cell(criteria.title(criterion), title=criterion)]
        for g in groups:
            row = first(table[(table.criterion == criterion) & (table.group == g)])
            if row is None:
                line.append(cell("–"))
                continue
            known = f"{row['training_mean']:.3g} ± {row['training_standard_deviation']:.2g}"
            outside = row["fraction_outside"]
            line.append(cell(share(outside, row["n_structures"]), outside, f"mean {row['mean']:.3g}; training {known}"))
        rows.append(line)
    return cells.table(["Criterion", *map(group, groups)], rows)


def refinement_table(results: Results) -> Table:
    """Which radii radius refinement chose and what that changed."""
    table = results.optional("refinement")
    if table is None:
        return None
    head = ["Model", "Group", "Structures", "Trained cutoff (Å)", "Mean chosen radius (Å)"]
    head += ["Chosen below the cutoff", "Edges removed", "Refined with fallback"]
    shares = ("fraction_below_trained", "fraction_edges_removed", "fraction_refined_with_fallback")
    rows = [
        [
            method_cell(row["strategy"]),
            group_cell(row["group"]),
            counted(row["n_structures"]),
            *(cell(f"{row[k]:.2f}", row[k]) for k in ("trained_cutoff_A", "mean_radius_A")),
            *(shared(row[k], row["n_structures"]) for k in shares),
        ]
        for row in table.to_dict("records")
    ]
    return cells.table(head, rows)


def prior_labels_table(results: Results) -> Table:
    """Reference labels that the prior was fitted to, by molecule."""
    table = results.optional("prior_labels")
    if table is None:
        return None
    rows = [
        [
            cell(row["molecule"], title=row["formula"]),
            counted(row["n_labels"]),
            cell(f"{row['sigma']:g}", row["sigma"]),
            error(row["held_out_meV_per_A"]),
        ]
        for row in table.to_dict("records")
    ]
    return cells.table(["Molecule", "Reference labels", "Width of the kernel", "Error on a fifth (meV/Å)"], rows)


def weights_table(results: Results) -> Table:
    """Error of the validation groups by the weight of the residual correction."""
    table = results.optional("correction_weights")
    if table is None:
        return None
    weights, rows = sorted(table.weight.unique()), []
    for key, part in table.groupby("method", sort=False):
        line = [method_cell(key)]
        for weight in weights:
            row = first(part[part.weight == weight])
            if row is None:
                line.append(cell("–"))
                continue
            text = number(row[MEAN]) + (" ●" if row["used"] else "")
            line.append(cell(text, row[MEAN], f"95 % interval {interval(row)} meV/Å; {sample(row)}"))
        rows.append(line)
    return cells.table(["Method", *(f"{weight:g}" for weight in weights)], rows)


OTHERS = ("supervised", "prior", "joint_corrected", "delta")


def conformers_table(results: Results) -> Table:
    """Error on unseen geometries per scheme and number of geometries, beside what one could do instead."""
    table = results.optional("conformers")
    if table is None:
        return None
    head = ["Group", "Scheme", "Geometries", "Prior calls per molecule", "Mean (meV/Å)", "95 % interval (meV/Å)"]
    head += ["Against its model (meV/Å)", *(f"Against {title(key)}" for key in OTHERS), "n"]
    rows = []
    for g in (POOLED, COMMON):
        own = table[table.group == g]
        for scheme in ordered(own.scheme, SCHEMES):
            for _, part in own[own.scheme == scheme].groupby("geometries"):
                rows.append(_conformers_row(part))
    return cells.table(head, rows)


def _conformers_row(part):
    """One line; part: rows of a scheme and number of geometries, one per baseline."""
    row, by = part.iloc[0], part.set_index("baseline")
    others = [key if key != row["strategy"] else "" for key in OTHERS]
    return [
        group_cell(row["group"]),
        cell(scheme_title(row["scheme"]), title=row["scheme"], colour=look(row["scheme"])[0]),
        *(cell(f"{row[k]:g}", row[k]) for k in ("geometries", "prior_calls_per_molecule")),
        error(row[MEAN]),
        cell(interval(row), row[LOW]),
        _against(by.loc[row["strategy"]], True) if row["strategy"] in by.index else cell("–"),
        *(_against(by.loc[key], False) if key in by.index else cell("–") for key in others),
        counted(row["n_structures"]),
    ]


def _against(row, whole):
    """Paired difference, with its interval where `whole`; that and the mean of the other when pointed at."""
    value, between = row["difference_meV_per_A"], interval(row, True, "difference_")
    improved = share(row["fraction_improved"], row["n_structures"])
    known = f"{between}; {scheme_title(row.name)}: {number(row['baseline_mean_meV_per_A'])} meV/Å; improved: {improved}"
    return cell(number(value, True) + (f" {between}" if whole else ""), value, known)


def variants_table(results: Results) -> Table:
    """Paired differences of the further adaptations on the held-out groups."""
    table = results.optional("variants_paired")
    if table is None:
        return None
    rows = [
        [
            cell(scheme_title(row["method"]), title=row["method"]),
            method_cell(row["baseline"]),
            *(error(row[k]) for k in ("method_mean_meV_per_A", "baseline_mean_meV_per_A")),
            *cells.difference_cells(row),
            *(shared(row[k], row["n_structures"]) for k in ("fraction_improved", "fraction_worsened")),
            counted(row["n_structures"]),
        ]
        for row in table[table.group == POOLED].to_dict("records")
    ]
    head = ["Adaptation", "Against", "Its mean (meV/Å)", "Mean of the other (meV/Å)", "Difference (meV/Å)"]
    return cells.table([*head, "95 % interval (meV/Å)", "Improved", "Worsened", "n"], rows)


def published_table(results: Results) -> Table:
    """Published values beside those of the run."""
    table = results.optional("published")
    if table is None:
        return None
    rows = []
    for row in table.to_dict("records"):
        unit = row["unit"] if isinstance(row["unit"], str) else ""
        unit = "" if unit == "ratio" else f" {unit}"
        made = np.isfinite(row["ours"])
        said = row["said"] if isinstance(row["said"], str) else ""
        if not (made or said) and isinstance(row["ours_is"], str):
            continue  # this run has no such group
        rows.append(
            [
                cell(row["quantity"]),
                cell(f"{row['model']}, {row['data']}"),
                cell(f"{row['published']:g}{unit}", row["published"]),
                cell(row["reading"], title=row["place"]),
                cell(
                    f"{row['ours']:.3g}{unit}" if made else said or "–",
                    row["ours"],
                    title=row["ours_is"] if made or said else "not made by this run",
                ),
            ]
        )
    return cells.table(["Quantity", "Published for", "Published", "Reading", "This run"], rows)

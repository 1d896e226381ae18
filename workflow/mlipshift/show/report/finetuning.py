"""Tables of the report on fine-tuning with a few labels; None where a run has none."""

import numpy as np

from mlipshift.catalogue.groups import group
from mlipshift.catalogue.methods import METHODS, look, scheme_title
from mlipshift.evaluate.finetuning import ALL
from mlipshift.show.report import cells
from mlipshift.show.report.cells import cell, error
from mlipshift.show.report.format import MEAN, interval, number, sample
from mlipshift.show.report.results import Results

Table = dict[str, list] | None


def _start(row):
    name = row["start"]
    replay = ", with replay" if row["replay"] else ""
    meaning = METHODS[name].meaning if name in METHODS else name
    return cell(scheme_title(name) + replay, title=f"{name}: {meaning}", colour=look(name)[0])


def _group(key):
    return cell("All of them" if key == ALL else group(key), title=key)


def curves_table(results: Results) -> Table:
    """Error on new molecules by start and number of labels; that on the known ones when pointed at."""
    table = results.optional("learning_curves")
    if table is None:
        return None
    amounts = list(dict.fromkeys(table.sort_values("n_labels").amount.astype(str)))
    rows = []
    for (name, start, replay), part in table.groupby(["group", "start", "replay"], sort=False):
        line = [_group(name), _start({"start": start, "replay": replay})]
        known = {str(row["amount"]): row for row in part.to_dict("records")}
        for amount in amounts:
            row = known.get(amount)
            if row is None:
                line.append(cell("–"))
                continue
            words = (
                f"95 % interval {interval(row)} meV/Å; {sample(row)}; {row['n_labels']:.0f} labels; known molecules:"
            )
            words += f" {number(row['known_meV_per_A'])} meV/Å"
            line.append(cell(number(row[MEAN]), row[MEAN], words))
        rows.append(line)
    heads = [amount.replace("pct", " %") for amount in amounts]
    return cells.table(["Molecules", "Start", *heads], rows)


def needed_table(results: Results) -> Table:
    """Labels that reach the target, and what was forgotten meanwhile."""
    table, curves = results.optional("labels_needed"), results.optional("learning_curves")
    if table is None or curves is None:
        return None
    rows = []
    for row in table.to_dict("records"):
        own = curves[(curves.group == row["group"]) & (curves.start == row["start"]) & (curves.replay == row["replay"])]
        most = own.sort_values("n_labels").iloc[-1]
        needed = row["n_labels_needed"]
        reached = np.isfinite(needed)
        lost = most["forgotten_meV_per_A"]
        rows.append(
            [
                _group(row["group"]),
                _start(row),
                cell(f"{needed:.0f}" if reached else "not reached", needed if reached else None),
                error(row["best_meV_per_A"]),
                cell(f"{row['n_labels_most']:.0f}", row["n_labels_most"]),
                error(lost, True),
                cell(
                    f"{most['prior_calls']:.0f} + {most['prior_calls_per_prediction']:.0f} per prediction",
                    most["prior_calls"],
                ),
            ]
        )
    target = f"{table.target_meV_per_A.iloc[0]:g}"
    head = ["Molecules", "Start", f"Labels for less than {target} meV/Å", "Best error (meV/Å)", "Labels at most"]
    return cells.table([*head, "Change on known molecules, most labels (meV/Å)", "Prior calls"], rows)

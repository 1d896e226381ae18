"""One point of an ablation: errors of the models that were trained for it, and what test-time training gains."""

from mlipshift.evaluate.errors import Errors

POINT = ["point", "fraction", "noise", "prior"]  # what describes a point
MODELS = ("prior", "supervised", "delta", "joint", "joint_ttt", "joint_corrected")
ABLATION = [*POINT, "group", "n_structures", "n_molecules", "n_seeds", *(f"{m}_meV_per_A" for m in MODELS)]
ABLATION += ["gain_meV_per_A", "gain_ci_low_meV_per_A", "gain_ci_high_meV_per_A"]
ABLATION += ["fraction_improved", "fraction_worsened"]


def ablation(errors: Errors, point: dict[str, object]) -> list[dict]:
    """Errors of one point of an ablation per group, and TTT's gain over the joint model with its interval.

    point: {column of POINT: value}; errors: of MODELS.
    """
    before, after = errors.mean("joint"), errors.mean("joint_ttt")
    rows = []
    for group, chosen in errors.groups().items():
        keep = errors.common(chosen, MODELS)
        found = errors.compare(after, before, keep)
        if not found:
            continue
        row = {"group": group, "n_seeds": len(errors.seeds["joint"])}
        row |= {c: found[c] for c in ("n_structures", "n_molecules", "fraction_improved", "fraction_worsened")}
        row |= {f"{m}_meV_per_A": errors.mean(m)[keep].mean() for m in MODELS}
        row |= {
            "gain_meV_per_A": -found["difference_meV_per_A"],
            "gain_ci_low_meV_per_A": -found["ci_high_meV_per_A"],
            "gain_ci_high_meV_per_A": -found["ci_low_meV_per_A"],
        }
        rows.append(point | row)
    return rows

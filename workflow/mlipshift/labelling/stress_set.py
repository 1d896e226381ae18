"""The stress set as it is shipped: one extxyz per half and group, SHA256SUMS and the data sheet."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from mlipshift.base.errors import UserError
from mlipshift.labelling.files import write_set

if TYPE_CHECKING:
    import pandas as pd

HALVES = {"validation": "val", "held_out": "ood"}  # role -> beginning of the file and group names
MADE_BY = {
    "ordinary": "taken over from the embedded benchmark, under its ids",
    "hot": "its force-norm groups (1500 to 2500 K), and dynamics and normal modes at 1500 to 2500 K",
    "stretched": "`stretch<P>`: one bond at P % of its length, both sides rigid, 0.03 Å noise on every coordinate",
    "compressed": "`press<P>`: two molecules in random orientation, closest contact at P % of the van der Waals radii",
    "strained": "cages and small rings: P4, P4S3, P4S6, boranes, carboranes, polyhedranes, propellane, ...",
    "radicals": "doublets and triplets",
    "ions": "charges of +1 and -1, two of them radicals",
    "elements": "B, Si, P, Se, Br, I in both halves",
    "floppy": "`conf<T>`: a new conformer each, and 0.2 ps at T K",
}
SHEET = """# Data sheet of the stress set

Structures on which universal potentials have to hold or to say that they do not: {sampled} geometries of {molecules}
molecules in nine groups, made by this repository, none taken from another data set. {labelled} have a label, {failed}
have none and a reason (`failures.csv`).{unfinished}

- **Use:** `data.files` takes every file under its name, `val_hot: [resources/stress/val_hot.extxyz]`;
  `data.checksums: resources/stress/SHA256SUMS`, `data.level: wB97M-D3(BJ)/def2-TZVPPD`, and
  `data.keys: {{multiplicity: multiplicity}}`, so that no warning asks whether `spin_gap` is one. Curation leaves
  nothing out by its default limits. Not beside the embedded benchmark: some structures are its own, under its ids, at
  another level.
- **Labels again:** `snakemake stress --cores 1` labels the shards that are missing, those that are there stay, and
  assembles the files in `results/labelling/stress_set`, to be copied here; a shard takes about five minutes of a free
  core. `snakemake assemble_stress --cores 1` assembles what there is and labels nothing.
- **New geometries:** `snakemake results/labelling/stress/geometries.extxyz --cores 2`, then copy the file here and
  delete `shards/` and `quality.csv`.

## Files
| file | what |
|---|---|
| `val_GROUP.extxyz`, `ood_GROUP.extxyz` | the labelled structures of a group: validation half, held-out half |
| `SHA256SUMS` | of these files, verified at load |
| `failures.csv` | structures without a label, with the reason |
| `quality.csv` | checks of some labels |
| `molecules.csv` | one row per group and molecule: SMILES, charge, multiplicity, role, stretched bond (atoms), plan |
| `cages.extxyz` | idealised start geometries of the boranes and carboranes, for which a SMILES is no good |
| `geometries.extxyz` | the structures, as made by `sample_stress.py` with seed 2026 |
| `level.json` | level of theory |
| `shards/NNN.extxyz` | labelled structures NNN, NNN + {shards}, NNN + {twice}, ... of `geometries.extxyz`: all groups |
| `shards/NNN.failures.csv` | those without a label, with the reason |

Units: eV, Å, eV/Å. Keys: `REF_energy` (total energy), `REF_forces`, `charge`, `multiplicity`, `group`, `molecule`,
`role` (`validation` or `held_out`: choices are made on the one and reported on the other; a molecule has one role in
all groups), `protocol`, and the state of the determinant, below.

## Groups
| group | structures | molecules | atoms | made by |
|---|---|---|---|---|
{groups}

`md<T>` is Langevin dynamics and `modes<T>` thermal displacement along normal modes, both of GFN2-xTB at T K. What is
new here was accepted only if its bonds are those of the relaxed molecule (but for a stretched one), no two atoms are
closer than 0.55 covalent radii, and no atom has more than 9 eV/Å in GFN2-xTB. A structure with more than 10 eV/Å on an
atom in its label is listed as a failure, so that the set is severe and not absurd. GFN2-xTB thus decided where the
structures lie: the set says nothing of geometries that it never visits.

What the embedded benchmark trains on or validates with (`train`, `id_test`, `val_*`) is validation here, and what it
holds out (`ood_*`) is held out.

## Labelled structures
Forces in eV/Å: mean over structures of the mean norm over atoms, and the largest norm of all.

| file | structures | molecules | atoms | elements | charge | multiplicity | mean force | largest force |
|---|---|---|---|---|---|---|---|---|
{files}

## Labels
ωB97M-D3(BJ)/def2-TZVPPD, density fitting, PySCF 2.14.0, pyscf-dispersion 1.7.0, grid 3, energy convergence 1e-8
hartree; effective core potential for iodine. As in the embedded benchmark the net force of the integration grid, below
0.02 eV/Å, is subtracted, and a calculation that does not converge is a failure.

- **Stability.** Every determinant is analysed for internal instability as an unrestricted one (so a closed shell for
  RKS → UKS as well) in def2-SVP, an unstable one is followed to the lower solution, and that starts the calculation in
  the large basis. Where one was followed, or the softest orbital rotation is below 0.1 hartree, the analysis and the
  following are repeated in def2-TZVPPD. Not analysed: complex orbitals, and large-basis instabilities of
  what is safe in the small one. `stability`: `stable` ({stable}), `followed` to a stable one ({followed}) or
  `unstable`, one is left ({unstable}); `softest_rotation` (hartree, in `analysed_in`); `kohn_sham`: `restricted` or
  `unrestricted`; `s2`: ⟨S²⟩.
- **Spin.** The label is of the stated multiplicity: pulled bonds stay singlets, with broken symmetry where that is
  lower (⟨S²⟩ towards 1; {broken} singlets). For open shells and for soft or followed determinants `spin_gap` is the
  energy of the other spin state, `other_multiplicity`, above this one in def2-SVP (eV; negative: the other one is
  lower; absent where it did not converge). These energies are of spin-contaminated determinants: a guide, not a
  singlet-triplet gap.
- **Taken over:** labels of the same geometries at the same level made before with `reference.label`, where the
  determinant is restricted and safe.
{quality}
## Open
{open}
- the level itself: broken-symmetry density functional theory is not the truth for a breaking bond or a diradical

Licence: CC-BY-4.0 (`LICENSE.md`).
"""
QUALITY = """- **Quality** of the forces, largest errors in meV/Å over {checked} structures of {smallest} to {biggest}
  atoms, drawn by their ids from different groups; open shells: {open_shells}, followed: {followed_checks}, ions: {ions}
  (`quality.csv`): {finite_differences} against finite differences of the energy, {finer_grid} against a grid two levels
  finer, {tighter_convergence} against a hundred times tighter convergence, {label} between the label and the same
  determinant found anew; net force before its removal {net_force}. Larger molecules were not checked.
"""


def in_order(frames: Iterable[Atoms], molecules: Iterable[tuple[str, str]]) -> list[Atoms]:
    """Labelled structures in the order of the table of molecules [(group, name)], then of their ids.

    Raises UserError for a structure of no molecule of the table.
    """
    rank = {key: k for k, key in enumerate(molecules)}
    frames = list(frames)
    for f in frames:
        if (f.info["group"], f.info["molecule"]) not in rank:
            raise UserError(f"{f.info['id']}: not in the table of molecules; give the one that it was sampled from")
    return sorted(frames, key=lambda f: (rank[f.info["group"], f.info["molecule"]], f.info["id"]))


def _span(values):
    """Smallest to largest of some numbers, as text."""
    low, high = min(values), max(values)
    return f"{low}-{high}" if low != high else str(low)


def _row(name, frames):
    """Line of the table of files."""
    norms = [np.linalg.norm(f.arrays["REF_forces"], axis=1) for f in frames]
    listed = lambda key: sorted({int(f.info[key]) for f in frames})
    symbols = ", ".join(sorted({s for f in frames for s in f.get_chemical_symbols()}))
    cells = (
        f"`{name}`",
        len(frames),
        len({f.info["molecule"] for f in frames}),
        _span([len(f) for f in frames]),
        symbols,
        ", ".join(f"{charge:+d}" if charge else "0" for charge in listed("charge")),
        ", ".join(map(str, listed("multiplicity"))),
        f"{np.mean([norm.mean() for norm in norms]):.2f}",
        f"{max(norm.max() for norm in norms):.2f}",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def write_groups(frames: list[Atoms], folder: Path) -> list[str]:
    """Write the labelled structures, in their order, and SHA256SUMS to a folder; lines of the table of the data sheet.

    Raises UserError for a half of a group without a structure, before anything is written.
    """
    chosen = {
        f"{half}_{group}": [f for f in frames if f.info["group"] == group and f.info["role"] == role]
        for role, half in HALVES.items()
        for group in MADE_BY
    }
    empty = [name for name, some in chosen.items() if not some]
    if empty:
        raise UserError(f"no labelled structure of {', '.join(empty)}; label more shards: snakemake stress")
    write_set(chosen, folder)
    return [_row(name, some) for name, some in chosen.items()]


def _quality(checks):
    """The paragraph of the data sheet on the checks, nothing without any."""
    if checks is None:
        return ""
    largest = checks.filter(like="_meV_per_A").max()
    return QUALITY.format(
        checked=len(checks),
        smallest=checks.atoms.min(),
        biggest=checks.atoms.max(),
        open_shells=(checks.multiplicity > 1).sum(),
        followed_checks=(checks.stability == "followed").sum(),
        ions=(checks.charge != 0).sum(),
        **{name.removesuffix("_meV_per_A"): f"{value:.2g}" for name, value in largest.items()},
    )


def data_sheet(
    geometries: list[Atoms],
    frames: list[Atoms],
    rows: Iterable[str],
    failures: list[dict[str, str]],
    checks: "pd.DataFrame | None",
    missing: Sequence[str],
    shards: int,
) -> str:
    """The data sheet; geometries: all that were sampled; frames: those with a label; rows: of `write_groups`.

    failures: {id, reason}; checks: of some labels, columns as in reference.QUALITY, None if there are none; missing:
    names of the shards of `shards` that are not labelled yet.
    """
    sampled = {group: [a for a in geometries if a.info["group"] == group] for group in MADE_BY}
    groups = [
        f"| `{group}` | {len(some)} | {len({a.info['molecule'] for a in some})} | {_span([len(a) for a in some])} | "
        f"{MADE_BY[group]} |"
        for group, some in sampled.items()
    ]
    stability = Counter(f.info["stability"] for f in frames)
    broken = sum(f.info["multiplicity"] == 1 and f.info["kohn_sham"] == "unrestricted" for f in frames)
    unlabelled = len(geometries) - len(frames) - len(failures)
    due = [f"- {unlabelled} structures without a label, those of the shards {', '.join(missing)}"] if missing else []
    due += ["- quality: finite differences, finer grid, tighter convergence"] if checks is None else []
    return SHEET.format(
        sampled=len(geometries),
        molecules=len({a.info["molecule"] for a in geometries}),
        labelled=len(frames),
        failed=len(failures),
        unfinished=f" **Unfinished:** {len(missing)} of {shards} shards are not labelled yet." if missing else "",
        shards=shards,
        twice=2 * shards,
        groups="\n".join(groups),
        files="\n".join(rows),
        **{name: stability[name] for name in ("stable", "followed", "unstable")},
        broken=broken,
        quality=_quality(checks),
        open="\n".join(due),
    ).replace("## Open\n\n", "## Open\n")

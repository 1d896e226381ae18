"""The embedded benchmark as it is shipped: one extxyz per group, SHA256SUMS and the data sheet."""

from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from mlipshift.labelling.files import write_set

if TYPE_CHECKING:
    import pandas as pd


PURPOSE = {
    "train": "training",
    "id_test": "in-distribution test: unseen geometries of training molecules",
    "val_new_elements": "validation shift group: an element absent from training (F)",
    "val_connectivity": "validation shift group: unusual connectivity",
    "val_force_norm": "validation shift group: hot geometries of training molecules",
    "val_larger": "validation shift group: larger molecules",
    "ood_new_elements": "held-out shift group: elements absent from training (S, Cl)",
    "ood_connectivity": "held-out shift group: cages, cumulenes, chains, complexes",
    "ood_force_norm": "held-out shift group: hot geometries (1500 to 2500 K) of training molecules",
    "ood_larger": "held-out shift group: larger molecules",
}
SHEET = """# Data sheet of the embedded benchmark

Made by this repository (`make labels`): `workflow/scripts/sample_geometries.py`, `label_reference.py`,
`assemble_benchmark.py`. Nothing was taken from another data set.

- **Level of theory:** {xc}/{basis} (as PySCF spells it), density fitting,
  PySCF {pyscf} with pyscf-dispersion {dispersion}; grid level {grid_level}, energy convergence {conv_tol} hartree;
  unrestricted Kohn-Sham for multiplicity > 1. A label is kept only if the self-consistent field converged (DIIS, then
  second order) and the net force is below 0.02 eV/Å; what remains of it, noise of the integration grid, is subtracted
  evenly from all atoms.
- **Geometries:** SMILES of `molecules.csv` embedded with RDKit {rdkit}, relaxed with GFN2-xTB (tblite {tblite}), then
  Langevin dynamics (`md<T>`: T in K, 0.5 fs steps, 100 fs apart) or thermal displacement along GFN2-xTB normal modes
  (`modes<T>`). Geometries whose covalent bonds differ from the relaxed molecule were rejected. Seed {seed}.
- **Quality** of the forces, largest errors in meV/Å over {checked} structures of {smallest} to {biggest} atoms
  drawn at random (`quality.csv`):
  {finite_differences} against finite differences of the energy, {finer_grid} against a grid two levels finer,
  {tighter_convergence} against a hundred times tighter convergence; net force before its removal {net_force}.
- **Units:** eV, Å, eV/Å. Keys: `REF_energy` (total energy), `REF_forces`. All molecules are neutral.
- **Frames:** {frames} structures of {molecules} molecules, 2 to {largest} atoms. {failed} structures failed.
- **Licence:** CC-BY-4.0 (data), as stated in `README.md`.
- **Checksums:** `SHA256SUMS`, verified at load.

| group | structures | molecules | elements | atoms | mean force norm (eV/Å) | use |
|---|---|---|---|---|---|---|
{rows}

The hyper-parameters of the pipeline were chosen on the `val_*` groups alone. Molecules of `ood_*` and `val_*`
groups do not occur in `train`, except in the two force-norm groups, which are hot geometries of training molecules.
No molecule is in a `val_*` and an `ood_*` group.
{failures}"""


def write_groups(frames: list[Atoms], smiles: dict[tuple[str, str], str], folder: Path) -> list[str]:
    """Write the labelled structures, in their order, and SHA256SUMS to a folder; lines of the table of the data sheet.

    smiles: {(group, molecule): SMILES}.
    """
    groups = {group: [f for f in frames if f.info["group"] == group] for group in PURPOSE}
    for group, chosen in groups.items():
        for f in chosen:
            f.info["smiles"] = smiles[group, f.info["molecule"]]
            f.calc = None
    write_set(groups, folder)
    rows = []
    for group, chosen in groups.items():
        norm = np.mean([np.linalg.norm(f.arrays["REF_forces"], axis=1).mean() for f in chosen])
        sizes = [len(f) for f in chosen]
        symbols = ", ".join(sorted({s for f in chosen for s in f.get_chemical_symbols()}))
        count = len({f.info["molecule"] for f in chosen})
        cells = (f"`{group}`", len(chosen), count, symbols, f"{min(sizes)}-{max(sizes)}", f"{norm:.2f}", PURPOSE[group])
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return rows


def data_sheet(
    frames: list[Atoms],
    rows: Iterable[str],
    failures: list[dict[str, str]],
    checks: "pd.DataFrame",
    settings: dict[str, Any],
) -> str:
    """The data sheet; rows: of `write_groups`; failures: {id, reason}; checks: of some labels, see reference.quality;
    settings: section labelling."""
    largest = checks.filter(like="_meV_per_A").max()
    listed = "".join(f"\n- `{r['id']}`: {r['reason']}" for r in failures)
    return SHEET.format(
        checked=len(checks),
        smallest=checks.atoms.min(),
        biggest=checks.atoms.max(),
        **{name.removesuffix("_meV_per_A"): f"{value:.2g}" for name, value in largest.items()},
        **settings["level"],
        seed=settings["seed"],
        pyscf=version("pyscf"),
        dispersion=version("pyscf-dispersion"),
        rdkit=version("rdkit"),
        tblite=version("tblite"),
        frames=len(frames),
        molecules=len({f.info["molecule"] for f in frames}),
        largest=max(len(f) for f in frames),
        failed=len(failures),
        rows="\n".join(rows),
        failures=f"\nFailed structures:\n{listed}\n" if failures else "",
    )

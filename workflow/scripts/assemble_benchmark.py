"""Write the labelled benchmark: one extxyz per group, SHA256SUMS and the data sheet."""

import csv
import hashlib
import json
import shutil
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ase.io import read, write

from mlipshift.base.errors import UserError
from mlipshift.base.log import log
from mlipshift.base.tables import read_table
from mlipshift.run import cli

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


def main(args):
    with open(args.molecules, newline="") as handle:
        rank = {(r["group"], r["name"]): (k, r["smiles"]) for k, r in enumerate(csv.DictReader(handle))}
    frames = [f for path in args.shards for f in read(path, index=":")]
    key = lambda f: (rank[f.info["group"], f.info["molecule"]][0], f.info["id"])
    frames.sort(key=key)
    if not frames:
        raise UserError("no labelled structure in any shard")
    failures = []
    for path in args.shard_failures:
        with open(path, newline="") as handle:
            failures += list(csv.DictReader(handle))
    args.output.mkdir(parents=True, exist_ok=True)
    rows, sums = [], []
    for group, purpose in PURPOSE.items():
        chosen = [f for f in frames if f.info["group"] == group]
        for f in chosen:
            f.info["smiles"] = rank[group, f.info["molecule"]][1]
            f.calc = None
        path = args.output / f"{group}.extxyz"
        write(path, chosen, format="extxyz", columns=["symbols", "positions", "REF_forces"])
        sums.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}")
        norm = np.mean([np.linalg.norm(f.arrays["REF_forces"], axis=1).mean() for f in chosen])
        sizes = [len(f) for f in chosen]
        symbols = ", ".join(sorted({s for f in chosen for s in f.get_chemical_symbols()}))
        count = len({f.info["molecule"] for f in chosen})
        rows.append(
            f"| `{group}` | {len(chosen)} | {count} | {symbols} | {min(sizes)}-{max(sizes)} | {norm:.2f} | {purpose} |"
        )
    (args.output / "level.json").write_text(json.dumps(args.settings["level"], sort_keys=True) + "\n")
    (args.output / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    listed = "".join(f"\n- `{r['id']}`: {r['reason']}" for r in failures)
    shutil.copyfile(args.quality, args.output / "quality.csv")
    checks = read_table(args.quality)
    largest = checks.filter(like="_meV_per_A").max()
    sheet = SHEET.format(
        checked=len(checks),
        smallest=checks.atoms.min(),
        biggest=checks.atoms.max(),
        **{name.removesuffix("_meV_per_A"): f"{value:.2g}" for name, value in largest.items()},
        **args.settings["level"],
        seed=args.settings["seed"],
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
    (args.output / "DATASHEET.md").write_text(sheet)
    log.info("%d structures, %d failures", len(frames), len(failures))


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "molecules": {"type": Path, "help": "CSV of the molecule list"},
            "shards": {"type": Path, "nargs": "+"},
            "shard_failures": {"type": Path, "nargs": "+"},
            "quality": {"type": Path, "help": "CSV of the checks of some labels, by check_reference"},
            "settings": {"type": cli.settings, "help": "JSON: level, seed"},
            "output": {"type": Path, "help": "directory to write"},
        },
    )

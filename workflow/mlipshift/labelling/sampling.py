"""Geometries for the embedded benchmark: GFN2-xTB dynamics and thermal normal-mode displacement.

Molecules are given as SMILES, embedded with RDKit and relaxed with GFN2-xTB. Every geometry is
accepted only if its covalent bonds are those of the relaxed molecule, so that a hot sample shifts
the forces and not the bonding.
"""

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary, ZeroRotation
from ase.optimize import BFGS
from ase.vibrations import VibrationsData

from mlipshift.base.errors import UserError
from mlipshift.base.geometry import bonds
from mlipshift.prior.engines import tblite
from mlipshift.prior.hessian import hessian

if TYPE_CHECKING:
    from rdkit.Chem import Mol

TIMESTEP_FS = 0.5
HESSIAN_STEP = 0.01  # Å
SOFT_MODE = 0.012  # eV, about 100 cm^-1: below it the harmonic amplitude is meaningless


def molecule_seed(name: str, seed: int) -> int:
    """Seed of one molecule, independent of the order in which molecules are sampled."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:4], "big")


def conformer(smiles: str, seed: int) -> "Mol":
    """RDKit molecule of a SMILES with explicit hydrogens and one conformer from ETKDG, not relaxed.

    Raises UserError for a SMILES RDKit cannot read or embed.
    """
    from rdkit import Chem
    from rdkit.Chem import AllChem

    mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        raise UserError(f"SMILES {smiles!r} cannot be read; correct it in the molecule list")
    mol = Chem.AddHs(mol)
    place: Any = AllChem.EmbedMolecule  # type: ignore[attr-defined]  # not in the stubs of RDKit
    if place(mol, randomSeed=seed % 2**31) != 0 and place(mol, randomSeed=1, useRandomCoords=True) != 0:
        raise UserError(f"RDKit found no geometry for SMILES {smiles!r}")
    return mol


def embed(smiles: str, seed: int) -> Atoms:
    """Atoms of a SMILES with explicit hydrogens from RDKit's ETKDG, not relaxed.

    Separate fragments are placed 4 Å apart. Raises as `conformer`.
    """
    parts, offset = [], 0.0
    for fragment in smiles.split("."):
        mol = conformer(fragment, seed)
        numbers = [a.GetAtomicNum() for a in mol.GetAtoms()]
        atoms = Atoms(numbers, mol.GetConformer().GetPositions())
        atoms.translate(-atoms.positions.mean(0))
        atoms.translate([offset - atoms.positions[:, 0].min(), 0, 0])
        offset = atoms.positions[:, 0].max() + 3.0
        parts.append(atoms)
    whole = parts[0]
    for part in parts[1:]:
        whole += part
    return whole


def relax(atoms: Atoms, charge: int, multiplicity: int, fmax: float = 0.01) -> Atoms:
    """GFN2-xTB minimum near `atoms` (|F| < fmax eV/Å). Raises UserError if 500 steps do not reach it."""
    atoms = atoms.copy()
    atoms.calc = tblite.ase_calculator("GFN2-xTB", charge, multiplicity)
    optimiser = BFGS(atoms, logfile=None)
    optimiser.run(fmax=fmax, steps=500)
    if not optimiser.converged():
        raise UserError(f"{atoms.get_chemical_formula()} did not relax in 500 steps")
    return atoms


def normal_modes(atoms: Atoms) -> tuple[np.ndarray, np.ndarray]:
    """Non-trivial normal modes: energies [m] (eV), displacement patterns [m, n, 3] in Å·amu^½ units."""
    probe = atoms.copy()
    probe.calc = atoms.calc

    def forces(positions):
        probe.positions = positions
        return probe.get_forces()

    data = VibrationsData.from_2d(atoms, hessian(forces, atoms.positions, HESSIAN_STEP))
    energies, modes = data.get_energies_and_modes()
    keep = energies.real > SOFT_MODE
    return energies.real[keep], modes[keep]


def displace(
    atoms: Atoms, energies: np.ndarray, modes: np.ndarray, temperature: float, rng: np.random.Generator
) -> np.ndarray:
    """Positions [n, 3] (Å) drawn from the classical thermal distribution of the harmonic modes at `temperature` (K)."""
    kt = units.kB * temperature
    omega = energies / units._hbar * units._e / units.s  # 1/(ASE time)
    amplitude = rng.normal(size=len(energies)) * np.sqrt(kt) / omega
    return atoms.positions + np.einsum("m,mij->ij", amplitude, modes)


def dynamics(
    atoms: "Molecule", temperature: float, rng: np.random.Generator, equilibrate: int = 400, interval: int = 200
) -> Iterator[np.ndarray]:
    """Yield positions [n, 3] (Å) of a Langevin trajectory at `temperature` (K), `interval` steps of 0.5 fs apart."""
    atoms = atoms.copy_with_calc()
    MaxwellBoltzmannDistribution(atoms, temperature_K=2 * temperature, rng=rng)
    Stationary(atoms)
    if len(atoms) > 2:
        ZeroRotation(atoms)
    md = Langevin(
        atoms,
        TIMESTEP_FS * units.fs,
        temperature_K=temperature,
        friction=0.02 / units.fs,
        rng=rng,
        fixcm=False,
    )
    md.run(equilibrate)
    while True:
        yield atoms.positions.copy()
        md.run(interval)


class Molecule(Atoms):
    """Atoms whose copy may keep the calculator."""

    def copy_with_calc(self) -> "Molecule":
        """The same structure with the same calculator."""
        twin = self.copy()
        twin.calc = self.calc
        return twin


def sample(
    name: str, smiles: str, charge: int, multiplicity: int, plan: Iterable[tuple[str, int, int]], seed: int
) -> tuple[list[tuple[np.ndarray, str]], np.ndarray]:
    """Geometries of one molecule.

    plan: list of (protocol, temperature_K, count), protocol "md" or "modes".
    Returns a list of (positions [n, 3] Å, protocol label) and the atomic numbers [n].
    Raises UserError when too many samples are rejected.
    """
    root = molecule_seed(name, seed)
    start = Molecule(relax(embed(smiles, root), charge, multiplicity))
    start.calc = tblite.ase_calculator("GFN2-xTB", charge, multiplicity)
    reference = bonds(start.numbers, start.positions)
    modes = None
    out = []
    for k, (protocol, temperature, count) in enumerate(plan):
        rng = np.random.default_rng([root, k])
        if protocol == "modes":
            modes = modes or normal_modes(start)
            stream = (displace(start, *modes, temperature, rng) for _ in itertools.count())
        elif protocol == "md":
            stream = dynamics(start, temperature, rng)
        else:
            raise UserError(f"sampling protocol {protocol!r} is unknown; use md or modes")
        accepted = 0
        for attempt, positions in enumerate(stream):
            candidate = start.copy()
            candidate.positions = positions - positions.mean(0)
            if bonds(candidate.numbers, candidate.positions) == reference:
                out.append((candidate.positions.copy(), f"{protocol}{temperature}"))
                accepted += 1
                if accepted == count:
                    break
            if attempt > 60 + 10 * count:
                raise UserError(f"{name}: {protocol} at {temperature} K keeps breaking bonds")
    return out, start.numbers.copy()


def of_row(row: dict[str, str], seed: int) -> list[Atoms]:
    """Geometries of one row of the molecule list: group, name, smiles, charge, multiplicity, plan.

    plan: PROTOCOL + temperature in K + ":" + count, such as md300:8, separated by spaces. Raises as `sample`.
    """
    plan = [tuple(item.replace(":", " ").split()) for item in row["plan"].split()]
    plan = [(p.rstrip("0123456789"), int(p.lstrip("abcdefghijklmnopqrstuvwxyz")), int(n)) for p, n in plan]
    charge, multiplicity = int(row["charge"]), int(row["multiplicity"])
    key = f"{row['group']}/{row['name']}"
    geometries, numbers = sample(key, row["smiles"], charge, multiplicity, plan, seed)
    frames = []
    for k, (positions, protocol) in enumerate(geometries):
        atoms = Atoms(numbers, np.round(positions, 8))
        atoms.info = {
            "id": f"{key}/{k:02d}",
            "group": row["group"],
            "molecule": row["name"],
            "protocol": protocol,
            "charge": charge,
            "multiplicity": multiplicity,
        }
        frames.append(atoms)
    return frames

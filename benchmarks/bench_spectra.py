"""Laplacian spectra at the ten candidate radii of radius refinement, against the published way.

Published: per radius a neighbour list (here a KD-tree, as radius_graph of PyTorch Geometric needs a
compiled extension), self loops, get_laplacian, a SciPy matrix made dense, numpy.linalg.eigvals.
One core. The eigenvalues of both must agree to 1e-6.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from common import best_of_both, line
from rdkit import Chem
from rdkit.Chem import AllChem
from scipy.spatial import cKDTree
from torch_geometric.utils import add_remaining_self_loops, get_laplacian, to_scipy_sparse_matrix

from mlipshift.spectra import spectra

RADII = np.linspace(3, 9, 10)  # Å, the candidates of the released code
STACHYOSE = (  # the molecule of the paper's MD22 experiment
    "OC[C@H]1O[C@H](OC[C@H]2O[C@H](OC[C@H]3O[C@H](O[C@]4(CO)O[C@H](CO)[C@@H](O)[C@@H]4O)[C@H](O)[C@@H](O)"
    "[C@@H]3O)[C@H](O)[C@@H](O)[C@H]2O)[C@H](O)[C@@H](O)[C@H]1O"
)
MOLECULES = {"benzene": "c1ccccc1", "ibuprofen": "CC(C)Cc1ccc(cc1)C(C)C(=O)O", "stachyose": STACHYOSE}


def geometry(smiles):
    """Embedded positions [n, 3] in Å."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(molecule, randomSeed=1)
    return molecule.GetConformer().GetPositions()


def published(positions, radius):
    """Eigenvalues at one radius, as the released code computes them."""
    pairs = cKDTree(positions).query_pairs(radius, output_type="ndarray")
    edges = torch.as_tensor(np.concatenate([pairs, pairs[:, ::-1]]).T.copy(), dtype=torch.long)
    edges, weights = get_laplacian(add_remaining_self_loops(edges)[0], normalization="sym")
    return np.linalg.eigvals(to_scipy_sparse_matrix(edges, weights).toarray())


def main():
    torch.set_num_threads(1)
    for name, smiles in MOLECULES.items():
        compare(name, geometry(smiles))


def compare(name, positions):
    """Check that both ways agree at every radius and print their times."""
    for ours, radius in zip(spectra(positions, RADII), RADII):
        other = np.sort(published(positions, radius).real)
        if len(ours) != len(other) or np.abs(ours - other).max() > 1e-6:
            raise SystemExit(f"{name}: eigenvalues differ at {radius:.2f} Å")
    fast, slow = best_of_both(
        lambda: [spectra(positions, RADII) for _ in range(10)],
        lambda: [published(positions, r) for r in RADII],
        rounds=20,
    )
    fast /= 10
    title = f"spectra, {name}, {len(positions)} atoms"
    line(title, f"{1e3 * fast:.3f} ms", f"{1e3 * slow:.2f} ms", slow / fast)


if __name__ == "__main__":
    main()

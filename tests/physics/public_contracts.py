"""What every module of external.differentiable has to keep, in the environment of its package.

`python public_contracts.py FAMILY` prints {name: "" or what failed} as JSON; test_public_adaptation.py reads it. A MACE
is made here, untrained and small; AIMNet2 comes with its package.
"""

import json
import sys
import tempfile
import traceback
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from ase.build import molecule

from mlipshift.external import differentiable, families, heads, test_time, tuning, weights
from mlipshift.external.structure import Structure

HEAD = {"components": 16, "hidden": 8, "seed": 0, "epochs": 20}
RATES = {"aimnet2": 1e-5, "mace": 3e-3}
STEP = 0.01  # Å, of finite differences; the models are in single precision


def structures():
    """Six rattled molecules of H, C and O."""
    rng = np.random.default_rng(0)
    for name in ("CH3CH2OH", "CH3OH", "H2O", "CH4", "C2H4", "H2CO"):
        atoms = molecule(name)
        positions = atoms.positions + rng.normal(scale=0.05, size=(len(atoms), 3))
        yield Structure(atoms.numbers, positions, 0, 1, np.zeros((3, 3)), np.zeros(3, bool))


def small_mace(folder):
    """Checkpoint of a MACE with random weights."""
    import_module("mlipshift.external.families.mace")  # lets e3nn read its constants
    from e3nn import o3
    from mace.modules import ScaleShiftMACE, gate_dict, interaction_classes

    torch.manual_seed(0)
    kind = interaction_classes["RealAgnosticResidualInteractionBlock"]
    sizes = {"r_max": 4.0, "num_bessel": 6, "num_polynomial_cutoff": 5, "max_ell": 2, "num_interactions": 2}
    sizes |= {"num_elements": 3, "avg_num_neighbors": 8.0, "correlation": 2, "radial_MLP": [16, 16]}
    irreps = {"hidden_irreps": o3.Irreps("8x0e + 8x1o"), "MLP_irreps": o3.Irreps("8x0e")}
    scale = {"atomic_inter_scale": 1.0, "atomic_inter_shift": 0.0, "atomic_energies": np.zeros(3)}
    blocks = {"interaction_cls": kind, "interaction_cls_first": kind, "gate": gate_dict["silu"]}
    torch.save(ScaleShiftMACE(**sizes, **irreps, **scale, **blocks, atomic_numbers=[1, 6, 8]), folder / "m.model")
    return folder / "m.model"


def loaded(family, folder):
    entry = {"family": family, "sha256": None, "arguments": {}, "cutoff_A": None, "periodic": False}
    entry |= {"box_padding_A": None, "calculator": None}
    checkpoint = small_mace(folder) if family == "mace" else None
    return differentiable.load(entry, checkpoint), families.load(entry, checkpoint)


class Case:
    def __init__(self, family, folder):
        (self.model, self.published), self.family, self.folder = loaded(family, folder), family, folder
        self.structures = list(structures())
        self.own = self.said()
        self.prior = [1.5 * f + 0.3 * np.roll(f, 1, axis=0) - 0.3 * f for _, f in self.own]

    def said(self):
        return tuning.said(self.model, self.structures)

    def same(self, tolerance=5e-5):
        assert all(np.abs(a[1] - b[1]).max() < tolerance for a, b in zip(self.said(), self.own))

    def says_what_the_published_model_says(self):
        for s, (energy, forces) in zip(self.structures, self.own):
            expected = self.published(s)
            assert abs(energy - expected[0]) < 1e-3 and np.abs(forces - expected[1]).max() < 1e-3

    def forces_are_minus_the_gradient(self):
        s = self.structures[0]
        for atom, axis in ((0, 0), (3, 1), (8, 2)):
            ends = []
            for step in (STEP, -STEP, 2 * STEP, -2 * STEP):
                x = torch.as_tensor(s.positions, dtype=self.model.dtype)
                x[atom, axis] += step
                ends.append(float(self.model(self.model.prepare([s]), x)[0].detach().sum()))
            slope = (8 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / (12 * STEP)
            assert abs(self.own[0][1][atom, axis] + slope) < 0.02

    def representation_and_readout_are_apart(self):
        shared = {id(p) for p in self.model.representation()}
        rest = {id(p) for p in self.model.readout()}
        assert shared and rest and not shared & rest
        assert not any(p.requires_grad for p in self.model.network.parameters())

    def adaptation_lowers_the_residual_and_leaves_no_trace(self):
        head = heads.start(self.model, self.structures, HEAD)
        rows = heads.examples(self.model, head, self.structures, self.prior, self.family)
        heads.train(head, rows, [], HEAD)
        head.requires_grad_(False)
        before = [p.clone() for p in self.model.network.parameters()]
        settings = test_time.Settings(6, RATES[self.family], (3,))
        for s, f in list(zip(self.structures, self.prior))[:3]:
            found = test_time.adapt(self.model, head, s, f, settings)
            assert not found.reason and found.loss[-1] < found.loss[0] and found.forces.shape == (3, len(f), 3)
        assert all(torch.equal(a, b) for a, b in zip(before, self.model.network.parameters()))
        self.same()

    def low_rank_updates_start_as_the_model(self):
        chosen = tuning.matrices(self.model)
        update = tuning.LowRank(chosen, 2, 0)
        update.write()
        self.same()
        goal = tuning.Goal(self.structures, self.prior, np.full(len(self.prior), np.nan))
        before = tuning.force_errors(self.model, goal).mean()
        with weights.restored(chosen):
            tuning.descend(self.model, update, [goal], tuning.Descent(10 * RATES[self.family]), 5)
            assert tuning.force_errors(self.model, goal).mean() < before
        self.same()

    def changed_weights_are_read_back(self):
        with weights.restored(weights.adaptable(self.model)):
            with torch.no_grad():
                for p in weights.adaptable(self.model):
                    p.mul_(1.01)
            changed = self.said()
            weights.save(self.model, self.folder / "w.pt")
        self.same()
        with weights.restored(weights.adaptable(self.model)):
            weights.load(self.model, self.folder / "w.pt")
            assert all(np.abs(a[1] - b[1]).max() < 5e-5 for a, b in zip(self.said(), changed))


def main(family):
    """{name: "" or what failed} of the contracts."""
    out = {}
    with tempfile.TemporaryDirectory() as folder:
        case = Case(family, Path(folder))
        for name in [n for n in vars(Case) if n[0] != "_" and n not in ("said", "same")]:
            try:
                getattr(case, name)()
                out[name] = ""
            except Exception:
                out[name] = traceback.format_exc()
    return out


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))

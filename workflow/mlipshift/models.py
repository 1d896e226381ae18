"""A compact equivariant two-head potential.

Message passing with scalar and vector features (PaiNN: Schütt et al., ICML 2021, arXiv 2102.03150) and
a smooth polynomial envelope. Shared representation: atom embedding and `blocks` interaction blocks.
Each head (reference, prior) is one more block with an energy and a force readout.

Forces are predicted directly, as by the GemNet-dT of the paper, and not as a gradient: one backward
pass less per test-time step is three to ten times less work, and test-time training is a claim about
forces. The mean force is removed, so the net force on an isolated molecule is exactly zero; energy
and forces are not consistent by construction, so the model is not meant for dynamics.

Every weight may carry a leading replica axis (torch.func.functional_call with stacked parameters), so
that many structures are adapted at once, each with its own parameters.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn
from torch.func import functional_call

from mlipshift.errors import UserError, shortened
from mlipshift.files import Sink, replacing

MAX_ELEMENT = 94
HEADS = ("reference", "prior")
FORMAT = "mlipshift-model-1"


@dataclass(frozen=True)
class Architecture:
    """Hyper-parameters of the network; cutoff in Å."""

    features: int = 48
    blocks: int = 2
    radial: int = 16
    cutoff: float = 5.0


class Dense(nn.Module):
    """x [R, ..., in] -> [R, ..., out]; weight [in, out] shared or [R, in, out] per replica."""

    def __init__(self, inputs, outputs, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x):
        if self.weight.dim() == 2:
            x = x @ self.weight
            return x if self.bias is None else x + self.bias
        flat = x.flatten(1, -2)
        out = (
            torch.bmm(flat, self.weight) if self.bias is None else torch.baddbmm(self.bias[:, None], flat, self.weight)
        )
        return out.unflatten(1, x.shape[1:-1])


class Embedding(nn.Module):
    """Atomic number [R, n] -> features [R, n, F]."""

    def __init__(self, features):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(MAX_ELEMENT + 1, features) / features**0.5)

    def forward(self, z):
        if self.weight.dim() == 2:
            return self.weight[z]
        replicas, rows = self.weight.shape[:2]
        index = z + rows * torch.arange(replicas, device=z.device)[:, None]
        return self.weight.flatten(0, 1).index_select(0, index.flatten()).unflatten(0, z.shape)


class Block(nn.Module):
    """One message and one update step on scalars s [R, n, F] and vectors v [R, n, 3, F]."""

    def __init__(self, features, radial):
        super().__init__()
        self.phi1, self.phi2 = Dense(features, features), Dense(features, 3 * features)
        self.filter = Dense(radial, 3 * features)
        self.mix = Dense(features, 2 * features, bias=False)
        self.update1, self.update2 = Dense(2 * features, features), Dense(features, 3 * features)

    def forward(self, s, v, geometry):
        basis, unit, envelope, neighbours = geometry
        shape = basis.shape[:3]
        message = self.phi2(nn.functional.silu(self.phi1(s)))
        message = message.flatten(0, 1).index_select(0, neighbours).unflatten(0, shape)
        message = message * self.filter(basis) * envelope
        ds, gate, radial = message.chunk(3, dim=-1)
        dv = torch.einsum("rnkf,rnkx->rnxf", radial, unit)
        if v is None:
            v = dv
        else:
            far = v.flatten(0, 1).flatten(1).index_select(0, neighbours).unflatten(0, shape)
            v = v + dv + (gate[..., None, :] * far.unflatten(-1, (3, -1))).sum(2)
        s = s + ds.sum(2)

        left, right = self.mix(v).chunk(2, dim=-1)
        norm = (right.square().sum(-2) + 1e-8).sqrt()
        a_ss, a_sv, a_vv = self.update2(nn.functional.silu(self.update1(torch.cat([s, norm], dim=-1)))).chunk(3, dim=-1)
        return s + a_ss + a_sv * (left * right).sum(-2), v + a_vv[..., None, :] * left


class Head(nn.Module):
    """One interaction block and the readouts: energy per atom [R, n] and forces [R, n, 3]."""

    def __init__(self, features, radial):
        super().__init__()
        self.block = Block(features, radial)
        self.energy1, self.energy2 = Dense(features, features), Dense(features, 1)
        self.force1, self.force2 = Dense(features, features), Dense(features, features)
        self.project = Dense(features, features, bias=False)

    def forward(self, s, v, geometry):
        s, v = self.block(s, v, geometry)
        energy = self.energy2(nn.functional.silu(self.energy1(s))).squeeze(-1)
        gate = self.force2(nn.functional.silu(self.force1(s)))
        return energy, (gate[..., None, :] * self.project(v)).sum(-1)


class Potential(nn.Module):
    """Two-head potential; `shift` [heads, elements] eV are atomic reference energies, fitted and not trained."""

    def __init__(self, architecture=Architecture()):
        super().__init__()
        self.architecture = architecture
        f, k = architecture.features, architecture.radial
        self.embedding = Embedding(f)
        self.blocks = nn.ModuleList([Block(f, k) for _ in range(architecture.blocks)])
        self.heads = nn.ModuleDict({name: Head(f, k) for name in HEADS})
        self.register_buffer("shift", torch.zeros(len(HEADS), MAX_ELEMENT + 1, dtype=torch.float64))
        self.register_buffer("frequencies", torch.pi * torch.arange(1, k + 1) / architecture.cutoff)

    def _geometry(self, batch):
        """Radial basis [R, n, K, radial], unit vectors, envelope [R, n, K, 1], neighbours; constant in training."""
        cutoff = self.architecture.cutoff
        r = batch.vectors.norm(dim=-1, keepdim=True).clamp_min(1e-6)
        x = (r / cutoff).clamp_max(1.0)
        # polynomial envelope, p = 6 (Gasteiger et al., arXiv 2003.03123): smooth up to the second derivative
        envelope = (1 - 28 * x**6 + 48 * x**7 - 21 * x**8) * batch.edges[..., None]
        basis = (2 / cutoff) ** 0.5 * torch.sin(self.frequencies * r) / r
        return basis, batch.vectors / r, envelope, batch.neighbours

    def forward(self, batch, heads=HEADS):
        """{head: (energy [S] eV, forces [R, n, 3] eV/Å)}; padded atoms have zero force."""
        geometry = self._geometry(batch)
        real = (batch.structure < len(batch.sizes)).to(batch.vectors.dtype)
        s, v = self.embedding(batch.z), None
        for block in self.blocks:
            s, v = block(s, v, geometry)
        structure = batch.structure.flatten()
        out = {}
        for name in heads:
            energy, forces = self.heads[name](s, v, geometry)
            forces = forces * real[..., None]
            net = forces.new_zeros(len(batch.sizes) + 1, 3).index_add(0, structure, forces.flatten(0, 1))
            mean = net[:-1] / batch.sizes[:, None]
            mean = torch.cat([mean, mean.new_zeros(1, 3)]).index_select(0, structure)
            forces = forces - mean.unflatten(0, batch.structure.shape)
            total = energy.new_zeros(len(batch.sizes) + 1).index_add(0, structure, (energy * real).flatten())
            out[name] = (total[:-1], forces)
        return out

    def baseline(self, head, numbers, counts):
        """Sum of atomic reference energies (eV) of structures: numbers [N] split by counts [S]."""
        per_atom = self.shift[HEADS.index(head)][torch.as_tensor(numbers, dtype=torch.long)]
        owner = torch.repeat_interleave(torch.arange(len(counts)), torch.as_tensor(counts))
        return torch.zeros(len(counts), dtype=torch.float64).index_add(0, owner, per_atom)


LEVELS = ("min", "med", "max")


def representation(model, level="max"):
    """Names of the parameters of the shared representation up to a level.

    min: embedding and first block; med: embedding and the first half of the blocks, rounded up;
    max: embedding and all blocks. Raises UserError for another level.
    """
    if level not in LEVELS:
        raise UserError(f"level {level!r} is unknown; use one of {', '.join(LEVELS)}")
    total = model.architecture.blocks
    count = {"min": 1, "med": (total + 1) // 2, "max": total}[level]
    prefixes = ("embedding.", *(f"blocks.{k}." for k in range(count)))
    return [name for name, _ in model.named_parameters() if name.startswith(prefixes)]


def call(model, parameters, batch, heads):
    """Model output with some parameters replaced, shared or stacked over replicas."""
    return functional_call(model, parameters, (batch,), {"heads": heads})


def save(model, path, card):
    """Write weights.pt and model.json (architecture, training card) into the directory `path`."""
    path = Path(path)
    with replacing(path / "weights.pt") as part, Sink(part) as sink:
        torch.save(model.state_dict(), sink)
        sink.check()
    body = {
        "format": FORMAT,
        "architecture": asdict(model.architecture),
        "heads": list(HEADS),
        "units": {"energy": "eV", "length": "Å", "forces": "eV/Å"},
        "forces": "direct",
        "parameters": sum(p.numel() for p in model.parameters()),
        **card,
    }
    (path / "model.json").write_text(json.dumps(body, indent=1, sort_keys=True) + "\n")


def load(path):
    """(model, card) of a directory written by `save`. Raises UserError if it is not one.

    Weights are tensors and nothing else: torch refuses to unpickle any other object.
    """
    path = Path(path)
    try:
        card = json.loads((path / "model.json").read_text())
        if card["format"] != FORMAT:
            raise UserError(f"{path}: holds {card['format']}, expected {FORMAT}")
        model = Potential(Architecture(**card["architecture"]))
        model.load_state_dict(torch.load(path / "weights.pt", map_location="cpu", weights_only=True))
        if not all(p.isfinite().all() for p in model.parameters()):
            raise UserError(f"{path}: weights are not finite; train it again")
    except UserError:
        raise
    except Exception as error:  # a damaged archive raises many kinds
        raise UserError(f"{path}: not a model of this project ({shortened(error)}); train it again") from error
    return model.eval(), card

"""GemNet-T: directional message passing on pairs and triplets of atoms, with direct forces (GemNet-dT) or gradients.

Gasteiger, Becker, Günnemann, NeurIPS 2021, arXiv 2106.08903: sections 4 and 5, with two-hop (quadruplet) messages left
out. Names of the equations there:

    m_ca   embedding of the directed edge from c to its neighbour a; h_a of the atom a
    e_RBF  radial basis of an edge; e_CBF circular basis of a triplet c -> a <- b, Y_l0(angle cab) times radial

One block updates m_ca with messages m_ba over all other neighbours b of a (efficient bilinear layer, section 5), uses
each result for the edge and for its reverse (symmetric message passing), sums edges into h_a, and brings h back into m.
Layers have no biases, the activation is SiLU / 0.6, initial weights are He-orthogonal, and after every sum or product
stands a fixed scaling factor that keeps the variance (section 5, "stable activations").
Neighbours are padded to [R, n, K], so the triplets of a batch are a dense [R, n, K, K] and need no index.

**Which settings.** Kreiman & Krishnapriyan 2026 ran GemNet-dT with 6 Gaussian radial functions, 4 blocks, and output
blocks after the embedding and each block. With one head and a weight per scaling factor (22, or 17 with gradient
forces) this network has their 2,311,510 weights (features 128, radial_embedding 16), 4,440,694 (256, 32) and 4,009,969
(256, 32, gradient forces).

**Which part is a head.** Their prior and reference networks swap the last interaction and output block, so these two
are a head here, whose term adds to the sum over the shared output blocks. The levels are theirs, too: min, 0.57 million
weights, holds embeddings, the first interaction and output block, but no basis projection; med, 1.26 million, half of
the interaction blocks, the output blocks up to there and the projections; max, 1.79 million.

**Where this differs**: all neighbours within the cutoff, not the 50 nearest (no molecule of these data has more); the
mean direct force is removed; scaling factors are fitted to the training data by `calibrate`, not read from a file.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from mlipshift.base.errors import UserError
from mlipshift.catalogue.strategies import HEADS
from mlipshift.learn.backbones.base import Backbone, Dense, Embedding, envelope_of, gather
from mlipshift.learn.batches import Batch
from mlipshift.learn.recorded import recording

EXPONENT = 5  # of the envelope
ELEMENTS = 83  # up to bismuth
HALF = 0.5**0.5  # of a sum of two terms of the same variance


@dataclass(frozen=True)
class Architecture:
    """Hyper-parameters; cutoff in Å. The defaults are the smaller published network."""

    atom_features: int = 128
    edge_features: int = 128
    triplet_features: int = 64
    blocks: int = 4
    radial: int = 6
    spherical: int = 7
    radial_embedding: int = 16
    circular_embedding: int = 16
    cutoff: float = 5.0
    forces: str = "direct"


def he_orthogonal_(weight: Tensor) -> Tensor:
    """Orthogonal weight [in, out], every output with mean 0 and variance 1 / in over its inputs."""
    nn.init.orthogonal_(weight)
    with torch.no_grad():
        if len(weight) > 1:
            variance, mean = torch.var_mean(weight, dim=0, correction=1, keepdim=True)
            weight.sub_(mean).div_((variance + 1e-6).sqrt())
        return weight.mul_(len(weight) ** -0.5)


def silu(x: Tensor) -> Tensor:
    """SiLU that keeps a variance of one (section 5)."""
    return nn.functional.silu(x) / 0.6


class Linear(Dense):
    """Dense layer without bias, with or without activation."""

    def __init__(self, inputs: int, outputs: int, activation: bool = True):
        super().__init__(inputs, outputs, bias=False, initialise=he_orthogonal_)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        return silu(x) if self.activation else x


class Residual(nn.Module):
    """Two dense layers and the skip connection around them."""

    def __init__(self, features: int):
        super().__init__()
        self.layers = nn.Sequential(Linear(features, features), Linear(features, features))

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.layers(x)) * HALF


class Geometry:
    """What all blocks take from distances and angles.

    unit [R, n, K, 3] towards the neighbours; radial [R, n, K, radial] with the envelope, 0 for padded edges;
    legendre [R, n, K, L, K]: Y_l0 of the angle between two neighbours, 0 for the same and for padded ones.
    """

    def __init__(self, batch: Batch, vectors: Tensor, architecture: Architecture):
        self.neighbours, self.reverse, self.edges = batch.neighbours, batch.reverse, batch.edges
        self.atoms = batch.structure < len(batch.sizes)
        self.shape = vectors.shape[:3]
        r = vectors.norm(dim=-1, keepdim=True).clamp_min(1e-6)
        self.unit = vectors / r
        centres = torch.linspace(0, 1, architecture.radial, dtype=r.dtype, device=r.device)
        width = 1 / (architecture.radial - 1)
        gauss = torch.exp(-0.5 * ((r / architecture.cutoff - centres) / width) ** 2)
        self.radial = gauss * envelope_of(batch, r, architecture.cutoff, EXPONENT)
        pairs = self.edges[:, :, None, :] * (1 - torch.eye(self.shape[2], dtype=r.dtype, device=r.device))
        self.legendre = _harmonics(self.unit @ self.unit.transpose(-1, -2), architecture.spherical, 3)
        self.legendre = self.legendre * pairs[..., None, :]

    def real(self, x: Tensor) -> Tensor:
        """Mask of the rows of x that are no padding: of edges [R, n, K, F] or of atoms [R, n, F]."""
        return self.edges > 0 if x.dim() == 4 else self.atoms

    def swap(self, m: Tensor) -> Tensor:
        """Edge features [R, n, K, F] of the reverse edges."""
        return m.flatten(0, 2).index_select(0, self.reverse).unflatten(0, self.shape)


class Scale(nn.Module):
    """Fixed factor that gives y the variance of x; fitted while `fitting`, to the real rows of both."""

    def __init__(self):
        super().__init__()
        self.register_buffer("factor", torch.ones(()))
        self.fitting = False

    def forward(self, y: Tensor, x: Tensor, geometry: Geometry) -> Tensor:
        if self.fitting:
            before, after = (v[geometry.real(v)].var(dim=0).mean() for v in (x, y))
            if before > 0 and after > 0:  # not in a set of single atoms
                cast(Tensor, self.factor).copy_((before / after).sqrt())
        return y * cast(Tensor, self.factor)


def _harmonics(cosine, count, dim):
    """Y_l0 of angles, l < count, stacked along `dim`; polynomials in the cosine, smooth at 0 and 180 degrees."""
    values = [torch.ones_like(cosine), cosine]
    for degree in range(1, count - 1):
        values.append(((2 * degree + 1) * cosine * values[-1] - degree * values[-2]) / (degree + 1))
    return torch.stack([((2 * k + 1) / (4 * torch.pi)) ** 0.5 * v for k, v in enumerate(values[:count])], dim)


class Basis(NamedTuple):
    """Projected bases: triplet, update, output [R, n, K, radial_embedding]; circular [R, n, K, C, K]."""

    triplet: Tensor
    update: Tensor
    output: Tensor
    circular: Tensor


State = tuple[Tensor, Tensor, Tensor, Tensor | float, Basis, Geometry]  # h, m, energy, forces, and what they came from


class Triplets(nn.Module):
    """Message to the edge c -> a from all other edges b -> a of its atom."""

    def __init__(self, a: Architecture):
        super().__init__()
        self.first = Linear(a.edge_features, a.edge_features)
        self.radial = Linear(a.radial_embedding, a.edge_features, activation=False)
        self.scale_radial = Scale()
        self.down = Linear(a.edge_features, a.triplet_features)
        self.bilinear = Linear(a.circular_embedding * a.triplet_features, a.triplet_features, activation=False)
        self.scale_sum = Scale()
        self.up, self.up_reverse = (Linear(a.triplet_features, a.edge_features) for _ in range(2))

    def forward(self, m: Tensor, basis: Basis, geometry: Geometry) -> Tensor:
        x = self.first(m)
        x = self.scale_radial(x * self.radial(basis.triplet), x, geometry)
        x = self.down(x)
        # sum over b, for every feature and every component of the circular basis: [R, n, K * C, K] @ [R, n, K, F]
        summed = basis.circular.flatten(2, 3) @ x
        summed = self.bilinear(summed.unflatten(2, basis.circular.shape[2:4]).flatten(-2))
        x = self.scale_sum(summed, x, geometry)
        return (self.up(x) + geometry.swap(self.up_reverse(x))) * HALF


class AtomUpdate(nn.Module):
    """Edges summed into atoms: m [R, n, K, E] -> [R, n, A]."""

    def __init__(self, a: Architecture):
        super().__init__()
        self.radial = Linear(a.radial_embedding, a.edge_features, activation=False)
        self.scale = Scale()
        self.layers = _stack(a.edge_features, a.atom_features)

    def forward(self, m: Tensor, radial: Tensor, geometry: Geometry) -> Tensor:
        return self.layers(self.scale((m * self.radial(radial)).sum(2), m, geometry))


def _stack(inputs, outputs):
    return nn.Sequential(Linear(inputs, outputs), Residual(outputs), Residual(outputs))


class EdgeEmbedding(nn.Module):
    """Features of both atoms and of the edge, into the edge."""

    def __init__(self, a: Architecture, inputs: int):
        super().__init__()
        self.layer = Linear(2 * a.atom_features + inputs, a.edge_features)

    def forward(self, h: Tensor, m: Tensor, geometry: Geometry) -> Tensor:
        own = h[:, :, None].expand(*geometry.shape, -1)
        return self.layer(torch.cat([gather(h, geometry.neighbours, geometry.shape), own, m], dim=-1))


class Interaction(nn.Module):
    """One block: (h, m) -> (h, m)."""

    def __init__(self, a: Architecture):
        super().__init__()
        self.skip = Linear(a.edge_features, a.edge_features)
        self.triplets = Triplets(a)
        self.before, self.after, self.last = (Residual(a.edge_features) for _ in range(3))
        self.update = AtomUpdate(a)
        self.embedding = EdgeEmbedding(a, a.edge_features)

    def forward(self, h: Tensor, m: Tensor, basis: Basis, geometry: Geometry) -> tuple[Tensor, Tensor]:
        x = self.before((self.skip(m) + self.triplets(m, basis, geometry)) * HALF)
        m = self.after((m + x) * HALF)
        h = (h + self.update(m, basis.update, geometry)) * HALF
        return h, (m + self.last(self.embedding(h, m, geometry))) * HALF


class Output(nn.Module):
    """Energies per atom [R, n], and direct forces [R, n, 3] along the edges (else 0), from m."""

    def __init__(self, a: Architecture):
        super().__init__()
        self.update = AtomUpdate(a)
        self.energy = Linear(a.atom_features, 1, activation=False)
        self.direct = a.forces == "direct"
        if self.direct:
            self.layers = _stack(a.edge_features, a.edge_features)
            self.radial = Linear(a.radial_embedding, a.edge_features, activation=False)
            self.scale = Scale()
            self.force = Linear(a.edge_features, 1, activation=False)

    def forward(self, m: Tensor, basis: Basis, geometry: Geometry) -> tuple[Tensor, Tensor | float]:
        energy = self.energy(self.update(m, basis.output, geometry)).squeeze(-1)
        if not self.direct:
            return energy, 0.0
        x = self.layers(m)
        x = self.scale(x * self.radial(basis.output), x, geometry)
        return energy, (self.force(x) * geometry.unit).sum(2)


class Projections(nn.Module):
    """Linear maps of the bases that all blocks share."""

    def __init__(self, a: Architecture):
        super().__init__()
        onto = lambda outputs: Linear(a.radial, outputs, activation=False)
        self.triplet, self.update, self.output = (onto(a.radial_embedding) for _ in range(3))
        self.circular = onto(a.circular_embedding * a.spherical)

    def forward(self, geometry: Geometry) -> Basis:
        triplet, update, output = (layer(geometry.radial) for layer in (self.triplet, self.update, self.output))
        radial = self.circular(geometry.radial).unflatten(-1, (-1, geometry.legendre.shape[3]))
        return Basis(triplet, update, output, radial @ geometry.legendre)


class Head(nn.Module):
    """The last interaction block and the last output block."""

    def __init__(self, a: Architecture):
        super().__init__()
        self.interaction, self.output = Interaction(a), Output(a)

    def forward(self, state: State) -> tuple[Tensor, Tensor | float]:
        h, m, energy, forces, basis, geometry = state
        _, m = self.interaction(h, m, basis, geometry)
        e, f = self.output(m, basis, geometry)
        return energy + e, forces + f


class GemNet(Backbone):
    """GemNet-dT or, with gradient forces, GemNet-T; see the module. Raises UserError for fewer than two blocks."""

    name, slot_bytes, elements = "gemnet", (15_000, 120_000), ELEMENTS

    def __init__(self, architecture: Architecture = Architecture(), heads: Collection[str] = HEADS):
        super().__init__(architecture, heads)
        a = architecture
        for key, least in (("blocks", 2), ("radial", 2), ("spherical", 2)):
            if getattr(a, key) < least:
                raise UserError(f"model.gemnet.{key} is {getattr(a, key)}; GemNet needs {least} or more")
        self.atoms = Embedding(torch.empty(ELEMENTS, a.atom_features).uniform_(-(3**0.5), 3**0.5))
        self.edges = EdgeEmbedding(a, a.radial)
        self.projections = Projections(a)
        self.interactions = nn.ModuleList([Interaction(a) for _ in range(a.blocks - 1)])
        self.outputs = nn.ModuleList([Output(a) for _ in range(a.blocks)])
        self.heads = nn.ModuleDict({name: Head(a) for name in heads})

    def represent(self, batch: Batch, vectors: Tensor) -> State:
        if not recording():
            self.check_elements(batch.z.cpu().numpy())
        geometry = Geometry(batch, vectors, self.architecture)
        basis = self.projections(geometry)
        h = self.atoms((batch.z - 1).clamp_min(0))
        m = self.edges(h, geometry.radial, geometry)
        energy, forces = self.outputs[0](m, basis, geometry)
        for interaction, output in zip(self.interactions, self.outputs[1:]):
            h, m = interaction(h, m, basis, geometry)
            e, f = output(m, basis, geometry)
            energy, forces = energy + e, forces + f
        return h, m, energy, forces, basis, geometry

    def read(self, head: str, state: State) -> tuple[Tensor, Tensor | float]:
        return self.heads[head](state)

    def scalars(self, state: State) -> Tensor:
        return state[0]

    def stages(self) -> list[tuple[str, ...]]:
        stages: list[tuple[str, ...]] = [("atoms.", "edges.", "interactions.0.", "outputs.0.")]
        stages += [(f"interactions.{k}.", f"outputs.{k + 1}.") for k in range(1, self.architecture.blocks - 1)]
        if len(stages) > 1:
            stages[1] = ("projections.", "outputs.1.", *stages[1])
        return stages

    def calibrate(self, batch: Batch, heads: Sequence[str] | None = None) -> None:
        """Fit all scaling factors to the variances in one Batch of training structures, in the order of the network.

        Each factor sees what the ones before it have scaled already, as the paper has it.
        """
        scales = [module for module in self.modules() if isinstance(module, Scale)]
        for scale in scales:
            scale.fitting = True
        try:
            with torch.no_grad():
                state = self.represent(batch, batch.vectors)
                for name in self.names if heads is None else heads:
                    self.read(name, state)
        finally:
            for scale in scales:
                scale.fitting = False

"""A compact equivariant network with direct or gradient forces.

Message passing with scalar and vector features (PaiNN: Schütt et al., ICML 2021, arXiv 2102.03150) and
a smooth polynomial envelope. Shared representation: atom embedding and `blocks` interaction blocks.
Each head is one more block with an energy and a force readout.

Direct forces, as of the GemNet-dT of the paper, save a backward pass per test-time step, which is three to ten times
less work, and test-time training is a claim about forces; energy and forces are then not consistent by construction,
and dynamics with them do not conserve the energy. With gradient forces there is no force readout, and they do.
"""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mlipshift.catalogue.strategies import HEADS
from mlipshift.learn.backbones.base import MAX_ELEMENT, Backbone, Dense, Embedding, envelope_of, gather
from mlipshift.learn.batches import Batch

EXPONENT = 6  # of the envelope
GRADIENT_SLOT_BYTES = 11_000, 22_000  # as Backbone.slot_bytes, which is that of direct forces
Geometry = tuple[Tensor, Tensor, Tensor, Tensor]  # see PaiNN._geometry


@dataclass(frozen=True)
class Architecture:
    """Hyper-parameters of the network; cutoff in Å."""

    features: int = 48
    blocks: int = 2
    radial: int = 16
    cutoff: float = 5.0
    forces: str = "direct"


class Block(nn.Module):
    """One message and one update step on scalars s [R, n, F] and vectors v [R, n, 3, F]."""

    def __init__(self, features, radial):
        super().__init__()
        self.phi1, self.phi2 = Dense(features, features), Dense(features, 3 * features)
        self.filter = Dense(radial, 3 * features)
        self.mix = Dense(features, 2 * features, bias=False)
        self.update1, self.update2 = Dense(2 * features, features), Dense(features, 3 * features)

    def forward(self, s: Tensor, v: Tensor | None, geometry: Geometry) -> tuple[Tensor, Tensor]:
        basis, unit, envelope, neighbours = geometry
        shape = basis.shape[:3]
        message = gather(self.phi2(nn.functional.silu(self.phi1(s))), neighbours, shape)
        message = message * self.filter(basis) * envelope
        ds, gate, radial = message.chunk(3, dim=-1)
        dv = torch.einsum("rnkf,rnkx->rnxf", radial, unit)
        if v is None:
            v = dv
        else:
            far = gather(v.flatten(2), neighbours, shape)
            v = v + dv + (gate[..., None, :] * far.unflatten(-1, (3, -1))).sum(2)
        s = s + ds.sum(2)

        left, right = self.mix(v).chunk(2, dim=-1)
        norm = (right.square().sum(-2) + 1e-8).sqrt()
        a_ss, a_sv, a_vv = self.update2(nn.functional.silu(self.update1(torch.cat([s, norm], dim=-1)))).chunk(3, dim=-1)
        return s + a_ss + a_sv * (left * right).sum(-2), v + a_vv[..., None, :] * left


class Head(nn.Module):
    """One interaction block and the readouts: energy per atom [R, n] and, if direct, forces [R, n, 3]."""

    def __init__(self, features, radial, direct):
        super().__init__()
        self.block = Block(features, radial)
        self.energy1, self.energy2 = Dense(features, features), Dense(features, 1)
        self.direct = direct
        if direct:
            self.force1, self.force2 = Dense(features, features), Dense(features, features)
            self.project = Dense(features, features, bias=False)

    def forward(self, s: Tensor, v: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor | None]:
        s, v = self.block(s, v, geometry)
        energy = self.energy2(nn.functional.silu(self.energy1(s))).squeeze(-1)
        if not self.direct:
            return energy, None
        gate = self.force2(nn.functional.silu(self.force1(s)))
        return energy, (gate[..., None, :] * self.project(v)).sum(-1)


class PaiNN(Backbone):
    """The network; see the module."""

    name = "painn"

    def __init__(self, architecture: Architecture = Architecture(), heads: Collection[str] = HEADS):
        super().__init__(architecture, heads)
        f, k = architecture.features, architecture.radial
        self.embedding = Embedding(torch.randn(MAX_ELEMENT + 1, f) / f**0.5)
        self.blocks = nn.ModuleList([Block(f, k) for _ in range(architecture.blocks)])
        direct = architecture.forces == "direct"
        if not direct:
            self.slot_bytes = GRADIENT_SLOT_BYTES
        self.heads = nn.ModuleDict({name: Head(f, k, direct) for name in heads})
        self.register_buffer("frequencies", torch.pi * torch.arange(1, k + 1) / architecture.cutoff)

    def _geometry(self, batch, vectors):
        """Radial basis [R, n, K, radial], unit vectors, envelope [R, n, K, 1], neighbours; constant in training."""
        cutoff = self.architecture.cutoff
        r = vectors.norm(dim=-1, keepdim=True).clamp_min(1e-6)
        basis = (2 / cutoff) ** 0.5 * torch.sin(self.frequencies * r) / r
        return basis, vectors / r, envelope_of(batch, r, cutoff, EXPONENT), batch.neighbours

    def represent(self, batch: Batch, vectors: Tensor) -> tuple[Tensor, Tensor | None, Geometry]:
        geometry = self._geometry(batch, vectors)
        s, v = self.embedding(batch.z), None
        for block in self.blocks:
            s, v = block(s, v, geometry)
        return s, v, geometry

    def read(self, head: str, state: tuple[Tensor, Tensor | None, Geometry]) -> tuple[Tensor, Tensor | None]:
        return self.heads[head](*state)

    def scalars(self, state: tuple[Tensor, Tensor, Geometry]) -> Tensor:
        return state[0]

    def stages(self) -> list[tuple[str, ...]]:
        blocks = [(f"blocks.{k}.",) for k in range(self.architecture.blocks)]
        return [("embedding.", *blocks[0]), *blocks[1:]]

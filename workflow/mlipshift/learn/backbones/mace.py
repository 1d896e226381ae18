"""MACE with one readout stack per head, made of the blocks of mace-torch; forces are the gradient of the energy.

Batatia et al., NeurIPS 2022, arXiv 2206.07697. Shared representation: element embedding, and `layers` pairs of an
interaction and a product; a head is a linear readout after every layer but the last, and a small network after that.
Radial basis, spherical harmonics, interactions and products are those of the package; envelope and neighbour list are
those of this project, so that radius refinement means the same for all networks.

Weights of e3nn take no replica axis: units are adapted one after another. Needs the environment envs/mace.yaml.
"""

import os
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass

# e3nn 0.4.4 loads a file of its own when it is imported
os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")

import torch  # noqa: E402
from ase.data import atomic_numbers  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from mlipshift.base.errors import UserError
from mlipshift.catalogue.strategies import HEADS
from mlipshift.learn.backbones.base import MAX_ELEMENT, Backbone, envelope_of
from mlipshift.learn.batches import Batch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from e3nn import o3
    from mace import modules
    from mace.modules.blocks import LinearReadoutBlock, NonLinearReadoutBlock

EXPONENT = 5  # of the envelope
State = tuple[list[Tensor], torch.Size]  # features of all layers [R * n, ...], and (R, n)
INTERACTION = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]


@dataclass(frozen=True)
class Architecture:
    """Hyper-parameters; cutoff in Å, elements as symbols: others cannot be computed."""

    hidden_irreps: str = "32x0e + 32x1o"
    layers: int = 2
    max_ell: int = 2
    correlation: int = 2
    radial: int = 8
    readout: int = 16
    elements: tuple[str, ...] = ("H", "C", "N", "O", "F", "P", "S", "Cl", "Br", "I")
    cutoff: float = 5.0
    forces: str = "gradient"


class Head(nn.Module):
    """Readouts of all layers: energy per atom."""

    def __init__(self, hidden: o3.Irreps, last: o3.Irreps, layers: int, readout: int):
        super().__init__()
        self.layers = nn.ModuleList([LinearReadoutBlock(hidden) for _ in range(layers - 1)])
        self.layers.append(NonLinearReadoutBlock(last, o3.Irreps(f"{readout}x0e"), nn.functional.silu))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        return sum(layer(x) for layer, x in zip(self.layers, features)).squeeze(-1)


class MACE(Backbone):
    """MACE; see the module. Raises UserError for hidden_irreps without scalars in front and for unknown elements."""

    name = "mace"
    forces = ("gradient",)
    stacks = recordable = False
    row: Tensor

    def __init__(self, architecture: Architecture = Architecture(), heads: Collection[str] = HEADS):
        super().__init__(architecture, heads)
        a = architecture
        try:
            hidden = o3.Irreps(a.hidden_irreps)
        except ValueError as error:
            raise UserError(f"model.mace.hidden_irreps is {a.hidden_irreps!r}; write it as 32x0e + 32x1o") from error
        if not len(hidden) or hidden[0].ir != o3.Irrep(0, 1):
            raise UserError(
                f"model.mace.hidden_irreps {a.hidden_irreps!r} does not begin with scalars; write it as 32x0e + 32x1o"
            )
        unknown = [s for s in a.elements if not 0 < atomic_numbers.get(s, 0) <= MAX_ELEMENT]
        if unknown:
            raise UserError(f"model.mace.elements: {', '.join(unknown)} cannot be used; give symbols from H to Pu")
        numbers = sorted({atomic_numbers[s] for s in a.elements})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of TorchScript, about code of e3nn
            network = modules.MACE(
                r_max=a.cutoff,
                num_bessel=a.radial,
                num_polynomial_cutoff=EXPONENT,
                max_ell=a.max_ell,
                interaction_cls=INTERACTION,
                interaction_cls_first=INTERACTION,
                num_interactions=a.layers,
                num_elements=len(numbers),
                hidden_irreps=hidden,
                MLP_irreps=o3.Irreps(f"{a.readout}x0e"),
                atomic_energies=torch.zeros(len(numbers)).numpy(),
                avg_num_neighbors=1.0,
                atomic_numbers=numbers,
                correlation=a.correlation,
                gate=nn.functional.silu,
            )
        self.embedding = network.node_embedding
        self.radial = network.radial_embedding.bessel_fn
        self.harmonics = network.spherical_harmonics
        self.interactions, self.products = network.interactions, network.products
        for block in self.interactions:
            # in the state of the model, where the package has a plain number
            del block.avg_num_neighbors
            block.register_buffer("avg_num_neighbors", torch.ones(()))
        last = hidden[:1]
        self.heads = nn.ModuleDict({name: Head(hidden, last, a.layers, a.readout) for name in heads})
        row = torch.full((MAX_ELEMENT + 1,), -1)
        row[numbers] = torch.arange(len(numbers))
        row[0] = 0  # padding, which has no neighbours
        self.register_buffer("row", row, persistent=False)
        self.elements = len(numbers)

    def represent(self, batch: Batch, vectors: Tensor) -> State:
        row = self.row[batch.z.flatten()]
        if (row < 0).any():
            foreign = sorted(set(batch.z.flatten()[row < 0].tolist()))
            symbols = [s for s, number in atomic_numbers.items() if number in foreign]
            raise UserError(f"{', '.join(symbols)}: no element of this MACE; add it to model.mace.elements, and train")
        attributes = nn.functional.one_hot(row, self.elements).to(vectors.dtype)
        edges = batch.edges.flatten().nonzero().squeeze(1)
        index = torch.stack([batch.neighbours[edges], edges // vectors.shape[2]])
        r = vectors.norm(dim=-1, keepdim=True)
        envelope = envelope_of(batch, r, self.architecture.cutoff, EXPONENT).flatten(0, 2)[edges]
        # from the neighbour to the atom
        arrows, r = -vectors.flatten(0, 2)[edges], r.flatten(0, 2)[edges]
        harmonics, radial = self.harmonics(arrows), self.radial(r) * envelope
        x = self.embedding(attributes)
        features = []
        for interaction, product in zip(self.interactions, self.products):
            x, skip = interaction(
                node_attrs=attributes, node_feats=x, edge_attrs=harmonics, edge_feats=radial, edge_index=index
            )
            x = product(node_feats=x, sc=skip, node_attrs=attributes)
            features.append(x)
        return features, batch.z.shape

    def read(self, head: str, state: State) -> tuple[Tensor, None]:
        features, shape = state
        return self.heads[head](features).view(shape), None

    def scalars(self, state: State) -> Tensor:
        features, shape = state
        return features[-1].view(*shape, -1)

    def stages(self) -> list[tuple[str, ...]]:
        layers = [(f"interactions.{k}.", f"products.{k}.") for k in range(self.architecture.layers)]
        return [("embedding.", *layers[0]), *layers[1:]]

    def calibrate(self, batch: Batch, heads: Sequence[str] | None = None) -> None:
        """Messages are divided by the mean number of neighbours of the training structures."""
        atoms = int((batch.structure < len(batch.sizes)).sum())
        for block in self.interactions:
            block.avg_num_neighbors.fill_(max(1.0, float(batch.edges.sum()) / atoms))

"""Everything a backbone does on a second device of torch: a GPU, or an emulated one on machines without.

The emulated device, `other`, computes as the processor does and refuses to mix its tensors with the processor's, as
CUDA does. `python second_device.py KIND [cuda [recorded]]` trains, saves, loads, predicts and adapts a small model
there and on the processor, and prints the largest difference of each as JSON; a process of its own, since torch takes
one emulated device per process, and no GPU beside it.
"""

import json
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import torch
from contracts import FIT, KINDS, SETTINGS, molecule, small, springs, unit
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from mlipshift.catalogue.adaptation import PRESETS
from mlipshift.learn import networks, recorded, training
from mlipshift.learn.potential import Potential
from mlipshift.mitigate import adaptation
from mlipshift.simulate.fields import NetworkField

REAL = sys.argv[2:3] == ["cuda"]
recorded.ENABLED = sys.argv[3:] == ["recorded"]
if not REAL:
    _setup_privateuseone_for_python_backend("other")
OTHER = torch.device("cuda" if REAL else "other", 0)
STEPS = 4  # a GPU records the second and replays the others
aten = torch.ops.aten
COPIES = {aten.copy_.default, aten._to_copy.default}
# CUDA too takes positions that lie on the processor
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}


class Other(torch.Tensor):
    """A tensor of the device; `held` has the numbers."""

    @staticmethod
    def __new__(cls, held):
        layout = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype}
        tensor = torch.Tensor._make_wrapper_subclass(cls, held.size(), device=OTHER, **layout)
        tensor.held = held
        return tensor

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return compute(operation, args, kwargs or {})


def held(value):
    return value.held if isinstance(value, Other) else value


def compute(operation, args, kwargs):
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    ours = [tensor for tensor in tensors if isinstance(tensor, Other)]
    # numbers without dimension are free to mix
    theirs = [tensor for tensor in tensors if not isinstance(tensor, Other) and tensor.dim()]
    allowed = operation in COPIES or operation in INDEXING and isinstance(args[0], Other)
    if ours and theirs and not allowed:
        raise RuntimeError(f"{operation} mixes tensors of {OTHER} and of the processor")
    onto = bool(ours)
    if operation is aten.copy_.default:
        onto = isinstance(args[0], Other)
    if kwargs.get("device") is not None:
        onto = torch.device(kwargs["device"]).type == OTHER.type
        kwargs = kwargs | {"device": torch.device("cpu")}
    kwargs = {name: value for name, value in kwargs.items() if name != "pin_memory"}
    result = operation(*tree_map(held, args), **tree_map(held, kwargs))
    if not onto:
        return result
    # what works in place returns the tensor that it was given
    known = {id(tensor.held): tensor for tensor in ours}
    wrap = lambda value: known[id(value)] if id(value) in known else Other(value)
    return tree_map(lambda value: wrap(value) if isinstance(value, torch.Tensor) else value, result)


class Present(TorchDispatchMode):
    """Within it, tensors can be made on the device and moved there."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        asked = kwargs.get("device")
        if asked is not None and torch.device(asked).type == OTHER.type:
            return compute(operation, args, kwargs)
        return operation(*args, **kwargs)


if not REAL:

    @torch.library.impl("aten::empty.memory_format", "privateuseone")
    def _empty(size, dtype=None, layout=None, device=None, pin_memory=None, memory_format=None):
        return Other(torch.empty(size, dtype=dtype))

    @torch.library.impl("aten::empty_strided", "privateuseone")
    def _empty_strided(size, stride, dtype=None, layout=None, device=None, pin_memory=None):
        return Other(torch.empty_strided(size, stride, dtype=dtype))

    @torch.library.impl("aten::_copy_from", "privateuseone")
    def _copy_from(source, target, non_blocking=False):
        held(target).copy_(held(source))
        return target


def refuses_to_mix():
    try:
        torch.ones(2, device=OTHER) + torch.ones(2)
    except RuntimeError:
        return True
    return False


def trained(kind, device):
    """Weights and predictions after pre-training, through a file, and freezing or joint training."""
    data, short = springs(8), FIT | {"steps": STEPS}
    model, _ = training.train("pretrain", KINDS[kind], short, 0, prior=data, device=device)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        Potential(model, {"strategy": "pretrain", "seed": 0}).save(folder)
        for strategy in ("freeze", "joint"):
            base = Potential.load(folder, device).network.train()
            model, _ = training.train(strategy, KINDS[kind], short, 0, data, data, base, device)
            rows += [value.cpu().double().numpy().ravel() for value in model.state_dict().values()]
            rows += predicted(model.eval())
    return np.concatenate(rows)


def predicted(model):
    rows = networks.predict(model, [molecule(5, 1), molecule(3, 2)], [3.0, 4.0], envelope="rescaled")
    return [np.append(forces, energy) for energy, forces in rows]


def adapted(kind, device):
    """Adaptation by prior and pseudo-labels, with energies, stopped by held-out copies, the prior head free."""
    units = [unit(4, 1, geometries=2), unit(6, 2)]
    for u in units:
        u.pseudo = [f[::-1].copy() for f in u.forces]
        u.held, u.held_forces = u.adapt[:1], [1.1 * f for f in u.forces[:1]]
    model, rows = small(kind).to(device), []
    everything = {"energy_weight": 0.1, "prior_weight": 1.0, "pseudo_weight": 0.5, "heads": ("prior",)}
    everything |= {"stop": "held_out", "record": (1,)}
    for settings in (everything, PRESETS["published"]):
        settings = replace(SETTINGS, **settings | {"steps": STEPS})
        _, results, losses = adaptation.adapt(model, units, settings)
        rows += [losses.ravel(), *(f.ravel() for result in results for _, f in result)]
    return np.concatenate(rows)


def simulated(kind, device):
    """Energies and forces along a few steps of three replicas, of which one ends."""
    numbers, positions = molecule(6, 4)
    potential = Potential(small(kind).to(device).eval(), {"strategy": "joint", "seed": 0})
    field, rows = NetworkField(potential, numbers, "float64"), []
    rng = np.random.default_rng(0)
    for step in range(6):
        here = positions + rng.normal(scale=0.05, size=(3 - step // 4, *positions.shape))
        rows += [part.ravel() for part in field(here)]
    return np.concatenate(rows)


def main(kind):
    torch.set_num_threads(1)
    differences = {}
    # the emulated device cannot copy the compiled modules of e3nn
    for part in (trained, adapted, *([simulated] if REAL or kind != "mace" else [])):
        expected = part(kind, "cpu")
        with nullcontext() if REAL else Present():
            assert refuses_to_mix()
            found = part(kind, OTHER)
        assert np.isfinite(expected).all() and np.abs(expected).max() > 1e-3
        differences[part.__name__] = float(np.abs(found - expected).max())
    print(json.dumps(differences))


if __name__ == "__main__":
    main(sys.argv[1])

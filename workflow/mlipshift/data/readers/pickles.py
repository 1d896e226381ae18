"""Pickles that may hold tensors, arrays, plain containers and PyG graphs, and nothing that runs code."""

import io
import pickle
from collections import OrderedDict, defaultdict

from mlipshift.base.errors import UserError


class Graph:
    """Stands for PyG's Data and its storages, whose attributes are all that is needed."""


class _Unpickler(pickle.Unpickler):
    """Unpickler that knows tensors, arrays, plain containers and PyG's Data, and refuses everything else."""

    GRAPHS = {
        "torch_geometric.data.data": {"Data", "DataEdgeAttr", "DataTensorAttr"},
        "torch_geometric.data.storage": {"BaseStorage", "GlobalStorage", "NodeStorage", "EdgeStorage"},
    }
    NUMPY = {"_reconstruct", "scalar", "ndarray", "dtype", "_frombuffer"}

    def find_class(self, module, name):
        if name in self.GRAPHS.get(module, ()):
            return Graph
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("collections", "defaultdict"):
            return defaultdict
        if module == "builtins" and name in ("dict", "list", "set", "tuple", "int", "float", "bool", "str"):
            return super().find_class(module, name)
        if (module, name) == ("_codecs", "encode") or (module.split(".")[0] == "numpy" and name in self.NUMPY):
            return super().find_class(module, name)
        if module == "numpy.dtypes" and name.endswith("DType"):
            return super().find_class(module, name)
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return super().find_class(module, name)
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return _storage_of
        raise pickle.UnpicklingError(f"{module}.{name} is not among the classes that OC20 needs")


def _storage_of(data):
    """torch.storage._load_from_bytes, which would unpickle anything, with PyTorch's own restrictions."""
    import torch

    return torch.load(io.BytesIO(data), weights_only=True)


def load(data: bytes, where: str) -> object:
    """What a pickle of tensors, arrays and PyG graphs holds. Raises UserError naming anything else in it."""
    try:
        return _Unpickler(io.BytesIO(data)).load()
    except Exception as error:  # unpickling raises any kind
        raise UserError(
            f"{where}: refused or damaged pickle ({error}); only files of tensors, arrays and PyG graphs are read"
        ) from error

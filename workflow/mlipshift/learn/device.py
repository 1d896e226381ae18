"""Where and how torch computes."""

import os
import resource

import torch

from mlipshift.base.errors import UserError

DEVICES = ("cpu", "cuda")
OPTION = {"choices": DEVICES, "default": "cpu", "required": False, "help": "where to compute"}  # of the scripts


def configure(threads: int = 1, device: str = "cpu") -> None:
    """Deterministic, denormal-free torch on `threads` threads (denormals cost a factor of two here).

    Raises UserError where `device` is not there.
    """
    if device == "cuda":
        # cuBLAS is deterministic with a workspace of fixed size alone
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        if not torch.cuda.is_available():
            raise UserError("model.device is cuda, and torch finds no CUDA device here; set it to cpu")
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.use_deterministic_algorithms(True)
    # every result is written before it is read, so that filling memory with NaN first is work for nothing
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def memory(device: torch.device) -> int:
    """Bytes of memory of a device: of a GPU, or of this machine unless a process may have less."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return physical if limit == resource.RLIM_INFINITY else min(physical, limit)

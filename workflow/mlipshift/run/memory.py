"""How the C library gives memory back to the system."""

from mlipshift.run.processes import LIBC

# M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h, bytes; some versions take no larger value of the first
MALLOPT = {-3: 32 << 20, -1: 256 << 20}


def keep_memory() -> None:
    """Let glibc keep freed memory for the next tensor; nothing where the C library is another one.

    Tensors of more than 128 kB come from the kernel and go back to it, page by page, at every operation otherwise. For
    a batch of sixteen small molecules that takes more time than the network itself (docs/performance.md).
    """
    mallopt = getattr(LIBC, "mallopt", None)
    if mallopt:
        for parameter, size in MALLOPT.items():
            mallopt(parameter, size)

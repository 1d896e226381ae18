"""What the benchmarks share: best-of-n timing of two rivals in turns, and one line of output."""

import time

from mlipshift.run.memory import keep_memory

HEADER = f"{'benchmark':<34}{'ours':>22}{'other':>22}{'ratio':>9}"

keep_memory()  # as the scripts of the workflow


def best_of_both(ours, other, rounds, clock=time.perf_counter):
    """Shortest seconds of two functions called in turns, so that both meet the same load of the machine.

    clock: time.process_time for seconds of the processor, where both run in this process alone.
    """
    seconds = ([], [])
    for _ in range(rounds):
        for function, kept in zip((ours, other), seconds):
            start = clock()
            function()
            kept.append(clock() - start)
    return min(seconds[0]), min(seconds[1])


def line(name, ours, other, ratio):
    """One line; ours and other with their units, ratio > 1 where ours is faster."""
    print(f"{name:<34}{ours:>22}{other:>22}{ratio:>8.2f}x", flush=True)

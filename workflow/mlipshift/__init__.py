"""Distribution shifts of machine-learning interatomic potentials: diagnosis and mitigation.

Units everywhere inside the library: eV, Å, eV/Å. Errors are reported in meV/Å.
mlipshift.Calculator is a trained or adapted model as an ASE calculator.
"""

from importlib import import_module


def __getattr__(name):
    """The calculator when it is asked for, and by name: what imports a module of this package does not need torch."""
    if name == "Calculator":
        return import_module("mlipshift.learn.calculator").Calculator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Distribution shifts of machine-learning interatomic potentials: diagnosis and mitigation.

Units everywhere inside the library: eV, Å, eV/Å. Errors are reported in meV/Å.
"""

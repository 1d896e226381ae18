"""Units at the border; inside everything is eV, Å, eV/Å. No other module has a value of the hartree or the bohr."""

EV = 27.211386245988  # eV per hartree, CODATA 2018
BOHR = 0.529177210903  # Å per bohr, CODATA 2018
KCAL = 0.0433641153087705  # eV per kcal/mol, thermochemical calorie

ENERGY = {"eV": 1.0, "Hartree": EV, "kcal/mol": KCAL}
LENGTH = {"Angstrom": 1.0, "Bohr": BOHR, "nm": 10.0}
FORCES = {
    "eV/Angstrom": 1.0,
    "Hartree/Bohr": EV / BOHR,
    "Hartree/Angstrom": EV,
    "kcal/mol/Angstrom": KCAL,
    "eV/Bohr": 1 / BOHR,
    "kcal/mol/Bohr": KCAL / BOHR,
}

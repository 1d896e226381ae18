"""Whether reference labels have the sign and the unit that they are said to have, judged by the prior.

No prior is exact, but on the same structures its forces point where those of any method do, and are as large. Medians
over the structures of a group, GFN2-xTB against density functionals, for the embedded benchmark, its stress set (ions,
radicals, compressed and stretched bonds) and molecular dynamics: correlation 0.89 to 1.00, ratio of the norms 1.03 to
1.49. A wrong sign is at -0.9. Single structures, near their minima, may well be at -1: one in a hundred.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from mlipshift.base.units import BOHR, ENERGY, EV, FORCES, KCAL

RIGHT = 0.4, 2.5  # ratio of norms, reference over prior, of right units
TYPICAL = 1.1  # that of density functionals to GFN-xTB
TOLERANCE = 0.3  # of its logarithm, for naming a unit
CLEAR = 0.6  # correlation beyond which the ratio says something; below minus it the sign is wrong
UNLIKE = 0.3  # correlation below which labels and structures seem not to belong together
SMALLEST = 0.012  # ratio below which the reference is at its minima, whose forces have no direction
FREEDOM = 15  # internal coordinates in all, below which forces are not judged; energies beyond one of each molecule
MIXED = 0.1, 5  # share of a group and structures, from which on single ones that are unlike the others are named
FAR = 10  # factor of the ratio of the norms beyond which a structure is unlike the others
MIN_FORCE = 0.1  # eV/Å, root mean square of the prior, of a structure that counts
MIN_SPREAD = 0.02  # eV, standard deviation of the prior's energies
KJ = KCAL / 4.184
UNITS_OF_FORCES = FORCES | {
    "kJ/mol/Angstrom": KJ,
    "kJ/mol/nm": KJ / 10,
    "meV/Angstrom": 1e-3,
    "Rydberg/Bohr": EV / 2 / BOHR,
    "mHartree/Bohr": EV / BOHR / 1000,
}
UNITS_OF_ENERGY = ENERGY | {"kJ/mol": KJ, "meV": 1e-3, "Rydberg": EV / 2, "mHartree": EV / 1000}
PLAUSIBLE, UNCHECKED, ODD = "plausible", "not checked", "odd"
COLUMNS = ["group", "n_structures", "n_atoms", "correlation", "slope", "norm_ratio"]
COLUMNS += ["n_energies", "energy_correlation", "energy_slope", "verdict"]


class Fit(NamedTuple):
    """Reference values against those of the prior: correlation, slope of a regression, ratio of the norms."""

    correlation: float = np.nan
    slope: float = np.nan
    ratio: float = np.nan


@dataclass
class Sums:
    """Of the energies of one molecule: number, means [2] (prior, reference), centred products [2, 2]."""

    count: int = 0
    mean: np.ndarray = field(default_factory=lambda: np.zeros(2))
    products: np.ndarray = field(default_factory=lambda: np.zeros((2, 2)))

    def add(self, prior: float, reference: float) -> None:
        """Count a structure (Welford 1962, doi 10.1080/00401706.1962.10490022)."""
        self.count += 1
        step = np.array([prior, reference]) - self.mean
        self.mean = self.mean + step / self.count
        self.products = self.products + np.outer(step, step) * (self.count - 1) / self.count


@dataclass
class Group:
    """What is known of a group: per structure (correlation, slope, ratio), their atoms and internal coordinates.

    unchecked: why its labels cannot be judged, if it has any.
    """

    fits: list[Fit] = field(default_factory=list)
    atoms: int = 0
    freedom: int = 0
    molecules: dict[object, Sums] = field(default_factory=dict)
    unchecked: str = ""

    def add_forces(self, prior: np.ndarray, reference: np.ndarray) -> None:
        """Compare forces [n, 3] (eV/Å) of a structure; too few atoms or too small forces say nothing."""
        pp, rr, pr = (prior**2).sum(), (reference**2).sum(), (prior * reference).sum()
        if len(prior) < 3 or pp < MIN_FORCE**2 * prior.size or not rr:
            return
        self.fits.append(Fit(pr / np.sqrt(pp * rr), pr / pp, np.sqrt(rr / pp)))
        self.atoms += len(prior)
        self.freedom += 3 * len(prior) - 6

    @property
    def forces(self) -> Fit:
        """Medians over the structures."""
        return Fit(*map(float, np.median(self.fits, axis=0))) if self.fits else Fit()

    @property
    def energies(self) -> tuple[int, Fit]:
        """(structures beyond one of each molecule, fit of the differences between geometries of a molecule)."""
        number = sum(m.count - 1 for m in self.molecules.values())
        (pp, pr), (_, rr) = sum((m.products for m in self.molecules.values()), np.zeros((2, 2)))
        if number < 1 or np.sqrt(pp / number) < MIN_SPREAD or not rr:
            return number, Fit()
        return number, Fit(float(pr / np.sqrt(pp * rr)), float(pr / pp), float(np.sqrt(rr / pp)))


class Agreement:
    """Reference labels of every group against those of the prior.

    groups: their names, in the order of the table; method: that of the prior; units: {"energy", "forces"} of files,
    None where the settings do not say one.
    """

    def __init__(self, groups: list[str], method: str, units: Mapping[str, str | None]) -> None:
        self.groups = {name: Group() for name in groups}
        usual = {"energy": "eV", "forces": "eV/Angstrom"}
        self.method, self.units = method, {kind: units.get(kind) or unit for kind, unit in usual.items()}

    def add(
        self, group: str, molecule: object, prior: tuple[float, np.ndarray], reference: tuple[float, np.ndarray]
    ) -> None:
        """Compare the labels (energy eV, forces [n, 3] eV/Å) of a structure; NaN where not known.

        molecule: anything that is equal for geometries of one molecule.
        """
        found = self.groups[group]
        found.unchecked = "too few structures, or forces too small"
        if np.isfinite(reference[1]).all():
            found.add_forces(prior[1], reference[1])
        if np.isfinite(reference[0]):
            found.molecules.setdefault(molecule, Sums()).add(prior[0], reference[0])

    def verdict(self, group: str) -> tuple[str, list[str], bool]:
        """(word for the table, lines for the user, whether the labels are to be refused)."""
        found = self.groups[group]
        n, energies = found.energies
        verdicts = [self._of_forces(group, found), self._of_energies(group, n, energies)]
        wrong = [v for v in verdicts if v[2]] or [v for v in verdicts if v[0] == ODD]
        if wrong:
            return wrong[0][0], [v[1] for v in wrong], wrong[0][2]
        if all(word == UNCHECKED for word, *_ in verdicts):
            said = f"sign and unit of the labels of {group} were not checked: {found.unchecked}"
            return UNCHECKED, [said] if found.unchecked else [], False
        return PLAUSIBLE, [], False

    def _of_forces(self, group, found):
        fit = found.forces
        if found.freedom < FREEDOM or fit.ratio < SMALLEST:
            return UNCHECKED, "", False
        beside = f"(correlation {fit.correlation:.2f} over {len(found.fits)} structures)"
        times = f"{fit.ratio:.3g} times those of {self.method} {beside}"
        if fit.correlation < -CLEAR:
            said = f"forces of {group} have the sign of the gradient: they are {-fit.ratio:.3g} times those of"
            return "sign of the gradient", f"{said} {self.method} {beside}; multiply them by -1", True
        if fit.correlation < UNLIKE:
            said = f"forces of {group} are unlike those of {self.method} {beside}; are they those of these structures?"
            return ODD, said, False
        found_scale = self._scale(f"forces of {group}", times, fit, "forces", UNITS_OF_FORCES)
        return found_scale if found_scale[0] != PLAUSIBLE else self._mixed(group, found)

    def _mixed(self, group, found):
        """Verdict on a group whose forces are right by and large."""
        correlation, _, ratio = np.array(found.fits).T
        far = abs(np.log(ratio / found.forces.ratio)) > np.log(FAR)
        odd = {
            "have the sign of the gradient": correlation < -CLEAR,
            "are of another size": (abs(correlation) > CLEAR) & far,
        }
        lines = [
            f"forces of {chosen.sum()} of {len(chosen)} structures of {group} {what}, compared with those of"
            f" {self.method}; do its files have one convention?"
            for what, chosen in odd.items()
            if chosen.sum() >= max(MIXED[0] * len(chosen), MIXED[1])
        ]
        return (ODD, "; ".join(lines), False) if lines else (PLAUSIBLE, "", False)

    def _of_energies(self, group, number, fit):
        if number < FREEDOM or not abs(fit.correlation) > CLEAR:
            return UNCHECKED, "", False
        what = f"energy differences between geometries of {group}"
        times = f"{fit.ratio:.3g} times those of {self.method} (correlation {fit.correlation:.2f})"
        if fit.correlation < -CLEAR:
            return "sign of the energy", f"{what} have the wrong sign: they are -{times}; multiply energies by -1", True
        return self._scale(what, times, fit, "energy", UNITS_OF_ENERGY)

    def _scale(self, what, times, fit, kind, known):
        """Verdict on the ratio of the norms."""
        if RIGHT[0] < fit.ratio < RIGHT[1] or fit.correlation < CLEAR:
            return PLAUSIBLE, "", False
        mistaken = seeming(fit.ratio, self.units[kind], known)
        if not mistaken:
            return ODD, f"{what} are {times}, and look like no known unit", False
        words = " or ".join(f"{unit} read as {read}" for unit, read in mistaken)
        first = mistaken[0][0]
        settable = FORCES if kind == "forces" else ENERGY
        mend = f"set data.units.{kind} to {first} or convert the files" if first in settable else "convert the files"
        return f"looks like {mistaken[0][0]}", f"{what} look like {words}: they are {times}; {mend}", True

    def rows(self) -> list[dict]:
        """Rows of COLUMNS, one per group."""
        out = []
        for group, found in self.groups.items():
            n, energies = found.energies
            values = (group, len(found.fits), found.atoms, *found.forces, n, *energies[:2], self.verdict(group)[0])
            out.append(dict(zip(COLUMNS, values)))
        return out


def seeming(ratio: float, unit: str, known: Mapping[str, float]) -> list[tuple[str, str]]:
    """[(unit that values are in, unit that they were read as)] that explains a ratio of norms, the closest first.

    unit: the one that the settings say, beside which a format may have one of its own; known: {unit: its size}.
    """
    reads = dict.fromkeys((unit, "eV/Angstrom", "kcal/mol/Angstrom", "eV", "kcal/mol"))
    off = {
        (name, read): abs(np.log(ratio / TYPICAL * size / known[read]))
        for read in reads
        if read in known
        for name, size in known.items()
        if name != read
    }
    # what the settings say goes before what only a format can say
    close = sorted((pair for pair in off if off[pair] < TOLERANCE), key=lambda pair: (pair[1] != unit, off[pair]))
    return close[:2]

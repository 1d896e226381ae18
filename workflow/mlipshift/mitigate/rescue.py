"""Help for a model that is as it is: mixture with the prior, residual correction, committee, each with its weights.

Estimates of the forces of a structure, none of which needs a label: the model M; the corrected one, M + prior − head,
where it has a prior head; the prior; other models. Their weights are chosen on validation groups (`choose`) and
applied to any structure (`apply`). A constant weight leaves forces that are the gradient of an energy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from mlipshift.base.averages import SOFT, component_mae, mean_norm, over_atoms
from mlipshift.base.frames import offsets_of
from mlipshift.mitigate import weighting

GRID = np.round(np.arange(0, 1.0001, 0.05), 2)  # weights that are tried
COMMITTEE, PRIOR, HEAD = "committee", "prior", "head"


@dataclass(frozen=True)
class Said:
    """What is said of S structures of N atoms without a label.

    models {name: forces [N, 3]}, prior [N, 3], heads {name: forces of the prior head [N, 3]} eV/Å, NaN where missing;
    energies {name: [S]} eV of models, of the prior as PRIOR and of heads as (name, HEAD); spreads {name: [S]} eV/Å;
    facts {name: boolean [S]}, such as whether a structure is charged; offsets [S + 1]; molecules [S].
    """

    models: Mapping[str, np.ndarray]
    prior: np.ndarray
    heads: Mapping[str, np.ndarray]
    energies: Mapping[str | tuple[str, str], np.ndarray]
    spreads: Mapping[str, np.ndarray]
    facts: Mapping[str, np.ndarray]
    offsets: np.ndarray
    molecules: np.ndarray

    def take(self, chosen: np.ndarray) -> Self:
        """That of the structures `chosen`, boolean [S]."""
        atoms = np.repeat(chosen, np.diff(self.offsets))
        per_atom = lambda table: {name: values[atoms] for name, values in table.items()}
        return replace(
            self,
            models=per_atom(self.models),
            prior=self.prior[atoms],
            heads=per_atom(self.heads),
            energies={name: values[chosen] for name, values in self.energies.items()},
            spreads={name: values[chosen] for name, values in self.spreads.items()},
            facts={name: values[chosen] for name, values in self.facts.items()},
            offsets=offsets_of(np.diff(self.offsets)[chosen]),
            molecules=self.molecules[chosen],
        )

    def corrected(self, name: str) -> np.ndarray:
        """Forces [N, 3] of a model with the whole residual of its prior head added."""
        return self.models[name] + self.prior - self.heads[name]

    def signs(self, name: str, others: bool) -> dict[str, np.ndarray]:
        """{sign: [S] eV/Å} of being outside, of one model: spread, residual, distance to the prior and to others."""
        own = self.models[name]
        found = {"prior": component_mae(self.prior, own, self.offsets)}
        if name in self.spreads and np.isfinite(self.spreads[name]).any():
            found["spread"] = self.spreads[name]
        if name in self.heads:
            found["residual"] = component_mae(self.prior, self.heads[name], self.offsets)
        if others and len(self.models) > 1:
            rest = [component_mae(f, own, self.offsets) for other, f in self.models.items() if other != name]
            found["disagreement"] = nanmean(rest)
        return found

    def known(self) -> dict[str, np.ndarray]:
        """{fact: [S]}: e for yes and 1 for no, so that the logarithm, which error models take, is one or zero."""
        return {name: np.where(values, np.e, 1.0) for name, values in self.facts.items()}

    def signs_of_estimates(self, name: str) -> dict[str, dict[str, np.ndarray]]:
        """{estimate: {sign: [S]}} of `estimates`.

        The difference of prior and model says something of the prior only where something else vouches for the model,
        the spread of its ensemble; a wrong model would discredit the prior.
        """
        own = self.signs(name, others=False) | self.known()
        of_prior = self.known() | {"prior_norm": mean_norm(self.prior, self.offsets)}
        if "spread" in own:
            of_prior["prior"] = own["prior"]
        return {n: of_prior if n == PRIOR else own for n in self.estimates(name)}

    def signs_of_committee(self) -> dict[str, dict[str, np.ndarray]]:
        """{estimate: {sign: [S]}} of all models, their corrections, and the prior."""
        found: dict[str, dict[str, np.ndarray]] = {}
        for name in self.models:
            own = self.signs(name, others=True) | self.known()
            found |= {n: own for n in (name, f"{name} corrected") if n == name or name in self.heads}
        away = [component_mae(forces, self.prior, self.offsets) for forces in self.models.values()]
        of_prior = {"prior_norm": mean_norm(self.prior, self.offsets), "disagreement": nanmean(away)}
        return found | {PRIOR: self.known() | of_prior}

    def estimates(self, name: str) -> dict[str, np.ndarray]:
        """{estimate: forces [N, 3]} that need one model alone."""
        corrected = {"corrected": self.corrected(name)} if name in self.heads else {}
        return {"model": self.models[name], **corrected, PRIOR: self.prior}


def known_of(forces: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Whether all forces [..., N, 3] of a structure are known, boolean [..., S]; offsets [S + 1]."""
    return np.isfinite(over_atoms(forces.sum(-1), offsets))


def nanmean(rows: list[np.ndarray]) -> np.ndarray:
    """Mean [S] over rows of what is finite, NaN where nothing is."""
    values = np.stack(rows)
    known = np.isfinite(values)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def constant(base: np.ndarray, direction: np.ndarray, reference: np.ndarray, offsets: np.ndarray) -> float:
    """Weight of GRID with the least error of base + weight · direction, all [N, 3] eV/Å.

    Errors are compared as ratios to those of the base, structure by structure, so that neither small nor large ones
    decide alone.
    """
    before = component_mae(base, reference, offsets)
    ratios = [
        np.nanmean(np.log((component_mae(base + w * direction, reference, offsets) + SOFT) / (before + SOFT)))
        for w in GRID
    ]
    return float(GRID[int(np.argmin(ratios))])


def _committee(said):
    """{estimate: forces [N, 3]} of all models, their corrections, and the prior."""
    corrected = {f"{name} corrected": said.corrected(name) for name in said.heads if name in said.models}
    return {**said.models, **corrected, PRIOR: said.prior}


def choose(said: Said, reference: np.ndarray) -> dict[str, Any]:
    """Weights as JSON can hold them, chosen on validation structures with reference forces [N, 3] eV/Å."""
    known = known_of(reference, said.offsets)
    truth, said = reference[np.repeat(known, np.diff(said.offsets))], said.take(known)
    out: dict[str, Any] = {}
    for name, forces in said.models.items():
        row: dict[str, Any] = {"mixed": constant(forces, said.prior - forces, truth, said.offsets)}
        if name in said.heads:
            row["corrected"] = constant(forces, said.prior - said.heads[name], truth, said.offsets)
        estimates, signs = said.estimates(name), said.signs_of_estimates(name)
        row["rescued"] = weighting.as_json(weighting.choose(signs, estimates, truth, said.offsets, said.molecules))
        out[name] = row
    if len(said.models) > 1:
        forces, signs = _committee(said), said.signs_of_committee()
        members = {n: forces[n] for n in said.models}
        both = {"weighted": members, "rescued": forces}
        out[COMMITTEE] = {
            way: weighting.as_json(weighting.choose({n: signs[n] for n in of}, of, truth, said.offsets, said.molecules))
            for way, of in both.items()
        }
    return out


@dataclass(frozen=True)
class Result:
    """Forces [N, 3] eV/Å of a strategy; weights {estimate: [S]}.

    expected [S] eV/Å: expected error, as if those of the estimates were independent; energy [S] eV: that whose
    gradient the forces are, None where they are none.
    """

    forces: np.ndarray
    weights: Mapping[str, np.ndarray]
    expected: np.ndarray | None = None
    energy: np.ndarray | None = None


def apply(said: Said, weights: Mapping[str, Any]) -> dict[str, Result]:
    """{strategy: Result} of all strategies that `choose` has weights for."""
    out = {}
    for name, row in weights.items():
        if name == COMMITTEE:
            continue
        out[f"{name}_mixed"] = _moved(said, name, row["mixed"], PRIOR)
        if name in said.heads:
            out[f"{name}_corrected"] = _moved(said, name, row["corrected"], "corrected")
        signs = said.signs_of_estimates(name)
        out[f"{name}_rescued"] = _weighted(row["rescued"], said.estimates(name), signs, said)
    if COMMITTEE in weights:
        forces, signs = _committee(said), said.signs_of_committee()
        members = {n: forces[n] for n in said.models}
        out[f"{COMMITTEE}_mean"] = _mean(members, said)
        out[f"{COMMITTEE}_arbiter"] = _arbiter(members, said)
        for way, row in weights[COMMITTEE].items():
            out[f"{COMMITTEE}_{way}"] = _weighted(row, forces, signs, said)
    return out


def _moved(said, name, weight, towards):
    """Result of a constant weight; the model as it is where the prior has no label."""
    forces, energy, prior = said.models[name], said.energies[name], said.energies[PRIOR]
    start = (forces, energy) if towards == PRIOR else (said.heads[name], said.energies[name, HEAD])
    direction, rise = said.prior - start[0], prior - start[1]
    shares = {"model": np.full(len(energy), 1 - weight), towards: np.full(len(energy), weight)}
    moved = np.where(np.isfinite(direction), forces + weight * direction, forces)
    return Result(moved, shares, energy=np.where(np.isfinite(rise), energy + weight * rise, energy))


def expected(said: Said, weights: Mapping[str, Any], name: str) -> dict[str, np.ndarray]:
    """{estimate: expected error [S] eV/Å} of the estimates that need one model alone."""
    found = weighting.from_json(weights[name]["rescued"])
    rows = found.expected(said.signs_of_estimates(name), len(said.offsets) - 1)
    return dict(zip(found.expectations, rows))


def _weighted(content, forces, signs, said):
    """Result of a weighting; estimates that the weights do not know are left out."""
    found = weighting.from_json(content)
    names = [n for n in found.expectations if n in forces]
    found = replace(found, expectations={n: found.expectations[n] for n in names})
    stack = np.stack([forces[n] for n in names])
    available = known_of(stack, said.offsets)
    expected = found.expected(signs, len(said.offsets) - 1)
    weights = found.weights(expected, available)
    combined = weighting.combine(weights, stack, said.offsets)
    # as if the estimates erred independently of each other
    trusted = np.sqrt(np.nansum((weights * np.where(np.isfinite(expected), expected, 0.0)) ** 2, axis=0))
    missing = ~np.isfinite(weights).all(axis=0)
    return Result(combined, dict(zip(names, weights)), np.where(missing, np.nan, trusted))


def _mean(members, said):
    """Result of the plain mean of the members that have forces."""
    stack = np.stack([*members.values()])
    known = known_of(stack, said.offsets)
    weights = np.where(known.any(axis=0), known / np.maximum(known.sum(axis=0), 1), np.nan)
    return Result(weighting.combine(weights, stack, said.offsets), dict(zip(members, weights)))


def _arbiter(members, said):
    """Result of the member that is nearest to the prior, structure by structure."""
    stack = np.stack([*members.values()])
    away = np.stack([component_mae(f, said.prior, said.offsets) for f in members.values()])
    known = np.isfinite(away)
    nearest = np.where(known, away, np.inf).argmin(axis=0)
    weights = (np.arange(len(members))[:, None] == nearest).astype(float)
    weights[:, ~known.any(axis=0)] = np.nan
    return Result(weighting.combine(weights, stack, said.offsets), dict(zip(members, weights)))

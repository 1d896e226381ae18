"""Adaptation along a trajectory: when it is done, what it costs, and that a killed run has the same model again."""

import numpy as np
import pytest
import torch
from contracts import KINDS, molecule

from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.catalogue.adaptation import Settings
from mlipshift.learn import networks
from mlipshift.learn.potential import Potential
from mlipshift.mitigate.distillation import geometries_of
from mlipshift.mitigate.on_the_fly import OnTheFly
from mlipshift.simulate.dynamics import Settings as Dynamics
from mlipshift.simulate.dynamics import simulate
from mlipshift.simulate.fields import AdaptingField
from mlipshift.simulate.observables import Bonds

NUMBERS, AT_REST = molecule(4, 1)
SETTINGS = Settings(steps=30, learning_rate=3e-3)


def springs(numbers, positions, charge=0, multiplicity=1):
    d = positions[:, None] - positions[None]
    return 0.05 * float((d**2).sum()), -0.2 * d.sum(1)


def frames(count):
    rng = np.random.default_rng(0)
    row = {"group": "ood_x", "molecule": "m", "numbers": NUMBERS, "charge": 0, "multiplicity": 1}
    return Frames.build(
        row | {"id": str(k), "positions": AT_REST + 0.02 * rng.normal(size=AT_REST.shape)} for k in range(count)
    )


def adapting(prior=springs, **options):
    torch.manual_seed(0)
    potential = Potential(networks.build(KINDS["painn_gradient"]), {"strategy": "joint", "seed": 0})
    given = frames(2)
    labels = Labels.build(given, [springs(*given[k][:2]) for k in range(2)], "prior")
    return OnTheFly(potential, given, labels, SETTINGS, prior, **options)


def test_it_is_adapted_again_where_the_loss_has_risen_and_not_elsewhere():
    found = adapting()
    before, after = (found.potential.card["adapted"][-1]["loss_eV_per_A"][k] for k in (0, -1))
    assert after < found.limit < before
    assert not found.look([frames(3)[2][1]]) and found.prior_calls == 1 and found.adaptations == 0
    model = found.potential
    assert found.look([AT_REST, 1.6 * AT_REST]) and (found.prior_calls, found.adaptations) == (3, 1)
    # from the trained model on, on the geometry that was beyond the limit beside those that were given
    assert found.potential is not model and len(found.frames) == 3 and len(found.potential.card["adapted"]) == 1
    np.testing.assert_array_equal(found.frames[2][1], 1.6 * AT_REST)


def test_only_the_latest_geometries_are_kept_and_what_has_no_label_is_left_out():
    def failing(numbers, positions, charge, multiplicity):
        if np.ptp(positions) > 50:
            raise UserError("prior: no convergence")
        return springs(numbers, positions)

    found = adapting(failing, most=3)
    for scale in (1.6, 1.8, 2.0):
        found.look([scale * AT_REST])
    assert len(found.frames) == 3 and found.frames[2][1][0, 0] == pytest.approx(2.0 * AT_REST[0, 0])
    assert not found.look([100 * AT_REST])


def test_a_killed_run_has_its_adapted_model_again(tmp_path):
    """Its trajectory, too, bit for bit."""
    settings = Dynamics(duration_ps=0.2, part=200, look=100, temperature_K=3000.0)
    no_bonds = Bonds(np.empty((0, 2), dtype=int), np.empty(0))

    def run(folder, killed=False):
        field = AdaptingField(adapting(rise=0.0), NUMBERS)
        if killed:
            look, seen = field.look, []

            def dying(positions):
                seen.append(1)
                if len(seen) == 3:
                    raise KeyboardInterrupt
                return look(positions)

            field.look = dying
        return simulate(field, frames(2), no_bonds, settings, folder)[0]

    whole = run(tmp_path / "whole")
    assert whole.about["field"]["adaptations"] >= 2 and whole.about["field"]["prior_calls"] == 2 * 4
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", killed=True)
    resumed = run(tmp_path / "killed")
    for name in ("positions", "energy", "kinetic"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(resumed, name))
    assert whole.about == resumed.about


def test_geometries_that_are_not_there_are_one_line():
    pool = frames(3)
    assert geometries_of(pool, "ood_x", 2, 0).tolist() == [0, 1]
    with pytest.raises(UserError, match="ood_x: has 3 geometries .* 5 are asked for"):
        geometries_of(pool, "ood_x", 5, 0)
    with pytest.raises(UserError, match="ood_y: has 0 geometries"):
        geometries_of(pool, "ood_y", 1, 0)

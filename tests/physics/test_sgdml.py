"""The sGDML prior, in an environment of its own: fitted to labels, counted, conservative, honest about strangers."""

import json
import subprocess

import numpy as np
import pytest
from ase.build import molecule

from clone import ROOT
from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.tables import read_table
from mlipshift.catalogue.components import FITTED
from mlipshift.prior import engines, fitting
from mlipshift.prior.engines.morse import morse
from mlipshift.prior.labels import fingerprint

PYTHON = ROOT / ".venv-sgdml" / "bin" / "python"
needs_sgdml = pytest.mark.skipif(not PYTHON.exists(), reason="make venv-sgdml")
LABELS, TESTED = 20, 10


def shaken(name, count, seed, group):
    """Frames of a molecule, shaken, and their Morse labels."""
    atoms, rng = molecule(name), np.random.default_rng(seed)
    rows = [
        {"id": f"{group}-{name}-{k}", "group": group, "molecule": name, "numbers": atoms.numbers}
        | {"positions": atoms.positions + rng.normal(scale=0.05, size=(len(atoms), 3)), "charge": 0, "multiplicity": 1}
        for k in range(count)
    ]
    frames = Frames.build(rows)
    return frames, Labels.build(frames, [morse(r["numbers"], r["positions"]) for r in rows], "reference")


def script(name, *arguments):
    """Run a script of the workflow in the environment of sGDML."""
    command = [PYTHON, ROOT / "workflow" / "scripts" / f"{name}.py", *arguments]
    done = subprocess.run([str(c) for c in command], env={"PYTHONPATH": str(ROOT / "workflow")}, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Folder with the models of two molecules, fitted to labels, one of them of a test structure."""
    folder = tmp_path_factory.mktemp("sgdml")
    parts = [shaken("CH3OH", LABELS + 5, 0, "train"), shaken("H2CO", LABELS, 1, "labelled_h2co")]
    frames, labels = (cls.concatenate([p[k] for p in parts]) for k, cls in ((0, Frames), (1, Labels)))
    test = shaken("H2CO", TESTED, 2, "ood_h2co")[0]
    frames.save(folder / "frames.h5")
    labels.save(folder / "reference.h5")
    Frames.concatenate([test, shaken("H2O", 1, 3, "ood_other")[0]]).save(folder / "test.h5")
    (folder / "duplicates.csv").write_text("id,group,same_as\nlabelled_h2co-H2CO-0,labelled_h2co,ood_h2co-H2CO-0\n")
    script(
        *("fit_prior", "--frames", folder / "frames.h5", "--reference", folder / "reference.h5"),
        *("--test", folder / "test.h5", "--duplicates", folder / "duplicates.csv", "--labels", LABELS),
        *("--sigmas", 5, 20, "--seed", 0, "--output", folder / "models", "--table", folder / "labels.csv"),
    )
    script(
        *("label_prior", "--frames", folder / "test.h5", "--method", "sGDML", "--engine", "tblite", "--accuracy", 1),
        *("--fitted", folder / "models", "--shard", "1-of-1", "--output", folder / "prior.h5"),
        *("--failures", folder / "failures.csv", "--timing", folder / "timing.json"),
    )
    return folder


@needs_sgdml
def test_labels_are_counted_and_none_is_of_a_test_structure(fitted):
    table = read_table(fitted / "labels.csv").set_index("molecule")
    assert list(table.columns) == fitting.FITTED[1:]
    assert table.loc["CH3OH", "n_labels"] == LABELS and table.loc["H2CO", "n_labels"] == LABELS - 1
    assert (table.held_out_meV_per_A > 0).all() and set(table.sigma) <= {5, 20}


@needs_sgdml
def test_it_knows_its_molecules_and_no_other(fitted):
    frames, prior = Frames.load(fitted / "test.h5"), Labels.load(fitted / "prior.h5")
    _, truth = shaken("H2CO", TESTED, 2, "ood_h2co")
    size = np.abs(truth.forces).mean()
    errors = [np.abs(prior.forces_of(k) - truth.forces_of(k)).mean() for k in range(TESTED)]
    assert prior.ok[:TESTED].all() and np.mean(errors) < 0.1 * size
    assert not prior.ok[TESTED] and prior.level == "prior:sGDML"
    reason = read_table(fitted / "failures.csv").reason
    assert len(reason) == 1 and "no sGDML model of this molecule" in reason[0]
    assert frames.molecule[TESTED] == "H2O"


@needs_sgdml
def test_its_forces_are_the_gradient_of_its_energy_and_sum_to_zero(fitted, tmp_path):
    frames, step = shaken("H2CO", 1, 5, "ood_x")[0], 1e-3
    rows = []
    for atom in range(4):
        for axis in range(3):
            for sign in (1, -1):
                x = frames.positions.copy()
                x[atom, axis] += sign * step
                rows.append([frames.numbers.tolist(), x.tolist()])
    rows.append([frames.numbers.tolist(), frames.positions.tolist()])
    code = (
        "import json, sys; import numpy as np; from mlipshift.prior import engines;"
        "rows = json.load(open(sys.argv[1]));"
        "call = engines.engine('sGDML', fitted=sys.argv[2]);"
        "found = [call(np.array(z), np.array(x), 0, 1) for z, x in rows];"
        "json.dump([[e, f.tolist()] for e, f in found], open(sys.argv[1], 'w'))"
    )
    path = tmp_path / "asked.json"
    path.write_text(json.dumps(rows))
    environment = {"PYTHONPATH": str(ROOT / "workflow")}
    subprocess.run([PYTHON, "-c", code, path, fitted / "models"], env=environment, check=True, capture_output=True)
    found = json.loads(path.read_text())
    energies, forces = np.array([e for e, _ in found[:-1]]), np.array(found[-1][1])
    np.testing.assert_allclose(forces.ravel(), -(energies[::2] - energies[1::2]) / (2 * step), atol=2e-3)
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-9)


def test_without_models_or_with_too_few_labels_it_is_one_line(tmp_path):
    with pytest.raises(UserError, match="fitted to reference labels"):
        engines.engine("sGDML")
    frames, labels = shaken("H2O", 4, 0, "train")
    with pytest.raises(UserError, match="H2O has 4 usable labels"):
        next(fitting.fit(frames, labels, fitting.molecules_of(frames, labels.ok, 50, 0), [10]))
    assert set(FITTED) <= set(engines.METHODS)


def test_labels_are_made_anew_when_the_models_are_others(tmp_path):
    (tmp_path / "000.npz").write_bytes(b"one")
    first = fingerprint("sGDML", "tblite", 1.0, tmp_path)
    (tmp_path / "000.npz").write_bytes(b"other")
    assert fingerprint("sGDML", "tblite", 1.0, tmp_path) != first


def test_the_draw_of_the_labels_is_that_of_the_seed():
    frames, labels = shaken("H2O", 30, 0, "train")
    drawn = [fitting.molecules_of(frames, labels.ok, 12, seed) for seed in (0, 0, 1)]
    (first,), (second,), (third,) = (d.values() for d in drawn)
    assert len(first) == 12 and np.array_equal(first, second) and not np.array_equal(first, third)

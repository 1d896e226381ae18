"""Priors at scale: engines against each other, checks of many structures at once, memory, shards that are killed."""

import importlib.util
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule
from ase.io import read

from clone import environment
from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.tables import read_table
from mlipshift.base.timing import Timing
from mlipshift.catalogue.components import FITTED, PRIORS, TIGHT_BINDING
from mlipshift.prior import engines
from mlipshift.prior.engines import morse
from mlipshift.prior.labels import fingerprint, label, label_frames, stripe
from mlipshift.prior.process import Process

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "resources/benchmark").glob("*.extxyz"))
TIGHT = 0.01  # accuracy at which the convergence of the charges no longer shows in the forces
needs_xtb = pytest.mark.skipif(not importlib.util.find_spec("xtb"), reason="pip install -r envs/lock/xtb.txt")
METHODS = [pytest.param(m, marks=needs_xtb if m == "GFN-FF" else ()) for m in engines.METHODS if m not in FITTED]
LIBRARIES = ["tblite", pytest.param("xtb", marks=needs_xtb)]


def test_every_prior_has_its_modules_and_its_level():
    folder = ROOT / "workflow/mlipshift/prior/engines"
    assert {name for names in PRIORS.values() for name in names} == {p.stem for p in folder.glob("[a-z]*.py")}
    assert {engines.module_of(m, library).__name__ for m in PRIORS for library in engines.ENGINES}
    levels = [engines.level("GFN1-xTB", library) for library in engines.ENGINES]
    assert levels == ["prior:GFN1-xTB", "prior:GFN1-xTB (xtb-python)"]
    assert engines.level("GFN-FF") == engines.level("GFN-FF", "xtb") == "prior:GFN-FF"


def test_checkpoints_of_another_engine_are_not_taken_over():
    settings = [(m, library, a) for m in TIGHT_BINDING for library in engines.ENGINES for a in (1.0, 0.1)]
    assert len({fingerprint(*one) for one in settings}) == len(settings)


def paths():
    """Environment in which this Python finds the library."""
    return environment() | {"PYTHONPATH": str(ROOT / "workflow")}


def row(name, numbers, positions, charge=0, multiplicity=1):
    given = {"id": name, "group": "g", "molecule": "m", "numbers": numbers, "positions": positions}
    return given | {"charge": charge, "multiplicity": multiplicity}


def benchmark(step):
    """Every step-th structure of the embedded benchmark, some open shells and ions."""
    atoms = [a for path in FILES for a in read(path, index=":")][::step]
    rows = [row(a.info["id"], a.numbers, a.positions, a.info["charge"], a.info["multiplicity"]) for a in atoms]
    oh = np.array([[0.0, 0, 0], [0.1, 0.2, 0.95]])
    nh4 = np.array([[0, 0, 0], [0.6, 0.59, 0.6], [-0.6, -0.58, 0.59], [0.57, -0.6, -0.6], [-0.6, 0.6, -0.6]])
    rows += [row("OH", [8, 1], oh, 0, 2), row("OH-", [8, 1], oh, -1, 1), row("NH4+", [7, 1, 1, 1, 1], nh4, 1, 1)]
    return Frames.build(rows)


@pytest.fixture(scope="module")
def run():
    """run(function, *arguments) in a process of its own: xTB's OpenMP runtime must not meet that of torch."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield lambda function, *arguments: executor.submit(function, *arguments).result()
    os.environ.pop("OMP_NUM_THREADS")
    if before is not None:
        os.environ["OMP_NUM_THREADS"] = before


def labels_of(frames, method, library="tblite", accuracy=TIGHT):
    return label_frames(frames, engines.engine(method, library, accuracy), method, "prior")


def rattled(frames, sigma):
    noise = np.random.default_rng(0).normal(0, sigma, frames.positions.shape)
    return replace(frames, positions=frames.positions + noise)


@needs_xtb
@pytest.mark.parametrize("method", TIGHT_BINDING)
def test_tblite_and_xtb_python_agree(run, method):
    """On the whole benchmark; two CO2 far from each other, in GFN2-xTB, are where they differ most."""
    frames = rattled(benchmark(1), 1e-4)
    (one, failed), (other, failed_too) = (run(labels_of, frames, method, library) for library in engines.ENGINES)
    assert not failed and not failed_too
    apart = np.array(["carbon-dioxide-dimer" in name for name in frames.ids])
    difference = np.abs(one.forces - other.forces).max(axis=1)
    assert difference[~np.repeat(apart, frames.sizes)].max() < 1e-5 and difference.max() < 5e-5
    assert np.abs(one.energy - other.energy)[~apart].max() < 1e-5


@needs_xtb
@pytest.mark.parametrize("method", TIGHT_BINDING)
@pytest.mark.parametrize("name", ["butadiene", "H2O2"])
def test_xtb_python_is_wrong_at_exactly_symmetric_geometries(run, method, name):
    """Finite differences of the energies of both say so; where this fails, xtb-python has been mended."""
    atoms, step = molecule(name), 1e-3
    moves = [(atom, axis) for atom in range(len(atoms)) for axis in range(3)]
    positions = [atoms.positions]
    for move in moves:
        for sign in (1, -1):
            moved = atoms.positions.copy()
            moved[move] += sign * step
            positions.append(moved)
    frames = Frames.build(row(str(k), atoms.numbers, x) for k, x in enumerate(positions))
    near = rattled(frames.take([0]), 1e-4)
    forces, close = {}, {}
    for library in engines.ENGINES:
        labels, _ = run(labels_of, frames, method, library)
        differences = -(labels.energy[1::2] - labels.energy[2::2]).reshape(-1, 3) / (2 * step)
        forces[library], close[library] = labels.forces_of(0), run(labels_of, near, method, library)[0].forces
        error = np.abs(forces[library] - differences).max()
        assert error < 1e-3 if library == "tblite" else error > 0.1
    assert np.abs(close["tblite"] - close["xtb"]).max() < 1e-5
    assert np.abs(close["tblite"] - forces["tblite"]).max() < 0.05


@pytest.mark.parametrize("method", METHODS)
def test_forces_are_the_gradient_of_the_energy(run, method):
    frames, step = benchmark(151), 1e-4
    labels, failed = run(labels_of, frames, method)
    assert not failed
    atoms = frames.offsets[:-1]
    for axis in range(3):
        energies = []
        for sign in (1, -1):
            moved = frames.positions.copy()
            moved[atoms, axis] += sign * step
            energies.append(run(labels_of, replace(frames, positions=moved), method)[0].energy)
        found = -(energies[0] - energies[1]) / (2 * step)
        np.testing.assert_allclose(found, labels.forces[atoms, axis], atol=2e-3)


def test_a_morse_bond_is_deepest_at_the_covalent_radii_and_ends_smoothly():
    bond = 0.76 + 0.31
    energy = lambda r: morse.morse(np.array([6, 1]), np.array([[0.0, 0, 0], [0, 0, r]]))
    assert energy(bond)[0] == pytest.approx(-morse.WELL_DEPTH)
    assert np.abs(energy(bond)[1]).max() < 1e-12
    assert energy(1.601 * bond)[0] == 0.0 and not energy(1.601 * bond)[1].any()
    for r in np.linspace(0.7, 1.65, 12) * bond:
        slope = (energy(r + 1e-6)[0] - energy(r - 1e-6)[0]) / 2e-6
        assert energy(r)[1][0, 2] == pytest.approx(slope, abs=1e-6)
    assert morse.morse(np.array([2]), np.zeros((1, 3)))[0] == 0.0


@needs_xtb
def test_gfn_ff_leaves_no_files_and_prints_nothing(tmp_path):
    code = (
        "import numpy as np; from mlipshift.prior import labels; from ase.build import molecule; a = molecule('CH3OH');"
    )
    code += "labels.label(a.numbers, a.positions, 0, 1, 'GFN-FF')"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=paths(), capture_output=True, check=True)
    assert (done.stdout, done.stderr, list(tmp_path.iterdir())) == (b"", b"", [])


@pytest.mark.parametrize("method", ["GFN-FF", "GFN2-xTB"])
def test_a_missing_xtb_python_is_one_line(method):
    code = (
        f"import sys; sys.modules['xtb'] = None; from mlipshift.prior import engines; engines.engine({method!r}, 'xtb')"
    )
    done = subprocess.run([sys.executable, "-c", code], env=paths(), capture_output=True, text=True)
    assert "UserError" in done.stderr and "pip install -r envs/lock/xtb.txt" in done.stderr
    assert (ROOT / "envs/lock/xtb.txt").exists()


def one_by_one(frames, method, library):
    """Results of a new calculator per structure."""
    return [label(*frames[k], method, library, 1.0) for k in range(len(frames))]


@pytest.mark.parametrize("library", LIBRARIES)
def test_labels_do_not_depend_on_what_was_labelled_before(run, library):
    """To the last bit, though calculators are kept, so that a resumed shard is identical."""
    frames = benchmark(9)
    frames = frames.take(np.repeat(np.arange(len(frames)), 2))
    moved = rattled(frames, 0.02)
    labels, _ = run(labels_of, moved, "GFN2-xTB", library, 1.0)
    for k, (energy, forces) in enumerate(run(one_by_one, moved, "GFN2-xTB", library)):
        assert labels.energy[k] == energy
        np.testing.assert_array_equal(labels.forces_of(k), forces)


WATER = np.array([[0.0, 0.02, 0.1], [0.0, 0.78, -0.49], [0.03, -0.74, -0.45]])
BAD = {
    "not finite": row("nan", [8, 1, 1], np.where(np.eye(3), np.inf, WATER)),
    "two atoms are 0.2": row("close", [8, 1, 1], np.array([[0, 0, 0], [0, 0, 0.2], [0, 1.0, 0]])),
    "element Z=92": row("uranium", [92, 1, 1], WATER),
    "do not fit 10 electrons": row("spin", [8, 1, 1], WATER, 0, 2),
    "exceeds 1000": row("compressed", [6, 6], np.array([[0, 0, 0], [0, 0, 0.31]])),
}


def test_bad_structures_among_good_ones_have_their_reasons(run):
    good = row("good", [8, 1, 1], WATER)
    rows = [good, *(r for reason in BAD.values() for r in (reason, good))]
    frames = Frames.build(r | {"id": str(k)} for k, r in enumerate(rows))
    labels, reasons = run(labels_of, frames, "GFN2-xTB")
    assert labels.ok.tolist() == [k % 2 == 0 for k in range(len(rows))]
    assert list(reasons) == [1, 3, 5, 7, 9]
    for part, reason in zip(BAD, reasons.values()):
        assert part in reason
    assert np.isnan(labels.energy[~labels.ok]).all() and np.isnan(labels.forces_of(1)).all()
    # good structures lie on top of each other in space, which is no reason
    np.testing.assert_array_equal(labels.forces_of(0), labels.forces_of(10))


def resident_while_labelling(frames, method, library, calls):
    """Resident MiB after each of the numbers of calls."""
    singlepoint, done, found = engines.engine(method, library), 0, []
    for target in calls:
        while done < target:
            moved = rattled(frames, 0.01)
            label_frames(moved, singlepoint, method, "prior")
            done += len(frames)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        found.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
    return found


@pytest.mark.parametrize(
    ("method", "library"),
    [
        ("GFN2-xTB", "tblite"),
        pytest.param("GFN2-xTB", "xtb", marks=needs_xtb),
        pytest.param("GFN-FF", "xtb", marks=needs_xtb),
    ],
)
def test_memory_stays_flat(run, method, library):
    first, last = run(resident_while_labelling, benchmark(6), method, library, (500, 2500))
    assert last - first < 5


SCRIPTS = ROOT / "workflow/scripts"


def label_shard(folder, shard, *more):
    """Command line of the script that labels a shard of folder/frames.h5."""
    names = {name: folder / f"{shard}.{ending}" for name, ending in [("output", "h5"), ("failures", "csv")]}
    names |= {"timing": folder / f"{shard}.json", "log": folder / f"{shard}.log", "frames": folder / "frames.h5"}
    given = {"method": "GFN2-xTB", "engine": "tblite", "accuracy": "1.0", "shard": shard} | dict(more)
    command = [sys.executable, str(SCRIPTS / "label_prior.py")]
    return command + [str(word) for name, value in (names | given).items() for word in (f"--{name}", value)]


def gather(folder, shards):
    """Run the script that gathers all shards; the path of the labels."""
    files = lambda ending: [folder / f"{k}-of-{shards}.{ending}" for k in range(1, shards + 1)]
    given = {"frames": [folder / "frames.h5"], "method": ["GFN2-xTB"], "engine": ["tblite"], "shards": files("h5")}
    given |= {"shard-failures": files("csv"), "shard-timings": files("json"), "output": [folder / "all.h5"]}
    given |= {"failures": [folder / "failures.csv"], "timing": [folder / "all.json"]}
    words = [str(word) for name, values in given.items() for word in (f"--{name}", *values)]
    subprocess.run([sys.executable, str(SCRIPTS / "gather_prior.py"), *words], check=True, env=paths())
    return folder / "all.h5"


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Folder with frames.h5: 1,500 structures, one of them bad."""
    folder = tmp_path_factory.mktemp("many")
    frames = benchmark(2)
    frames = frames.take(np.resize(np.arange(len(frames)), 1499))
    frames = replace(frames, ids=np.array([f"{k:04d}" for k in range(1499)], dtype=object))
    Frames.concatenate([frames, Frames.build([BAD["element Z=92"]])]).save(folder / "frames.h5")
    subprocess.run(label_shard(folder, "1-of-1"), check=True, env=paths())
    gather(folder, 1)
    return folder


def test_shards_come_together_in_the_order_of_the_frames(many, tmp_path):
    (tmp_path / "frames.h5").symlink_to(many / "frames.h5")
    for k in (1, 2, 3):
        subprocess.run(label_shard(tmp_path, f"{k}-of-3"), check=True, env=paths())
    assert gather(tmp_path, 3).read_bytes() == (many / "all.h5").read_bytes()
    frames, labels = Frames.load(many / "frames.h5"), Labels.load(many / "all.h5")
    assert labels.ids.tolist() == frames.ids.tolist() and labels.level == "prior:GFN2-xTB"
    assert (many / "failures.csv").read_bytes() == (tmp_path / "failures.csv").read_bytes()
    (failure,) = read_table(many / "failures.csv").to_dict("records")
    assert (failure["id"], failure["stage"]) == ("uranium", "prior") and "Z=92" in failure["reason"]
    np.testing.assert_array_equal(np.flatnonzero(~labels.ok), [1499])


def test_a_killed_shard_goes_on_where_it_was_and_ends_identically(many, tmp_path):
    (tmp_path / "frames.h5").symlink_to(many / "frames.h5")
    kept, moments = tmp_path / "1-of-1.h5.stripes", random.Random(4)
    stripes = lambda: {path: path.stat().st_mtime_ns for path in kept.glob("*.npz")}
    before = {}
    for _ in range(3):
        job = subprocess.Popen(label_shard(tmp_path, "1-of-1"), env=paths())
        while len(stripes()) <= len(before):
            assert job.poll() is None, (tmp_path / "1-of-1.log").read_text()
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.1))
        job.send_signal(signal.SIGKILL)
        assert job.wait() == -signal.SIGKILL and not (tmp_path / "1-of-1.h5").exists()
        after = stripes()
        assert before.items() <= after.items(), "what was labelled is not labelled again"
        before = after
    # damaged, and of another run
    first, second, *_ = sorted(before)
    first.write_bytes(first.read_bytes()[:100])
    second.write_bytes(sorted(before)[2].read_bytes())
    subprocess.run(label_shard(tmp_path, "1-of-1"), check=True, env=paths())
    size = stripe(1500, 1)
    assert f"1500 structures, {(len(before) - 2) * size} of them labelled by" in (tmp_path / "1-of-1.log").read_text()
    resumed, whole = (Timing.read(folder / "1-of-1.json") for folder in (tmp_path, many))
    assert resumed.structures == whole.structures == 1499, "a refused structure costs nothing"
    assert resumed.seconds > 0.6 * whole.seconds, "what was labelled before the kill has not become free"
    for ending in ("h5", "csv"):
        assert (tmp_path / f"1-of-1.{ending}").read_bytes() == (many / f"1-of-1.{ending}").read_bytes()
    assert not kept.exists()


@pytest.mark.parametrize(
    ("structures", "shards"), [(0, 3), (1, 2), (30, 4), (335, 2), (2000, 2), (2396, 2), (1_000_000, 100)]
)
def test_shards_are_balanced_and_losses_small(structures, shards):
    size = stripe(structures, shards)
    number = np.arange(structures) // size % shards
    counts = np.bincount(number, minlength=shards)
    assert 1 <= size <= 256
    assert counts.max() <= 1.01 * structures / shards + 1


def singlepoints(asked):
    return [engines.engine("GFN2-xTB")(*one) for one in asked]


def test_a_prior_in_a_process_of_its_own_says_the_same(run):
    water, ion = molecule("H2O"), molecule("H2O")
    asked = [(water.numbers, water.positions, 0, 1), (ion.numbers, ion.positions, 1, 2)]
    expected = run(singlepoints, asked)
    with Process("GFN2-xTB") as prior:
        for one, (energy, forces) in zip(asked, expected):
            found = prior(*one)
            assert found[0] == pytest.approx(energy, abs=1e-9) and np.abs(found[1] - forces).max() < 1e-9
        with pytest.raises(UserError, match=r"^prior: "):
            prior(water.numbers, np.zeros((3, 3)))
        # it answers after a failure, and after it was killed
        assert prior(*asked[0])[0] == pytest.approx(expected[0][0], abs=1e-9)
        prior.process.kill()
        prior.process.wait()
        assert prior(*asked[0])[0] == pytest.approx(expected[0][0], abs=1e-9)
    assert prior.process is None
    with pytest.raises(UserError, match=r"the process of the prior ended with"), Process("GFN9-xTB") as prior:
        prior(*asked[0])

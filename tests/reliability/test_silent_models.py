"""Models that would be wrong without a word: what they keep, charge that they do not see, answers that are none."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import write

from clone import ROOT, copy_repository, environment
from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import read_table
from mlipshift.external import families, kept, prediction
from mlipshift.external.embedding import Embedding
from mlipshift.external.entries import files_in
from mlipshift.external.registry import OPERATIVE, Registry
from mlipshift.external.structure import Structure
from mlipshift.run import sources
from scripts import assert_refused, run_script

STATES = [(0, 1), (1, 2), (-1, 2), (0, 3), (0, 1)]
# a spring to the origin, stiffer with every charge and spin; what a subclass changes is where it looks for these
SPRING = """
import numpy as np
from ase.calculators.calculator import Calculator, all_changes


class Spring(Calculator):
    implemented_properties = ["energy", "forces"]

    def state(self, atoms):
        return atoms.info["charge"], atoms.info["spin"]

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        charge, spin = self.state(atoms)
        stiffness = 1.0 + 0.2 * charge + 0.05 * spin
        x = atoms.positions
        self.results = {"energy": 0.5 * stiffness * float((x**2).sum()), "forces": -stiffness * x}
"""
AFTER = "class C(Spring):\n    def calculate(self, atoms=None, properties=(), system_changes=all_changes):\n"
AFTER += "        super().calculate(atoms, properties, system_changes)\n        "


def stiffness(charge, spin):
    return 1.0 + 0.2 * charge + 0.05 * spin


def entry_of(calculator, **keys):
    own = {"m": {"title": "m", "family": "ase", "calculator": calculator, **keys}}
    return Registry(ROOT / "config/models.yaml", ROOT / "workflow/schemas/models.schema.yaml", own).entry("m")


def written(folder, text, name="calc.py"):
    """A calculator's file on the spring above."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SPRING + text)
    return path


def structure(charge=0, multiplicity=1, name="CH3OH", seed=0):
    atoms = molecule(name)
    atoms.rattle(0.05, seed=seed)
    x = atoms.positions - atoms.positions.mean(axis=0)
    return Structure(atoms.numbers, x, charge, multiplicity, np.zeros((3, 3)), np.zeros(3, bool))


def rows(*states, names=("CH3OH",)):
    """Rows of Frames: every molecule once in every state, the geometry the same."""
    made = [(name, state) for name in names for state in states]
    return [
        {"id": f"s{k}", "group": "test", "molecule": name, "charge": q, "multiplicity": m}
        | {"numbers": structure(name=name).numbers, "positions": structure(name=name).positions}
        for k, (name, (q, m)) in enumerate(made)
    ]


def arguments(folder, entry, frames, *more):
    """Command line of predict_model for the frames of a folder."""
    frames.save(folder / "frames.h5")
    (folder / "excluded.csv").write_text("set,id,reason\n")
    operative = json.dumps({key: entry[key] for key in OPERATIVE})
    given = {"model": "m", "entry": operative, "frames": "frames.h5", "set": "test", "excluded": "excluded.csv"}
    given |= {"output": "p.h5", "embedding": "e.h5", "failures": "f.csv", "notes": "n.txt", "timing": "t.json"}
    given |= {"log": "log.txt"}
    return [*(word for key, value in given.items() for word in (f"--{key}", value)), *more]


def notes(folder):
    return (folder / "n.txt").read_text().splitlines()


# each structure has an answer of its own

PLACES = {
    "info": "class C(Spring):\n    pass\n",
    "total": "class C(Spring):\n    def state(self, a):\n        return a.info['total_charge'], a.info['total_spin']\n",
    "mult": "class C(Spring):\n    def state(self, a):\n        return a.info['charge'], a.info['mult']\n",
    "multiplicity": "class C(Spring):\n    def state(self, a):\n"
    "        return a.info['charge'], a.info['multiplicity']\n",
    "metatomic": "class C(Spring):\n    def state(self, a):\n"
    "        return a.info['charge'], a.info['spin_multiplicity']\n",
    "initial": "class C(Spring):\n    def state(self, a):\n"
    "        return a.get_initial_charges().sum(), a.get_initial_magnetic_moments().sum() + 1\n",
    "ignored changes": "class C(Spring):\n    ignored_changes = {'initial_charges', 'initial_magmoms'}\n",
    "methods": "class C(Spring):\n    q, m = 0, 1\n    ignored_changes = {'initial_charges', 'initial_magmoms'}\n"
    "    def set_charge(self, q):\n        self.q = q\n    def set_mult(self, m):\n        self.m = m\n"
    "    def state(self, a):\n        return self.q, self.m\n",
    "a memory of geometries": "class C(Spring):\n"
    "    def __init__(self):\n        super().__init__()\n        self.seen = {}\n"
    "    def calculate(self, atoms=None, properties=(), system_changes=all_changes):\n"
    "        key = atoms.positions.tobytes()\n        if key not in self.seen:\n"
    "            super().calculate(atoms, properties, system_changes)\n            self.seen[key] = self.results\n"
    "        self.results = self.seen[key]\n",
    "a mixture": "from ase.calculators.mixing import AverageCalculator\n"
    "class D(Spring):\n    ignored_changes = {'initial_charges', 'initial_magmoms'}\n"
    "def C():\n    return AverageCalculator([D(), D()])\n",
    "a cache of its own": "class C(Spring):\n    def check_state(self, atoms, tol=1e-15):\n"
    "        return [] if self.results else list(all_changes)\n",
}


@pytest.mark.parametrize("place", PLACES)
def test_one_geometry_in_several_states_has_several_answers(place, tmp_path):
    model = families.load(entry_of(f"{written(tmp_path, PLACES[place])}:C"))
    for charge, spin in STATES:
        here = structure(charge, spin)
        energy, forces, *_ = prediction.ask(model, here)
        np.testing.assert_allclose(forces, -stiffness(charge, spin) * here.positions, atol=1e-12)
        assert energy == pytest.approx(0.5 * stiffness(charge, spin) * (here.positions**2).sum(), abs=1e-12)


@pytest.mark.parametrize(
    ("words", "reads"),
    [
        ({"q": "{charge}", "m": "{multiplicity}"}, "self.q, self.m"),
        ({"q": "{charge}", "m": "{unpaired}"}, "self.q, self.m + 1"),
        ({"q": "charge={charge}", "m": ["{multiplicity}"]}, "int(self.q[7:]), self.m[0]"),
    ],
)
def test_a_calculator_that_takes_charge_when_it_is_made_is_made_for_each(words, reads, tmp_path):
    text = (
        "class C(Spring):\n    def __init__(self, q, m):\n        super().__init__()\n        self.q, self.m = q, m\n"
    )
    text += f"    def state(self, a):\n        return {reads}\n"
    model = families.load(entry_of(f"{written(tmp_path, text)}:C", arguments=words))
    for charge, spin in [*STATES, (2, 1), (-2, 1), *STATES]:
        here = structure(charge, spin)
        np.testing.assert_allclose(model(here)[1], -stiffness(charge, spin) * here.positions, atol=1e-12)


DIRECT = """
import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from tblite.interface import Calculator as Api


class Direct(Calculator):
    implemented_properties = ["energy", "forces"]

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        from mlipshift.base.units import BOHR, EV

        info = atoms.info
        api = Api("GFN2-xTB", atoms.numbers, atoms.positions / BOHR, float(info["charge"]), info["spin"] - 1)
        api.set("verbosity", 0)
        found = api.singlepoint()
        self.results = {"energy": found["energy"] * EV, "forces": -found["gradient"] * EV / BOHR}
"""


def test_tblite_computes_ions_and_open_shells_whatever_came_before(tmp_path):
    """Its own calculator against its interface, in order and in another order: the same to the last bit."""
    (tmp_path / "direct.py").write_text(DIRECT)
    frames = Frames.build(rows(*STATES, names=("CH3OH", "H2CO")))
    order = np.random.default_rng(1).permutation(len(frames))
    tblite = entry_of("tblite.ase:TBLite", arguments={"verbosity": 0})
    found = {}
    for name, entry, chosen in (
        ("direct", entry_of(f"{tmp_path / 'direct.py'}:Direct"), frames),
        ("in order", tblite, frames),
        ("shuffled", tblite, frames.take(order)),
    ):
        folder = tmp_path / name
        folder.mkdir()
        command = [sys.executable, str(ROOT / "workflow/scripts/predict_model.py")]
        command += arguments(folder, entry, chosen, "--knows-charge")
        library = {"PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1"}
        subprocess.run(command, cwd=folder, env=environment() | library, check=True, capture_output=True)
        found[name] = Predictions.load(folder / "p.h5", chosen)
        assert found[name].ok.all() and notes(folder) == []
    # two values of the hartree: a difference of 1e-8 of the energy
    np.testing.assert_allclose(found["in order"].energy, found["direct"].energy, rtol=3e-8)
    np.testing.assert_allclose(found["in order"].forces, found["direct"].forces, atol=1e-5)
    np.testing.assert_array_equal(found["shuffled"].energy[0], found["in order"].energy[0][order])
    energy = found["direct"].energy[0]
    assert energy[0] == energy[4] and len({round(e, 3) for e in energy[:4]}) == 4


# answers that are none

ANSWERS = {
    "raise AssertionError('three atoms are not supported')": "AssertionError: three atoms are not supported",
    "raise TypeError('unsupported operand')": "TypeError: unsupported operand",
    "raise NotImplementedError": "NotImplementedError",
    "class Own(Exception): pass\n            raise Own('lost')": "Own: lost",
    "import no_such_module": "ModuleNotFoundError: No module named 'no_such_module'",
    "self.results['forces'] = self.results['forces'].mean(axis=0)": "ValueError: its forces have the shape (3,)",
    "self.results['forces'] = self.results['forces'][:2]": "ValueError: its forces have the shape (2, 3), not (3, 3)",
    "self.results['forces'] = self.results['forces'].T[None]": "ValueError: its forces have the shape (1, 3, 3)",
    "self.results['forces'] = np.zeros((len(atoms), 1))": "ValueError: its forces have the shape (3, 1)",
    "self.results['energy'] = np.ones(3)": "ValueError: its energy has the shape (3,)",
    "self.results['forces'][0, 0] = np.nan": "ValueError: energy or forces are not finite",
    "self.results['energy'] = -np.inf": "ValueError: energy or forces are not finite",
    "del self.results['forces']": "PropertyNotImplementedError: forces not present",
    "self.results['forces'] = None": "ValueError: its forces have the shape ()",
}


@pytest.mark.parametrize("code", ANSWERS)
def test_what_is_no_answer_is_a_row_with_its_reason_and_takes_no_other_with_it(code, tmp_path):
    text = AFTER + f"if len(atoms) == 3:\n            {code}\n"
    frames = Frames.build(rows((0, 1), names=("CH3OH", "H2O", "H2CO")))
    done = run_script("predict_model", tmp_path, *arguments(tmp_path, entry_of(f"{written(tmp_path, text)}:C"), frames))
    assert done.status == 0, done.lines
    made = Predictions.load(tmp_path / "p.h5", frames)
    assert made.ok.tolist() == [True, False, True]
    assert np.isnan(made.forces[0, 6:9]).all() and np.isfinite(made.forces[0, 9:]).all()
    table = read_table(tmp_path / "f.csv")
    assert table["id"].tolist() == ["s1"] and table["reason"][0].startswith(ANSWERS[code])


UNUSUAL = {
    "an array of one energy": "self.results['energy'] = np.array([self.results['energy']])",
    "a read-only array": "self.results['forces'].flags.writeable = False",
    "a list": "self.results['forces'] = self.results['forces'].tolist()",
    "single precision": "self.results['forces'] = self.results['forces'].astype('f4')",
    "atoms moved in place": "atoms.positions += 1.0; atoms.info.clear(); atoms.pbc = True",
}


@pytest.mark.parametrize("code", UNUSUAL)
def test_an_unusual_answer_is_taken_as_it_is_meant(code, tmp_path):
    text = AFTER + UNUSUAL[code]
    model, here = families.load(entry_of(f"{written(tmp_path, text)}:C")), structure()
    for _ in range(2):
        energy, forces, *_ = prediction.ask(model, here)
        np.testing.assert_allclose(forces, -stiffness(0, 1) * here.positions, rtol=1e-6)
        assert energy == pytest.approx(0.5 * stiffness(0, 1) * (here.positions**2).sum())
    np.testing.assert_array_equal(here.positions, structure().positions)


def test_forces_alone_are_predictions(tmp_path):
    text = AFTER + "del self.results['energy']"
    frames = Frames.build(rows((0, 1), names=("CH3OH", "H2O")))
    done = run_script("predict_model", tmp_path, *arguments(tmp_path, entry_of(f"{written(tmp_path, text)}:C"), frames))
    made = Predictions.load(tmp_path / "p.h5", frames)
    assert done.status == 0 and made.ok.all() and np.isnan(made.energy).all() and np.isfinite(made.forces).all()
    assert notes(tmp_path) == ["m: it gives no energies"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise MemoryError", ["no memory for s1, 3 atoms", "what is predicted so far is kept"]),
        ("raise RuntimeError('CUDA out of memory. Tried to allocate')", ["no memory for s1", "give the job more"]),
        ("raise OSError(28, 'No space left on device')", ["no space left on the disk"]),
    ],
)
def test_what_concerns_all_structures_ends_the_job(code, words, tmp_path):
    text = AFTER + f"if len(atoms) == 3:\n            {code}\n"
    frames = Frames.build(rows((0, 1), names=("CH3OH", "H2O", "H2CO")))
    done = run_script("predict_model", tmp_path, *arguments(tmp_path, entry_of(f"{written(tmp_path, text)}:C"), frames))
    assert_refused(done, *words)
    assert not (tmp_path / "p.h5").exists()
    assert "space" in words[0] or list(tmp_path.glob("p.h5.parts/*.npz"))


# answers that are something else than they are taken for


def probed(folder, text, states=((0, 1), (1, 2)), *more):
    frames = Frames.build(rows(*states, names=("CH3OH", "H2CO")))
    return run_script(
        "predict_model", folder, *arguments(folder, entry_of(f"{written(folder, text)}:C"), frames, *more)
    )


BLIND = "class C(Spring):\n    def state(self, atoms):\n        return {}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BLIND.format("0, atoms.info['spin']"), ["charge: true", "s3 with charge +1 and -1", "as {charge}"]),
        (AFTER + "self.results['forces'] *= -1", ["they are the gradient", "change their sign"]),
        (
            AFTER + "self.results['forces'] = self.results['forces'][np.argsort(-atoms.numbers, kind='stable')]",
            ["opposite order its forces are others", "the order of the atoms that it gets"],
        ),
    ],
)
def test_what_cannot_be_used_is_one_line(text, words, tmp_path):
    assert_refused(probed(tmp_path, text, ((0, 1), (1, 2)), "--knows-charge"), "m: ", *words)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (BLIND.format("atoms.info['charge'], 1"), "ignores the multiplicity: 2 open shells predicted"),
        (AFTER + "self.results['energy'] /= len(atoms)", "an energy per atom?"),
        (AFTER + "self.results['energy'] /= 27.2114", "energies in Hartree and forces in eV/Angstrom?"),
        (AFTER + "self.results['forces'] *= 0.5291772 / 27.2114", "energies in eV and forces in Hartree/Bohr?"),
        (
            AFTER + "self.results['forces'] += np.random.normal(0, 0.1, (len(atoms), 3))",
            "another answer when it is asked",
        ),
    ],
)
def test_what_the_reader_has_to_know_is_a_note(text, part, tmp_path):
    done = probed(tmp_path, text)
    assert done.status == 0, done.lines
    assert len(notes(tmp_path)) == 1 and part in notes(tmp_path)[0], notes(tmp_path)


@pytest.mark.parametrize("text", ["class C(Spring):\n    pass\n", AFTER + "self.results['energy'] *= 0.93"])
def test_a_sound_model_and_direct_forces_get_no_note(text, tmp_path):
    done = probed(tmp_path, text, STATES, "--knows-charge")
    assert done.status == 0 and notes(tmp_path) == [], (done.lines, notes(tmp_path))


# kills

KILLED = """
import os, signal
from pathlib import Path


class C(Spring):
    def calculate(self, atoms=None, properties=(), system_changes=all_changes):
        calls = Path(__file__).with_name("calls")
        with open(calls, "a") as handle:
            print(len(atoms), file=handle)
        if Path(__file__).with_name("kill").exists() and len(calls.read_text().splitlines()) == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        super().calculate(atoms, properties, system_changes)
        scale = float(Path(__file__).with_name("weights").read_text())
        self.results = {key: scale * value for key, value in self.results.items()}
"""


@pytest.mark.parametrize("change", ["", "weights", "code", "settings", "frames"])
def test_a_killed_prediction_goes_on_to_the_same_bytes_and_never_with_what_is_stale(change, tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "KEPT_EVERY", (0.0, 0.0))
    names = ("CH3OH", "H2O", "H2CO", "C2H4", "CH4", "C2H6")
    frames, keys = Frames.build(rows((0, 1), names=names)), {}
    path, weights, calls = written(tmp_path, KILLED), tmp_path / "weights", tmp_path / "calls"
    weights.write_text("1.0")
    (tmp_path / "kill").touch()
    predict = lambda: run_script(
        "predict_model", tmp_path, *arguments(tmp_path, entry_of(f"{path}:C", **keys), frames, "--depends", weights)
    )
    assert predict().status == -signal.SIGKILL
    assert len(list(tmp_path.glob("p.h5.parts/*.npz"))) == 3 and not (tmp_path / "p.h5").exists()
    (tmp_path / "kill").unlink()
    calls.unlink()
    if change == "weights":
        weights.write_text("2.0")
    elif change == "code":
        path.write_text(path.read_text().replace("0.05 * spin", "0.06 * spin"))
    elif change == "settings":
        keys = {"box_padding_A": 12.0}
    elif change == "frames":
        frames = Frames.build(rows((1, 2), names=names))
    assert predict().status == 0
    # half of the six was kept, and is not asked for again but where something else has changed
    asked = calls.read_text().split()
    assert asked[:3] == ["6", "5", "8"] if not change else asked[:6] == ["6", "3", "4", "6", "5", "8"]
    resumed = {name: (tmp_path / name).read_bytes() for name in ("p.h5", "e.h5", "f.csv", "n.txt")}
    assert not (tmp_path / "p.h5.parts").exists()
    assert predict().status == 0
    assert resumed == {name: (tmp_path / name).read_bytes() for name in resumed}


def test_a_damaged_part_and_a_failure_are_computed_again(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "KEPT_EVERY", (0.0, 0.0))
    text = "from pathlib import Path\n\n\n" + AFTER
    text += "if len(atoms) == 3 and Path(__file__).with_name('broken').exists():\n            raise OSError('busy')\n"
    text += (
        "        if len(atoms) == 5 and Path(__file__).with_name('broken').exists():\n            raise MemoryError\n"
    )
    entry = entry_of(f"{written(tmp_path, text)}:C")
    frames = Frames.build(rows((0, 1), names=("CH3OH", "H2O", "H2CO", "CH4")))
    (tmp_path / "broken").touch()
    assert_refused(run_script("predict_model", tmp_path, *arguments(tmp_path, entry, frames)), "no memory")
    (tmp_path / "p.h5.parts/1.npz").write_bytes(b"half")
    (tmp_path / "broken").unlink()
    assert run_script("predict_model", tmp_path, *arguments(tmp_path, entry, frames)).status == 0
    assert Predictions.load(tmp_path / "p.h5", frames).ok.all() and len(read_table(tmp_path / "f.csv")) == 0
    assert Embedding.load(tmp_path / "e.h5", frames).embedding.shape == (4, 0)


# calculators by file and by module


@pytest.mark.parametrize("name", ["mace.py", "it's 2 calcs/my calc.py", "ase.py", "json.py"])
def test_a_file_is_found_whatever_its_name_and_hides_no_package(name, tmp_path):
    path = written(tmp_path, "import helper_of_mine\n\n\nclass C(Spring):\n    x = helper_of_mine.x\n", name)
    path.with_name("helper_of_mine.py").write_text("import json\nx = json.dumps([1])\n")
    done = load_elsewhere(f"{path}:C")
    assert done.returncode == 0 and done.stdout.strip() == "[1]", done.stderr


def test_relative_imports_of_a_package_of_ones_own(tmp_path):
    path = written(tmp_path, "from .net import x\n\n\nclass C(Spring):\n    x = x\n", "mine/sub/calc.py")
    for folder in ("mine", "mine/sub"):
        (tmp_path / folder / "__init__.py").touch()
    path.with_name("net.py").write_text("from mine.base import x\n")
    (tmp_path / "mine/base.py").write_text("x = 7\n")
    done = load_elsewhere(f"{path}:C")
    assert done.returncode == 0 and done.stdout.strip() == "7", done.stderr


def load_elsewhere(calculator):
    """x of a calculator, loaded in a process of its own."""
    code = "import json, sys; from mlipshift.external import families\n"
    code += "print(families.load(json.loads(sys.argv[1])).calculator.x)"
    library = {"PYTHONPATH": str(ROOT / "workflow")}
    command = [sys.executable, "-c", code, json.dumps(entry_of(calculator))]
    return subprocess.run(command, cwd=ROOT, env=environment() | library, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import no_such_package\n", ["it needs the module no_such_package", sys.prefix, "models.NAME.environment"]),
        ("def broken(:\n", ["SyntaxError", "line"]),
        ("1 / 0\n", ["ZeroDivisionError", "mend the module"]),
        ("from os import no_such_name\n", ["cannot import name 'no_such_name'"]),
        ("class Other(Spring):\n    pass\n", ["has no C", "known: Calculator, Other, Spring"]),
        ("C = 3\n", ["C is no class and no function"]),
        ("class C(Spring):\n    def __init__(self, depth):\n        pass\n", ["TypeError", "it takes depth"]),
        (
            "class C(Spring):\n    def __init__(self):\n        raise ValueError('no licence')\n",
            ["ValueError: no licence"],
        ),
        (
            "class C(Spring):\n    def __init__(self):\n        import no_such_package\n",
            ["needs the module no_such_pac"],
        ),
    ],
)
def test_what_is_wrong_with_a_calculator_is_said_in_one_line(text, words, tmp_path):
    path = written(tmp_path, text)
    with pytest.raises(UserError) as caught:
        families.load(entry_of(f"{path}:C"))
    assert all(word in str(caught.value) for word in ["calculator ", *words]), caught.value
    assert "\n" not in str(caught.value)


def test_a_module_that_is_nowhere_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "workflow"), "/some/where"]))
    with pytest.raises(UserError, match=r"no module named no_such.*looked in .*on PYTHONPATH \(/some/where\); install"):
        families.load(entry_of("no_such.module:C"))
    with pytest.raises(UserError, match="no such file"):
        families.load(entry_of(f"{tmp_path}/no.py:C"))


# the whole workflow

LAB = """
from pathlib import Path

from beside import FACTOR


class C(Spring):
    def __init__(self, weights, checkpoint):
        super().__init__()
        self.scale = float(Path(weights).read_text()) * float(Path(checkpoint).read_text())

    def calculate(self, atoms=None, properties=(), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        assert len(atoms) != 3, "no water"
        self.results = {key: FACTOR * self.scale * value for key, value in self.results.items()}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """(directory, folder of the settings) for a calculator of one's own, all paths with spaces and quotes."""
    directory = copy_repository(tmp_path_factory.mktemp("lab") / "a clone")
    own = directory.parent / "it's mine"
    written(own, LAB, "my calc.py")
    (own / "beside.py").write_text("FACTOR = 2.0\n")
    (own / "notes.py").write_text("")
    (own / "w 1.txt").write_text("3.0")
    (own / 'the "best".txt').write_text("0.5")
    for name, names in (("train", ("CH3OH", "CH4")), ("test", ("CH3OH", "H2CO", "H2O"))):
        made = []
        for molecule_name in names:
            for charge, spin in ((0, 1), (1, 2)):
                here = structure(charge, spin, molecule_name)
                made.append(Atoms(here.numbers, here.positions, info={"charge": charge, "multiplicity": spin}))
        write(own / f"{name}.xyz", made, format="extxyz")
    settings = {
        "run": "lab",
        "data": {
            "files": {"train": [str(own / "train.xyz")], "ood_new": [str(own / "test.xyz")]},
            "labels": "optional",
        },
        "models": {
            "own": {
                "title": "own",
                "family": "ase",
                "calculator": "my calc.py:C",
                "arguments": {"weights": "~/w 1.txt", "checkpoint": "{checkpoint}"},
                "checkpoint": '~/the "best".txt',
                "trust": True,
                "charge": True,
            }
        },
    }
    (own / "mine.yaml").write_text(json.dumps(settings))
    return directory, own, run_lab(directory, own)


def run_lab(directory, own, *arguments, target="predict_models", **variables):
    """What a run prints."""
    command = ["snakemake", "--workflow-profile", "none", "--cores", "1", target, *arguments]
    command += ["--configfile", str(own / "mine.yaml")]
    variables = {"HOME": str(own), **variables}
    done = subprocess.run(command, cwd=directory, env=environment() | variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_calculator_file_beside_the_settings_predicts_ions(lab):
    directory, _, said = lab
    assert "own: 10 structures, none excluded; runs in the environment of the workflow, as none is named" in said
    for name in ("train", "test"):
        frames = Frames.load(directory / f"results/lab/frames/{name}.h5")
        made = Predictions.load(directory / f"results/lab/models/external/own/{name}.h5", frames)
        assert sorted(set(frames.charge)) == [0, 1]
        for k in range(len(frames)):
            here = Structure.of(frames, k)
            assert made.ok[k] == (len(here.numbers) != 3)
            if made.ok[k]:
                expected = -3.0 * stiffness(here.charge, here.multiplicity) * here.positions
                np.testing.assert_allclose(
                    made.forces[0, frames.offsets[k] : frames.offsets[k + 1]], expected, atol=1e-9
                )
    reasons = read_table(directory / "results/lab/failures/models/own_test.csv")["reason"]
    assert reasons.tolist() == ["AssertionError: no water"] * 2


def test_what_a_model_is_made_from_predicts_again_and_nothing_else_does(lab):
    directory, own, _ = lab
    for name, text, expected in (
        ("notes.py", "# an edit of another file\n", False),
        ("w 1.txt", "4.0", True),
        ("beside.py", "FACTOR = 2.5\n", True),
    ):
        before = (own / name).read_text()
        (own / name).write_text(text)
        assert ("predict_model " in run_lab(directory, own, "-n")) == expected, name
        (own / name).write_text(before)


def test_a_module_on_the_users_path_is_found_and_followed(lab, tmp_path):
    directory, own, _ = lab
    written(tmp_path, "from mine import net\n\n\nclass C(Spring):\n    pass\n", "mine/calc.py")
    (tmp_path / "mine/net.py").write_text("")
    settings = json.loads((own / "mine.yaml").read_text())
    settings["models"] = {"other": {"title": "other", "family": "ase", "calculator": "mine.calc:C", "charge": True}}
    (own / "mine.yaml").write_text(json.dumps(settings))
    asked = {"target": "results/lab/models/external/other/train.h5", "PYTHONPATH": str(tmp_path)}
    run_lab(directory, own, **asked)
    assert (directory / asked["target"]).exists()
    (tmp_path / "mine/net.py").write_text("x = 1\n")
    assert "predict_model " in run_lab(directory, own, "-n", **asked)


def test_what_a_calculator_is_made_from(tmp_path):
    """Files that its arguments name, at any depth, and its code, but for the folder that it writes into."""
    path = written(tmp_path, "from pkg.a import x\nimport c, os, numpy\n\n\nclass C(Spring):\n    pass\n")
    for name, text in {
        "pkg/__init__.py": "",
        "pkg/a.py": "from . import b\nfrom .sub.d import y\nx = 1\n",
        "pkg/b.py": "",
        "pkg/sub/d.py": "y = 1\n",
        "pkg/unused.py": "",
        "c.py": "def broken(:\n",
        "weights/1.bin": "",
        "weights/deep/2.bin": "",
        "run/out.txt": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    inside = lambda files: sorted(os.path.relpath(file, tmp_path) for file in files)
    code = ["c.py", "calc.py", "pkg/__init__.py", "pkg/a.py", "pkg/b.py", "pkg/sub/d.py"]
    assert inside(sources.beside(path, [tmp_path])) == code
    assert sources.module_file("pkg.a", [tmp_path / "run", tmp_path]) == tmp_path / "pkg/a.py"
    named = {"model": [{"file": f"{tmp_path}/c.py"}, f"{tmp_path}/weights", "small", 3], "directory": f"{tmp_path}/run"}
    assert inside(files_in(named)) == ["c.py", "weights/1.bin", "weights/deep/2.bin"]


def test_paths_of_an_entry_are_expanded_and_words_are_not(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(ROOT)
    for name in ("calc.py", "w.pt", "small"):
        (tmp_path / name).touch()
    keys = {"calculator": "calc.py:C", "checkpoint": "~/w.pt", "trust": True}
    keys["arguments"] = {"model": "small", "path": "w.pt", "list": ["~/none.pt", "{checkpoint}"], "n": 1}
    own = {"m": {"title": "m", "family": "ase", **keys}}
    schema = ROOT / "workflow/schemas/models.schema.yaml"
    entry = Registry(ROOT / "config/models.yaml", schema, own, lambda name, key: tmp_path).entry("m")
    assert entry["calculator"] == f"{tmp_path}/calc.py:C" and entry["checkpoint"] == f"{tmp_path}/w.pt"
    expected = {"model": "small", "path": f"{tmp_path}/w.pt", "list": [f"{tmp_path}/none.pt", "{checkpoint}"], "n": 1}
    assert entry["arguments"] == expected and entry["environment"] is None

"""The scripts of strategies, variants, conformers and ablations, from structures to tables, on springs for labels."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms

import mlipshift
from mlipshift.base.errors import UserError
from mlipshift.base.frames import Frames, Labels
from mlipshift.base.predictions import Predictions
from mlipshift.base.tables import read_table
from mlipshift.base.timing import Timing
from mlipshift.catalogue.adaptation import Settings
from mlipshift.catalogue.methods import prior_calls
from mlipshift.catalogue.strategies import STRATEGIES
from mlipshift.data import augmentation
from mlipshift.evaluate.ablations import MODELS
from mlipshift.learn.calculator import frames_of
from mlipshift.learn.potential import Potential
from mlipshift.mitigate import adaptation
from mlipshift.run import sources

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
ARCHITECTURE = {"features": 8, "blocks": 1, "radial": 6, "cutoff": 4.0}
FIT = {"steps": 15, "batch": 4, "learning_rate": 3e-3, "weight_decay": 0.0, "energy_weight": 0.1, "average": 0.9}
TTT = {"steps": 3, "learning_rate": 1e-3, "record": [1, 2], "batch": 4}


def script(name):
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def springs(frames, constant, level):
    """Harmonic springs between all pairs."""
    results = []
    for k in range(len(frames)):
        x = frames[k][1]
        d = x[:, None] - x[None]
        results.append((constant / 4 * (d**2).sum(), -constant * d.sum(1)))
    return Labels.build(frames, results, level)


def molecules(group, count, geometries, elements, rng):
    rows = []
    for m in range(count):
        n = int(rng.integers(2, 5))
        numbers = rng.choice(elements, n)
        for g in range(geometries):
            rows.append(
                {"id": f"{group}-{m}-{g}", "group": group, "molecule": f"{group}-{m}", "numbers": numbers}
                | {"positions": rng.normal(size=(n, 3)), "charge": 0, "multiplicity": 1}
            )
    return rows


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Folder of a run: frames, labels, and models of every kind of strategy, made by the scripts."""
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    train = Frames.build(molecules("train", 6, 2, [1, 8], rng))
    test = Frames.build(
        [
            row
            for group, elements in (("id_test", [1, 8]), ("val_new", [1, 9]), ("ood_new", [1, 9]), ("ood_big", [1, 8]))
            for row in molecules(group, 2, 4, elements, rng)
        ]
    )
    train.save(folder / "train.h5")
    test.save(folder / "test.h5")
    Frames.build([]).save(folder / "unlabelled_input.h5")
    augment = script("augment")
    common = {"copies": 2, "sigma": 0.05, "seed": 0, "groups": None, "pool": 0}
    made = lambda name, source, **options: augment.main(
        SimpleNamespace(device="cpu", **common | options, frames=source, output=folder / f"{name}.h5")
    )
    made("pretrain", [folder / "train.h5"])
    made("pool", [folder / "test.h5"], pool=2)
    made("copies", [folder / "test.h5"])
    made("unlabelled", [folder / "test.h5", folder / "unlabelled_input.h5"], groups=["unlabelled", "val_new"])
    for name in ("pretrain", "test", "pool", "copies", "unlabelled"):
        springs(Frames.load(folder / f"{name}.h5"), 0.8, "prior").save(folder / f"{name}_prior.h5")
    for name in ("train", "test"):
        springs(Frames.load(folder / f"{name}.h5"), 1.0, "reference").save(folder / f"{name}_reference.h5")
    trainer = script("train_model")
    for strategy in ["pretrain", "supervised", "delta", "joint", "probe", "delta_joint"] + [
        "pretrain_broad",
        "joint_broad",
        "pretrain_transductive",
        "joint_transductive",
    ]:
        kind = STRATEGIES[strategy]
        sets = ["pretrain", *([kind.extra] if kind.extra else [])]
        needs_prior = "prior" in kind.heads or kind.difference
        trainer.main(
            SimpleNamespace(
                device="cpu",
                strategy=strategy,
                seed=0,
                architecture=ARCHITECTURE,
                settings=FIT,
                frames=folder / "train.h5",
                reference=folder / "train_reference.h5" if "reference" in kind.heads else None,
                prior_frames=[folder / f"{s}.h5" for s in sets] if needs_prior else None,
                prior=[folder / f"{s}_prior.h5" for s in sets] if needs_prior else None,
                base=folder / kind.base if kind.base else None,
                output=folder / strategy,
                timing=folder / f"{strategy}_train.json",
            )
        )
    return folder


def predicted(run, strategy):
    path = run / f"{strategy}_0.h5"
    arguments = {"model": run / strategy, "frames": run / "test.h5", "prior": run / "test_prior.h5"}
    script("predict").main(SimpleNamespace(device="cpu", **arguments, output=path, timing=run / f"{strategy}_0.json"))
    return path


def adapted(run, strategy, name, mode="structure", **settings):
    path = run / f"{name}.h5"
    held = settings.get("stop") == "held_out"
    script("adapt_model").main(
        SimpleNamespace(
            device="cpu",
            model=run / strategy,
            frames=run / "test.h5",
            prior=run / "test_prior.h5",
            mode=mode,
            settings=TTT | settings,
            seed=0,
            copies=run / "copies.h5" if held else None,
            copies_prior=run / "copies_prior.h5" if held else None,
            method=name,
            shard=None,
            output=path,
            failures=run / f"{name}.csv",
            timing=run / f"{name}.json",
        )
    )
    return path


def conformers(run, strategy, scheme, **settings):
    paths = [run / f"{scheme}_{count}.h5" for count in (1, 2)]
    script("adapt_conformers").main(
        SimpleNamespace(
            device="cpu",
            model=run / strategy,
            frames=run / "test.h5",
            pool=run / "pool.h5",
            prior=run / "pool_prior.h5",
            pseudo=run / "pseudo.h5" if settings.get("pseudo_weight") else None,
            settings=TTT | settings,
            counts=[1, 2],
            copies=1,
            scheme=scheme,
            output=paths,
            timing=run / f"conformers_{scheme}.json",
        )
    )
    return paths


@pytest.fixture(scope="module")
def pseudo(run):
    path = run / "pseudo.h5"
    files = {"frames": run / "pool.h5", "prior": run / "pool_prior.h5"}
    script("label_pseudo").main(SimpleNamespace(device="cpu", models=[run / "delta"], weight=1.0, **files, output=path))
    return path


def corrected(run, strategy, mode="structure"):
    """Predictions of a corrected model, and a prior label fewer."""
    path = run / f"{strategy}_corrected_{mode}.h5"
    script("correct_residual").main(
        SimpleNamespace(
            device="cpu",
            model=run / strategy,
            frames=run / "test.h5",
            prior=run / "fewer_prior.h5",
            mode=mode,
            weight=1.0,
            seed=0,
            output=path,
            failures=run / f"{strategy}_corrected_{mode}.csv",
            timing=run / f"{strategy}_corrected_{mode}.json",
        )
    )
    return path


def test_broad_pretraining_knows_the_elements_of_the_unlabelled_structures(run):
    for strategy, known in (("joint", False), ("joint_broad", True), ("joint_transductive", True)):
        shift = Potential.load(run / strategy).network.shift
        assert bool(shift[1, 9] != 0) == known, strategy
        assert shift[0, 9] == 0


def test_a_delta_model_with_a_prior_head_predicts_and_adapts_around_the_prior(run):
    frames = Frames.load(run / "test.h5")
    prior = Labels.load(run / "test_prior.h5", frames)
    before = Predictions.load(predicted(run, "delta_joint"), frames)
    after = Predictions.load(adapted(run, "delta_joint", "delta_joint_ttt"), frames)
    # zero steps are the unadapted prediction, prior included
    adapts = ~frames.of_kind("val_")
    np.testing.assert_array_equal(after.ok, adapts)  # the validation groups are for the choice of settings
    rows = np.repeat(adapts, frames.sizes)
    np.testing.assert_allclose(after.forces[0][rows], before.forces[0][rows], atol=1e-5)
    assert np.abs(after.forces[-1] - after.forces[0])[rows].max() > 1e-6
    assert np.abs(after.forces[0] - prior.forces)[rows].mean() < np.abs(prior.forces).mean()
    with pytest.raises(UserError, match="prior call per prediction"):
        conformers(run, "delta_joint", "x")
    with pytest.raises(UserError, match="learnt by supervised, which trains no prior head"):
        adapted(run, "supervised", "x")


@pytest.mark.parametrize("strategy", ["joint", "delta"])
def test_the_calculator_gives_the_predictions_of_the_workflow(run, strategy):
    frames = Frames.load(run / "test.h5")
    made = Predictions.load(predicted(run, strategy), frames)

    def prior(atoms):
        labels = springs(frames_of([atoms]), 0.8, "prior")
        return labels.energy[0], labels.forces

    calculator = mlipshift.Calculator(run / strategy, prior=prior)
    for k in range(0, len(frames), 5):
        atoms = Atoms(*frames[k][:2], calculator=calculator)
        rows = slice(frames.offsets[k], frames.offsets[k + 1])
        assert atoms.get_potential_energy() == pytest.approx(made.energy[0, k], abs=1e-5)
        np.testing.assert_allclose(atoms.get_forces(), made.forces[0, rows], atol=1e-6)


def test_a_molecule_adapted_for_the_calculator_is_the_one_of_the_workflow(run):
    frames = Frames.load(run / "test.h5")
    made = Predictions.load(adapted(run, "joint", "joint_one_molecule", mode="molecule"), frames)
    one = np.flatnonzero(frames.molecule == "ood_new-0")
    prior = Labels.load(run / "test_prior.h5", frames).take(one)
    atoms = Atoms(*frames[one[-1]][:2])
    atoms.calc = mlipshift.Calculator(
        adaptation.adapt_potential(Potential.load(run / "joint"), frames.take(one), prior, Settings.of(TTT))
    )
    rows = slice(frames.offsets[one[-1]], frames.offsets[one[-1] + 1])
    np.testing.assert_allclose(atoms.get_forces(), made.forces[-1, rows], atol=1e-6)
    assert np.abs(made.forces[-1, rows] - made.forces[0, rows]).max() > 1e-5


def test_a_prediction_needs_no_module_of_the_adaptations():
    library = sources.library_of(SCRIPTS / "predict.py", SCRIPTS.parent)
    assert library and not [path for path in library if "/mitigate/" in path or path.endswith("training.py")]


def test_correction_and_the_mean_with_delta_learning_from_labels_to_predictions(run):
    frames = Frames.load(run / "test.h5")
    prior, none = Labels.load(run / "test_prior.h5", frames), [3, int(np.flatnonzero(frames.of_kind("val_"))[0])]
    rows = [None if k in none else (prior.energy[k], prior.forces_of(k)) for k in range(len(frames))]
    Labels.build(frames, rows, "prior").save(run / "fewer_prior.h5")
    found = Predictions.load(corrected(run, "joint"), frames)
    assert found.method == "joint_corrected" and np.flatnonzero(~found.ok).tolist() == sorted(none)
    reference = Labels.load(run / "test_reference.h5", frames)
    error = lambda forces: np.nanmean(np.abs(forces - reference.forces))
    assert error(found.forces[0]) < error(Predictions.load(predicted(run, "joint"), frames).forces[0])
    failures = read_table(run / "joint_corrected_structure.csv")
    # the validation groups choose settings, and what fails there is left out of no comparison
    assert failures[["id", "stage", "reason"]].to_numpy().tolist() == [
        [frames.ids[3], "correct:structure", "no prior label to correct by"]
    ]
    placebo = Predictions.load(corrected(run, "joint", "placebo"), frames)
    assert placebo.method == "joint_corrected_placebo" and not placebo.ok[frames.of_kind("val_")].any()
    assert error(placebo.forces[0]) > error(found.forces[0])
    with pytest.raises(UserError, match="needs a reference and a prior head; take freeze or joint"):
        corrected(run, "supervised")

    members = [run / "joint_corrected_structure.h5", predicted(run, "delta")]
    times = [run / "joint_corrected_structure.json", run / "delta_0.json"]
    made = {"output": run / "mean.h5", "timing": run / "mean.json", "method": "joint_corrected_delta"}
    script("average_methods").main(SimpleNamespace(frames=run / "test.h5", predictions=members, timings=times, **made))
    mean = Predictions.load(run / "mean.h5", frames)
    two = [Predictions.load(path, frames).forces[-1] for path in members]
    np.testing.assert_allclose(mean.forces[0], np.mean(two, axis=0))
    assert mean.method == "joint_corrected_delta" and mean.ok.tolist() == found.ok.tolist()
    each = [Timing.read(path).each for path in times]
    assert Timing.read(run / "mean.json").each == pytest.approx(sum(each))


def test_pseudo_labels_are_the_prior_and_what_was_learnt(run, pseudo):
    frames = Frames.load(run / "pool.h5")
    labels, prior = Labels.load(pseudo, frames), Labels.load(run / "pool_prior.h5", frames)
    assert labels.ok.all() and labels.level == "prior + delta"
    assert 0 < np.abs(labels.forces - prior.forces).mean() < np.abs(prior.forces).mean()


def test_conformers_predict_what_they_were_not_adapted_on(run, pseudo):
    frames, pool = Frames.load(run / "test.h5"), Frames.load(run / "pool.h5")
    distil = {"prior_weight": 0.0, "pseudo_weight": 1.0, "heads": ["reference"]}
    one, two = (Predictions.load(p, frames) for p in conformers(run, "joint", "joint_distil", **distil))
    unseen = ~np.isin(frames.ids.astype(str), pool.ids.astype(str)) & ~frames.of_kind("val_")
    np.testing.assert_array_equal(one.ok, unseen)
    np.testing.assert_array_equal(two.ok, unseen)
    assert unseen.sum() == 12
    assert one.method == "joint_distil_1" and not np.allclose(one.forces[-1], two.forces[-1], equal_nan=True)


def test_tables_of_variants_conformers_and_the_decision(run, pseudo):
    base = [predicted(run, s) for s in ("supervised", "delta", "joint", "joint_broad")]
    variants = [
        adapted(run, "joint", "joint_set", mode="set"),
        adapted(run, "joint", "joint_molecule", mode="molecule"),
        adapted(run, "joint", "joint_all", heads=["prior"], predict="prior"),
        adapted(run, "joint", "joint_held", stop="held_out"),
        adapted(run, "joint", "joint_ttt_corrected", predict="corrected"),
        adapted(run, "joint", "joint_published", preset="published", steps=3),
    ]
    curve = conformers(run, "joint", "joint_ttt") + conformers(
        run, "supervised", "supervised_distil", prior_weight=0.0, pseudo_weight=1.0, heads=["reference"]
    )
    tables = {f"{n}_table": run / f"{n}.csv" for n in ("variants", "paired", "conformers", "decision", "methods")}
    strategies = dict.fromkeys([p.stem for p in variants] + ["joint_ttt"], "joint")
    script("evaluate_variants").main(
        SimpleNamespace(
            device="cpu",
            frames=run / "test.h5",
            reference=run / "test_reference.h5",
            prior=run / "test_prior.h5",
            base_timings=[run / f"{s}_0.json" for s in ("supervised", "delta", "joint")],
            predictions=base + variants,
            conformers=curve,
            conformer_timings=[run / "conformers_joint_ttt.json", run / "conformers_supervised_distil.json"],
            strategies=strategies | {"supervised_distil": "supervised"},
            prior_calls=prior_calls(),
            copies=1,
            decision={"predictions": [1, 1000], "prior_seconds": [0.01, 10], "budgets": [0.1, None]},
            resamples=50,
            seed=0,
            **tables,
        )
    )
    paired, found, choice = (read_table(tables[f"{n}_table"]) for n in ("paired", "conformers", "decision"))
    assert {p.stem for p in variants} == set(paired.method)
    assert set(paired[paired.method == "joint_set"].baseline) == {"joint", "supervised", "prior", "delta"}
    summary = read_table(tables["variants_table"])
    assert {p.stem for p in variants} | {"joint_broad", "supervised", "prior"} <= set(summary.method)
    assert not summary.method.str.match(r"joint_ttt_\d").any()
    common = found[found.group == "ood_common"]
    assert set(common.scheme) == {"joint_ttt", "supervised_distil"} and set(common.geometries) == {1, 2}
    assert set(common[common.geometries == 2].prior_calls_per_molecule) == {4}
    # 2 groups of 2 molecules of 4 geometries, half of them unseen
    assert set(common.n_structures) == {8} and set(common.n_molecules) == {4}
    assert len(choice) == 8 and choice[choice.budget_seconds_per_prediction.isna()].choice.notna().all()
    methods = read_table(tables["methods_table"])
    assert set(choice.choice.dropna()) <= set(methods.method) and (methods.n_structures == 8).all()
    assert (methods.ci_low_meV_per_A <= methods.error_meV_per_A).all()
    assert (methods.ci_high_meV_per_A >= methods.error_meV_per_A).all()
    assert set(methods[methods.prior_calls_per_adaptation == 4].method) == {"joint_ttt (2)", "supervised_distil (2)"}


def test_an_ablation_point_from_labels_to_its_table(run):
    methods = [*MODELS]
    for point, noise in (("clean", 0.0), ("noisy", 1.0)):
        folder = run / "ablations" / point / "seed0"
        folder.mkdir(parents=True)
        script("ablate").main(
            SimpleNamespace(
                device="cpu",
                train=run / "train.h5",
                reference=run / "train_reference.h5",
                frames=run / "test.h5",
                pretrain=run / "pretrain.h5",
                prior=run / "pretrain_prior.h5",
                test_prior=run / "test_prior.h5",
                point={"noise": noise, "fraction": 0.5},
                architecture=ARCHITECTURE,
                training=dict.fromkeys(["pretrain", "supervised", "delta", "joint"], FIT),
                ttt=TTT,
                weight=1.0,
                seed=0,
                output=[folder / f"{m}.h5" for m in methods],
            )
        )
    points = {
        "clean": {"prior": "a", "noise": 0.0, "fraction": 0.5},
        "noisy": {"prior": "a", "noise": 1.0, "fraction": 0.5},
    }
    paths = [run / "ablations" / p / "seed0" / f"{m}.h5" for p in points for m in methods]
    files = {"frames": run / "test.h5", "reference": run / "test_reference.h5", "output": run / "ablations.csv"}
    files["bins"] = run / "ablation_bins.csv"
    script("evaluate_ablations").main(
        SimpleNamespace(device="cpu", **files, predictions=paths, points=points, resamples=50, seed=0)
    )
    bins = read_table(files["bins"])
    assert bins.groupby(["point", "method"]).n_structures.sum().loc[("clean", "joint_ttt")] == 16
    table = read_table(run / "ablations.csv").set_index(["point", "group"])
    assert table.loc[("noisy", "ood_all"), "prior_meV_per_A"] > table.loc[("clean", "ood_all"), "prior_meV_per_A"]
    assert table.loc[("clean", "ood_all"), "n_structures"] == 16


def test_noise_leaves_no_net_force(run):
    labels = Labels.load(run / "test_prior.h5")
    noisy = script("ablate").noisy(labels, 0.5, 3)
    assert np.abs(np.add.reduceat(noisy.forces, noisy.offsets[:-1])).max() < 1e-9
    assert np.std(noisy.forces - labels.forces) / np.std(labels.forces) == pytest.approx(0.5, rel=0.4)


def test_halves_of_molecules(run):
    frames, pool = Frames.load(run / "test.h5"), Frames.load(run / "pool.h5")
    plain = [augmentation.source_of(n)[1] == 0 for n in pool.ids]
    assert sum(plain) == len(frames) // 2 and len(pool) == 3 * sum(plain)
    assert len(augmentation.first(pool, 2, 1)) == 2 * sum(plain)
    assert len(augmentation.first(pool, 3, 1)) == 0  # no molecule has three

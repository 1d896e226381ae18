# Dynamics of molecules that no model was trained on. Reference labels of test structures are no input but of evaluation.

SIMULATED = config["simulate"]
MOLECULES, RUNS = SIMULATED["molecules"], SIMULATED["runs"]
# dynamics are made with the models of the first seed
MOVER_SEED = SEEDS[0]
TRAJECTORIES = "<results>/simulate/trajectories/{run}/{molecule}"


def check_simulated():
    """One line for what section simulate names and this run does not have."""
    for group in {*MOLECULES, *SIMULATED["reference"]}:
        if group not in config["data"]["files"]:
            refuse(f"simulate: {group} is no group of data.files; name one that is")
    for group, name in SIMULATED["reference"].items():
        if name not in config["import"]:
            refuse(f"simulate.reference.{group}: {name} is no recipe of section import")
    if MOLECULES and not RUNS:
        refuse("simulate.runs is empty; name a run, or no molecules")
    for name, run in RUNS.items():
        check_run(f"simulate.runs.{name}", run)


def check_run(where, run):
    """One line for a run that cannot be made."""
    scheme = SCHEMES.get(run["scheme"])
    if run["scheme"] and (not scheme or scheme["strategy"] != run["model"]):
        refuse(
            f"{where}.scheme: {run['scheme']} is no adaptation of {run['model']} in conformers.schemes"
        )
    if run["on_the_fly"] and not scheme:
        refuse(f"{where}: an adaptation on the fly needs a scheme; give one")
    if (run["on_the_fly"] or run["forces"]) and scheme and scheme["pseudo_weight"]:
        refuse(
            f"{where}: {run['scheme']} learns pseudo-labels, which there are only for the models of this run before"
            " the dynamics; take another scheme"
        )
    if run["corrected"] and run["model"] not in ("freeze", "joint", "joint_broad"):
        refuse(
            f"{where}: a residual correction is for models with two heads; take freeze or joint"
        )
    if run["corrected"] and scheme:
        refuse(f"{where}: is corrected and adapted; make two runs of it")
    if run["forces"] and "forces" not in ARCHITECTURE:
        refuse(
            f"{where}.forces: the backbone {ARCHITECTURE['backbone']} has no other forces"
        )


check_simulated()


def own_forces(run):
    """Whether a run takes a model of the strategies as it is trained for all else."""
    return run["forces"] in (None, ARCHITECTURE.get("forces"))


def mover_key(run):
    """Name of the adapted model of a run, the same one for runs that differ in their dynamics alone."""
    other = "" if own_forces(run) else f"_{run['forces']}"
    return f"{run['scheme']}_{run['geometries']}{other}"


MOVERS = {mover_key(run): run for run in RUNS.values() if run["scheme"]}


def trained_mover(wildcards):
    """Input function: the trained model of a run, or of a model that is adapted; nothing for the prior."""
    run = (
        MOVERS[wildcards.mover] if "mover" in wildcards.keys() else RUNS[wildcards.run]
    )
    if run["model"] == "prior":
        return []
    folder = "models" if own_forces(run) else f"simulate/{run['forces']}"
    return f"{RESULTS}/{folder}/{run['model']}/seed{MOVER_SEED}/weights.pt"


def mover(wildcards):
    """Input function: the model that moves a molecule; nothing for the prior."""
    run = RUNS[wildcards.run]
    if run["scheme"] and not run["on_the_fly"]:
        return f"{RESULTS}/simulate/adapted/{mover_key(run)}/{wildcards.molecule}/weights.pt"
    return trained_mover(wildcards)


def settings_of_simulation(wildcards):
    """Param function: what a run depends on beside its own entry, as one line of JSON."""
    run = RUNS[wildcards.run]
    names = "replicas duration_ps timestep_fs temperature_K friction_per_ps record explosion seed look rise most"
    scheme = SCHEMES[run["scheme"]] if run["on_the_fly"] else None
    return as_json(
        {name: SIMULATED[name] for name in names.split()}
        | {
            "prior": {
                "method": config["prior"]["method"],
                "library": config["prior"]["engine"],
                "accuracy": config["prior"]["accuracy"],
            },
            "weight": config["correction"]["weight"],
            "copies": config["conformers"]["rattled_copies"],
            "adaptation": json.loads(adaptation_settings(scheme)) if scheme else None,
        }
    )


def prior_interpreter():
    """Python of the process that the prior answers in: not that of a conda environment with torch, which has no engine."""
    deployed = {str(m) for m in workflow.deployment_settings.deployment_method}
    return sys.executable if "conda" in deployed else "python"


def other_inputs(wildcards):
    """Input function: what a model with the other kind of forces learns from, as strategy_inputs."""
    inputs = strategy_inputs(wildcards)
    if "base" in inputs:
        base = KINDS[wildcards.strategy].base
        inputs["base"] = (
            f"<results>/simulate/{wildcards.forces}/{base}/seed{wildcards.seed}/weights.pt"
        )
    return inputs


use rule train_model as train_other_forces with:
    input:
        unpack(other_inputs),
        **code("train_model", BACKBONE),
        frames=rules.curate.output.train,
    output:
        weights="<results>/simulate/{forces}/{strategy}/seed{seed}/weights.pt",
        card="<results>/simulate/{forces}/{strategy}/seed{seed}/model.json",
        timing="<results>/timings/simulate/train_{forces}_{strategy}_{seed}.json",
    log:
        "<logs>/train/{forces}_{strategy}_{seed}.log",
    benchmark:
        "<benchmarks>/train/{forces}_{strategy}_{seed}.tsv"
    params:
        architecture=lambda wildcards: as_json(
            ARCHITECTURE | {"forces": wildcards.forces}
        ),
    message:
        "Train strategy {wildcards.strategy} with {wildcards.forces} forces, seed {wildcards.seed}."


rule adapt_molecule:
    input:
        **code("adapt_molecule", BACKBONE),
        model=trained_mover,
        pool=SETS["pool"],
        prior="<results>/prior/pool.h5",
        pseudo=lambda wildcards: (
            [
                "<results>/pseudo/{teacher}/seed{0}.h5".format(
                    MOVER_SEED, **SCHEMES[MOVERS[wildcards.mover]["scheme"]]
                )
            ]
            if SCHEMES[MOVERS[wildcards.mover]["scheme"]]["pseudo_weight"]
            else []
        ),
    output:
        weights="<results>/simulate/adapted/{mover}/{molecule}/weights.pt",
        card="<results>/simulate/adapted/{mover}/{molecule}/model.json",
        timing="<results>/timings/simulate/adapt_{mover}_{molecule}.json",
    log:
        "<logs>/adapt_molecule/{mover}_{molecule}.log",
    benchmark:
        "<benchmarks>/adapt_molecule/{mover}_{molecule}.tsv"
    conda:
        NETWORK_ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing("1h"),
    params:
        python=lambda wildcards: interpreter(NETWORK),
        device=config["model"]["device"],
        directory=subpath(input.model, parent=True),
        output=subpath(output.weights, parent=True),
        geometries=lambda wildcards: MOVERS[wildcards.mover]["geometries"],
        copies=config["conformers"]["rattled_copies"],
        settings=lambda wildcards: adaptation_settings(
            SCHEMES[MOVERS[wildcards.mover]["scheme"]]
        ),
        pseudo=lambda wildcards, input: (
            options(pseudo=input.pseudo) if input.pseudo else ""
        ),
    message:
        "Adapt a model to {wildcards.molecule}: {wildcards.mover}."
    shell:
        "{params.python:q} {input.script:q} --model {params.directory:q} --device {params.device:q}"
        " --pool {input.pool:q} --prior {input.prior:q} {params.pseudo} --molecule {wildcards.molecule:q}"
        " --geometries {params.geometries} --copies {params.copies} --settings {params.settings:q}"
        " --output {params.output:q} --timing {output.timing:q} --log {log:q} >> {log:q} 2>&1"


rule simulate_molecule:
    input:
        **code("simulate_molecule", BACKBONE, f"prior/engines/{ENGINE}"),
        model=mover,
        frames=rules.curate.output.test,
        pool=SETS["pool"],
        prior="<results>/prior/pool.h5",
    output:
        trajectory=f"{TRAJECTORIES}.h5",
        timing="<results>/timings/simulate/{run}_{molecule}.json",
    log:
        "<logs>/simulate/{run}_{molecule}.log",
    benchmark:
        "<benchmarks>/simulate/{run}_{molecule}.tsv"
    conda:
        NETWORK_ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing("8h"),
    params:
        python=lambda wildcards: interpreter(NETWORK),
        device=config["model"]["device"],
        run=lambda wildcards: as_json(RUNS[wildcards.run]),
        settings=settings_of_simulation,
        model=lambda wildcards, input: (
            options(model=Path(input.model).parent) if input.model else ""
        ),
        prior_python=lambda wildcards: prior_interpreter(),
    message:
        "Dynamics of {wildcards.molecule}, run {wildcards.run}."
    shell:
        "{params.python:q} {input.script:q} --run {params.run:q} --settings {params.settings:q} {params.model}"
        " --device {params.device:q} --frames {input.frames:q} --pool {input.pool:q} --prior {input.prior:q}"
        " --prior-python {params.prior_python:q} --molecule {wildcards.molecule:q}"
        " --output {output.trajectory:q} --timing {output.timing:q} --log {log:q} >> {log:q} 2>&1"


def predicted_by(run, molecule):
    """Predictions of the test structures by what moves a molecule; nothing for the prior, whose labels there are."""
    entry = RUNS[run]
    if entry["model"] == "prior":
        return []
    if entry["scheme"]:
        return [f"<results>/simulate/adapted/{mover_key(entry)}/{molecule}/test.h5"]
    if not own_forces(entry):
        return [
            f"<results>/simulate/{entry['forces']}/{entry['model']}/seed{MOVER_SEED}/test.h5"
        ]
    folder = "correct/structure" if entry["corrected"] else "predictions"
    return [f"<results>/{folder}/{entry['model']}/seed{MOVER_SEED}.h5"]


use rule predict as predict_adapted with:
    input:
        **code("predict", BACKBONE),
        model=rules.adapt_molecule.output.weights,
        frames=rules.curate.output.test,
        prior=[],
    output:
        predictions="<results>/simulate/adapted/{mover}/{molecule}/test.h5",
        timing="<results>/timings/simulate/predict_{mover}_{molecule}.json",
    log:
        "<logs>/predict/{mover}_{molecule}.log",
    benchmark:
        "<benchmarks>/predict/{mover}_{molecule}.tsv"
    message:
        "Predict the test structures with the model {wildcards.mover}, adapted to {wildcards.molecule}."


use rule predict as predict_other_forces with:
    input:
        **code("predict", BACKBONE),
        model=rules.train_other_forces.output.weights,
        frames=rules.curate.output.test,
        prior=lambda wildcards: (
            ["<results>/prior/test.h5"] if KINDS[wildcards.strategy].difference else []
        ),
    output:
        predictions="<results>/simulate/{forces}/{strategy}/seed{seed}/test.h5",
        timing="<results>/timings/simulate/predict_{forces}_{strategy}_{seed}.json",
    log:
        "<logs>/predict/{forces}_{strategy}_{seed}.log",
    benchmark:
        "<benchmarks>/predict/{forces}_{strategy}_{seed}.tsv"
    message:
        "Predict the test structures with {wildcards.strategy} and {wildcards.forces} forces, seed {wildcards.seed}."


PAIRS = [(molecule, run) for molecule in MOLECULES for run in RUNS]


rule evaluate_dynamics:
    input:
        **code("evaluate_dynamics"),
        frames=rules.curate.output.test,
        pool=SETS["pool"],
        labels=rules.curate.output.test_reference,
        prior="<results>/prior/test.h5",
        reference=[
            f"<results>/import/{name}.h5" for name in SIMULATED["reference"].values()
        ],
        trajectories=[
            TRAJECTORIES.format(molecule=molecule, run=run) + ".h5"
            for molecule, run in PAIRS
        ],
        timings=[
            f"<results>/timings/simulate/{run}_{molecule}.json"
            for molecule, run in PAIRS
        ],
        predictions=[
            path for molecule, run in PAIRS for path in predicted_by(run, molecule)
        ],
    output:
        **written("evaluate_dynamics"),
    log:
        "<logs>/evaluate_dynamics.log",
    benchmark:
        "<benchmarks>/evaluate_dynamics.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("1h"),
    params:
        directory=subpath(output.dynamics, parent=True),
        # which file is whose
        runs=as_json(
            [
                {
                    "molecule": molecule,
                    "run": run,
                    "entry": RUNS[run],
                    "forces": (
                        "gradient"
                        if RUNS[run]["model"] == "prior"
                        else RUNS[run]["forces"]
                        or ARCHITECTURE.get("forces", "gradient")
                    ),
                    "adapted_on": (
                        RUNS[run]["geometries"]
                        * (1 + config["conformers"]["rattled_copies"])
                        if RUNS[run]["scheme"]
                        else 0
                    ),
                    "predictions": len(predicted_by(run, molecule)),
                }
                for molecule, run in PAIRS
            ]
        ),
        reference=as_json(list(SIMULATED["reference"])),
    message:
        "What became of the simulated molecules: stable times, h(r), energies, costs."
    shell:
        "python {input.script:q} --runs {params.runs:q} --frames {input.frames:q} --pool {input.pool:q}"
        " --labels {input.labels:q} --prior {input.prior:q}"
        " --reference {input.reference:q} --reference-groups {params.reference:q}"
        " --trajectories {input.trajectories:q} --timings {input.timings:q} --predictions {input.predictions:q}"
        " --costs {output.dynamics_costs:q} --output {params.directory:q} --log {log:q} >> {log:q} 2>&1"

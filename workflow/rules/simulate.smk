# Dynamics of molecules that no model was trained on. Reference labels of test structures are no input but of evaluation.

check_simulated()
# models that are adapted, by the names of their folders
MOVERS = {mover_key(run): run for run in RUNS.values() if run["scheme"]}


use rule train_model as train_other_forces with:
    input:
        unpack(
            lambda wildcards: strategy_inputs(
                wildcards, f"simulate/{wildcards.forces}"
            )
        ),
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
        fitted=rules.fit_prior.output.models if PRIOR_ENVIRONMENT else [],
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
        fitted=lambda wildcards, input: (
            options(fitted=input.fitted) if input.get("fitted") else ""
        ),
    message:
        "Dynamics of {wildcards.molecule}, run {wildcards.run}."
    shell:
        "{params.python:q} {input.script:q} --run {params.run:q} --settings {params.settings:q} {params.model}"
        " --device {params.device:q} --frames {input.frames:q} --pool {input.pool:q} --prior {input.prior:q}"
        " --prior-python {params.prior_python:q} {params.fitted} --molecule {wildcards.molecule:q}"
        " --output {output.trajectory:q} --timing {output.timing:q} --log {log:q} >> {log:q} 2>&1"


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

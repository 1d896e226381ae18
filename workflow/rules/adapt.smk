# Test-time training and distillation. No reference label of a test structure is an input of these rules.


rule adapt_model:
    input:
        **code("adapt_model", BACKBONE),
        model=MODEL,
        frames=rules.curate.output.test,
        prior="<results>/prior/test.h5",
    output:
        predictions="<results>/adapt/{mode}/{strategy}/seed{seed}.h5",
        failures="<results>/failures/adapt_{mode}_{strategy}_{seed}.csv",
        timing="<results>/timings/adapt/{mode}_{strategy}_{seed}.json",
    log:
        "<logs>/adapt/{mode}_{strategy}_{seed}.log",
    benchmark:
        "<benchmarks>/adapt/{mode}_{strategy}_{seed}.tsv"
    conda:
        NETWORK_ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing("2h"),
    params:
        python=lambda wildcards: interpreter(NETWORK),
        device=config["model"]["device"],
        directory=subpath(input.model, parent=True),
        mode=lambda wildcards: wildcards.mode,
        settings=as_json(TTT_SETTINGS),
        copies="",
        method="",
    message:
        "Test-time training, {wildcards.mode} mode, of {wildcards.strategy}, seed {wildcards.seed}."
    shell:
        "{params.python:q} {input.script:q} --model {params.directory:q} --device {params.device:q}"
        " --frames {input.frames:q} --prior {input.prior:q} {params.copies}"
        " --mode {params.mode:q} --settings {params.settings:q} {params.method}"
        " --seed {wildcards.seed} --output {output.predictions:q} --failures {output.failures:q}"
        " --timing {output.timing:q} --log {log:q} >> {log:q} 2>&1"


rule correct_residual:
    input:
        **code("correct_residual", BACKBONE),
        model=MODEL,
        frames=rules.curate.output.test,
        prior="<results>/prior/test.h5",
        delta="<results>/predictions/delta/seed{seed}.h5" if WITH_DELTA else [],
        delta_timing=(
            "<results>/timings/predict/delta_{seed}.json" if WITH_DELTA else []
        ),
    output:
        **(
            {
                "mean": "<results>/correct/{strategy}/seed{seed}_delta.h5",
                "mean_timing": "<results>/timings/correct/{strategy}_corrected_delta_{seed}.json",
            }
            if WITH_DELTA
            else {}
        ),
        predictions="<results>/correct/{strategy}/seed{seed}.h5",
        failures="<results>/failures/correct_{strategy}_{seed}.csv",
        timing="<results>/timings/correct/{strategy}_{seed}.json",
    log:
        "<logs>/correct/{strategy}_{seed}.log",
    benchmark:
        "<benchmarks>/correct/{strategy}_{seed}.tsv"
    conda:
        NETWORK_ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("30m"),
    params:
        python=lambda wildcards: interpreter(NETWORK),
        device=config["model"]["device"],
        directory=subpath(input.model, parent=True),
        weight=config["correction"]["weight"],
        delta=lambda wildcards, input, output: (
            options(
                delta=input.delta,
                delta_timing=input.delta_timing,
                mean=output.mean,
                mean_timing=output.mean_timing,
            )
            if WITH_DELTA
            else ""
        ),
    message:
        "Correct {wildcards.strategy}, seed {wildcards.seed}, by the residual of its prior head."
    shell:
        "{params.python:q} {input.script:q} --model {params.directory:q} --device {params.device:q}"
        " --frames {input.frames:q} --prior {input.prior:q} --weight {params.weight} {params.delta}"
        " --output {output.predictions:q} --failures {output.failures:q} --timing {output.timing:q}"
        " --log {log:q} >> {log:q} 2>&1"


rule label_pseudo:
    input:
        **code("label_pseudo", BACKBONE),
        model="<results>/models/delta/seed{seed}/weights.pt",
        frames=SETS["pool"],
        prior="<results>/prior/pool.h5",
    output:
        "<results>/pseudo/seed{seed}.h5",
    log:
        "<logs>/label_pseudo/{seed}.log",
    benchmark:
        "<benchmarks>/label_pseudo/{seed}.tsv"
    conda:
        NETWORK_ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("30m"),
    params:
        python=lambda wildcards: interpreter(NETWORK),
        device=config["model"]["device"],
        directory=subpath(input.model, parent=True),
    message:
        "Pseudo-labels of the geometries to adapt on, Δ-learning, seed {wildcards.seed}."
    shell:
        "{params.python:q} {input.script:q} --device {params.device:q} --model {params.directory:q}"
        " --frames {input.frames:q} --prior {input.prior:q}"
        " --output {output:q} --log {log:q} >> {log:q} 2>&1"


rule adapt_conformers:
    input:
        **code("adapt_conformers", BACKBONE),
        model=lambda wildcards: MODEL.format(
            strategy=SCHEMES[wildcards.scheme]["strategy"], seed=wildcards.seed
        ),
        frames=rules.curate.output.test,
        pool=SETS["pool"],
        prior="<results>/prior/pool.h5",
        pseudo=lambda wildcards: (
            [f"<results>/pseudo/seed{wildcards.seed}.h5"]
            if SCHEMES[wildcards.scheme]["pseudo_weight"]
            else []
        ),
    output:
        predictions=expand(
            "<results>/conformers/{{scheme}}/seed{{seed}}/{count}.h5", count=COUNTS
        ),
        timing="<results>/timings/conformers/{scheme}_{seed}.json",
    log:
        "<logs>/conformers/{scheme}_{seed}.log",
    benchmark:
        "<benchmarks>/conformers/{scheme}_{seed}.tsv"
    conda:
        NETWORK_ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing("4h"),
    params:
        python=lambda wildcards: interpreter(NETWORK),
        device=config["model"]["device"],
        directory=subpath(input.model, parent=True),
        settings=lambda wildcards: adaptation_settings(SCHEMES[wildcards.scheme]),
        counts=COUNTS,
        copies=config["conformers"]["rattled_copies"],
        pseudo=lambda wildcards, input: (
            options(pseudo=input.pseudo) if input.pseudo else ""
        ),
    message:
        "Adapt {wildcards.scheme} to {params.counts} geometries of every molecule, seed {wildcards.seed}."
    shell:
        "{params.python:q} {input.script:q} --device {params.device:q} --model {params.directory:q}"
        " --frames {input.frames:q} --pool {input.pool:q} --prior {input.prior:q} {params.pseudo}"
        " --settings {params.settings:q} --counts {params.counts:q} --copies {params.copies}"
        " --scheme {wildcards.scheme} --output {output.predictions:q} --timing {output.timing:q}"
        " --log {log:q} >> {log:q} 2>&1"

# Test-time training, residual correction and distillation. No reference label of a test structure is an input of these rules.


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
        shard="",
    message:
        "Test-time training, {wildcards.mode} mode, of {wildcards.strategy}, seed {wildcards.seed}."
    shell:
        "{params.python:q} {input.script:q} --model {params.directory:q} --device {params.device:q}"
        " --frames {input.frames:q} --prior {input.prior:q} {params.copies}"
        " --mode {params.mode:q} --settings {params.settings:q} {params.method}"
        " {params.shard} --seed {wildcards.seed} --output {output.predictions:q} --failures {output.failures:q}"
        " --timing {output.timing:q} --log {log:q} >> {log:q} 2>&1"


if config["ttt"]["shards"] > 1:

    ruleorder: gather_adapted > adapt_model

    use rule adapt_model as adapt_model_shard with:
        output:
            predictions="<results>/adapt/shards/{mode}_{strategy}_{seed}/{scatteritem}.h5",
            failures="<results>/adapt/shards/{mode}_{strategy}_{seed}/{scatteritem}.csv",
            timing="<results>/adapt/shards/{mode}_{strategy}_{seed}/{scatteritem}.json",
        log:
            "<logs>/adapt/{mode}_{strategy}_{seed}_{scatteritem}.log",
        benchmark:
            "<benchmarks>/adapt/{mode}_{strategy}_{seed}_{scatteritem}.tsv"
        params:
            shard=lambda wildcards: options(shard=wildcards.scatteritem),
        message:
            "Test-time training, {wildcards.mode} mode, of {wildcards.strategy}, seed {wildcards.seed}, shard"
            " {wildcards.scatteritem}."

    rule gather_adapted:
        input:
            **code("gather_adapted"),
            frames=rules.curate.output.test,
            shards=gather.ttt(
                "<results>/adapt/shards/{{mode}}_{{strategy}}_{{seed}}/{scatteritem}.h5"
            ),
            timings=gather.ttt(
                "<results>/adapt/shards/{{mode}}_{{strategy}}_{{seed}}/{scatteritem}.json"
            ),
        output:
            **rules.adapt_model.output,
        log:
            "<logs>/gather_adapted/{mode}_{strategy}_{seed}.log",
        benchmark:
            "<benchmarks>/gather_adapted/{mode}_{strategy}_{seed}.tsv"
        localrule: True
        conda:
            "../../envs/figures.yaml"
        threads: 1
        resources:
            mem_mb=growing(2000),
            runtime=growing("10m"),
        message:
            "Put the shards of {wildcards.mode} mode, {wildcards.strategy}, seed {wildcards.seed} together."
        shell:
            "python {input.script:q} --frames {input.frames:q} --mode {wildcards.mode:q} --shards {input.shards:q}"
            " --shard-timings {input.timings:q} --output {output.predictions:q} --failures {output.failures:q}"
            " --timing {output.timing:q} --log {log:q} >> {log:q} 2>&1"


rule correct_residual:
    input:
        **code("correct_residual", BACKBONE),
        model=MODEL,
        frames=rules.curate.output.test,
        prior="<results>/prior/test.h5",
    output:
        predictions="<results>/correct/{mode}/{strategy}/seed{seed}.h5",
        failures="<results>/failures/correct_{mode}_{strategy}_{seed}.csv",
        timing="<results>/timings/correct/{mode}_{strategy}_{seed}.json",
    log:
        "<logs>/correct/{mode}_{strategy}_{seed}.log",
    benchmark:
        "<benchmarks>/correct/{mode}_{strategy}_{seed}.tsv"
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
    message:
        "Residual correction, {wildcards.mode} mode, of {wildcards.strategy}, seed {wildcards.seed}."
    shell:
        "{params.python:q} {input.script:q} --model {params.directory:q} --device {params.device:q}"
        " --frames {input.frames:q} --prior {input.prior:q} --mode {wildcards.mode:q} --weight {params.weight}"
        " --seed {wildcards.seed} --output {output.predictions:q} --failures {output.failures:q}"
        " --timing {output.timing:q} --log {log:q} >> {log:q} 2>&1"


rule average_methods:
    input:
        **code("average_methods"),
        frames=rules.curate.output.test,
        predictions=lambda wildcards: of_methods(
            MEANS[wildcards.method], [wildcards.seed], 0
        ),
        timings=lambda wildcards: of_methods(
            MEANS[wildcards.method], [wildcards.seed], 1
        ),
    output:
        predictions="<results>/mean/{method}/seed{seed}.h5",
        timing="<results>/timings/mean/{method}_{seed}.json",
    log:
        "<logs>/mean/{method}_{seed}.log",
    benchmark:
        "<benchmarks>/mean/{method}_{seed}.tsv"
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing("10m"),
    message:
        "Take the mean {wildcards.method}, seed {wildcards.seed}."
    shell:
        "python {input.script:q} --frames {input.frames:q} --predictions {input.predictions:q}"
        " --timings {input.timings:q} --method {wildcards.method:q} --output {output.predictions:q}"
        " --timing {output.timing:q} --log {log:q} >> {log:q} 2>&1"


rule label_pseudo:
    input:
        **code("label_pseudo", BACKBONE),
        models=lambda wildcards: [
            MODEL.format(strategy=strategy, seed=wildcards.seed)
            for strategy in TEACHERS[wildcards.teacher]
        ],
        frames=SETS["pool"],
        prior="<results>/prior/pool.h5",
    output:
        "<results>/pseudo/{teacher}/seed{seed}.h5",
    log:
        "<logs>/label_pseudo/{teacher}_{seed}.log",
    benchmark:
        "<benchmarks>/label_pseudo/{teacher}_{seed}.tsv"
    conda:
        NETWORK_ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("30m"),
    params:
        python=lambda wildcards: interpreter(NETWORK),
        device=config["model"]["device"],
        directories=lambda wildcards, input: [str(Path(p).parent) for p in input.models],
        # Δ-learning knows no weight
        weight=lambda wildcards: (
            ""
            if wildcards.teacher == "delta"
            else f"--weight {config['correction']['weight']}"
        ),
    message:
        "Pseudo-labels of the geometries to adapt on, by {wildcards.teacher}, seed {wildcards.seed}."
    shell:
        "{params.python:q} {input.script:q} --device {params.device:q} --models {params.directories:q}"
        " --frames {input.frames:q} --prior {input.prior:q} {params.weight}"
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
            [
                "<results>/pseudo/{teacher}/seed{0}.h5".format(
                    wildcards.seed, **SCHEMES[wildcards.scheme]
                )
            ]
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

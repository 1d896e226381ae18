# Training of the two-head potential, strategy x seed, and its predictions as it is.


rule train_model:
    input:
        unpack(strategy_inputs),
        **code("train_model", BACKBONE),
        frames=rules.curate.output.train,
    output:
        weights="<results>/models/{strategy}/seed{seed}/weights.pt",
        card="<results>/models/{strategy}/seed{seed}/model.json",
        timing="<results>/timings/train/{strategy}_{seed}.json",
    log:
        "<logs>/train/{strategy}_{seed}.log",
    benchmark:
        "<benchmarks>/train/{strategy}_{seed}.tsv"
    # the critical path starts with pre-training
    priority: 10
    conda:
        NETWORK_ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing("1h"),
    params:
        python=lambda wildcards: interpreter(NETWORK),
        device=config["model"]["device"],
        architecture=as_json(ARCHITECTURE),
        settings=lambda wildcards: as_json(
            config["training"][KINDS[wildcards.strategy].recipe]
        ),
        options=strategy_options,
        directory=subpath(output.weights, parent=True),
    message:
        "Train strategy {wildcards.strategy} with seed {wildcards.seed}."
    shell:
        "{params.python:q} {input.script:q} --strategy {wildcards.strategy} --seed {wildcards.seed}"
        " --device {params.device:q} --architecture {params.architecture:q} --settings {params.settings:q}"
        " --frames {input.frames:q} {params.options}"
        " --output {params.directory:q} --timing {output.timing:q} --log {log:q} >> {log:q} 2>&1"


rule predict:
    input:
        **code("predict", BACKBONE),
        model=MODEL,
        frames=rules.curate.output.test,
        prior=lambda wildcards: (
            ["<results>/prior/test.h5"] if KINDS[wildcards.strategy].difference else []
        ),
    output:
        predictions="<results>/predictions/{strategy}/seed{seed}.h5",
        timing="<results>/timings/predict/{strategy}_{seed}.json",
    log:
        "<logs>/predict/{strategy}_{seed}.log",
    benchmark:
        "<benchmarks>/predict/{strategy}_{seed}.tsv"
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
        prior=lambda wildcards, input: options(prior=input.prior) if input.prior else "",
    message:
        "Predict the test structures with {wildcards.strategy}, seed {wildcards.seed}, unadapted."
    shell:
        "{params.python:q} {input.script:q} --model {params.directory:q} --device {params.device:q}"
        " --frames {input.frames:q} {params.prior}"
        " --output {output.predictions:q} --timing {output.timing:q} --log {log:q} >> {log:q} 2>&1"

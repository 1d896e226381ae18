# Training of the two-head potential: strategy x seed.

ARCHITECTURE = {
    ("cutoff" if k == "cutoff_A" else k): v for k, v in config["model"].items()
}


rule train_model:
    input:
        unpack(strategy_inputs),
        **code("train"),
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
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing("1h"),
    params:
        architecture=as_json(ARCHITECTURE),
        settings=lambda wildcards: as_json(
            config["training"][KINDS[wildcards.strategy].recipe]
        ),
        options=strategy_options,
        directory=subpath(output.weights, parent=True),
    message:
        "Train strategy {wildcards.strategy} with seed {wildcards.seed}."
    shell:
        "python {input.script} --strategy {wildcards.strategy} --seed {wildcards.seed}"
        " --architecture {params.architecture:q} --settings {params.settings:q}"
        " --frames {input.frames} {params.options}"
        " --output {params.directory} --timing {output.timing} --log {log}"

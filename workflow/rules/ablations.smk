# What the result of test-time training depends on: quality of the prior, amount of reference data. Every point is
# pre-trained, fine-tuned and adapted anew. Not part of the default run: `snakemake ablations`.


use rule label_prior as label_other_prior with:
    input:
        **code("label_prior"),
        engine=lambda wildcards: modules(f"prior/engines/{engine_of(wildcards)}"),
        frames=lambda wildcards: SETS[wildcards.set],
    output:
        labels="<results>/ablations/prior/{method}/{set}.h5",
        failures="<results>/ablations/prior/{method}/{set}.csv",
        timing="<results>/ablations/prior/{method}/{set}.json",
    log:
        "<logs>/label_other_prior/{method}_{set}.log",
    benchmark:
        "<benchmarks>/label_other_prior/{method}_{set}.tsv"
    wildcard_constraints:
        method="[A-Za-z0-9-]+",
    resources:
        mem_mb=growing(2000),
        runtime=growing("4h"),
    params:
        python="python",
        method=lambda wildcards: wildcards.method,
        shard="1-of-1",
    message:
        "Label the {wildcards.set} structures with {wildcards.method}."


rule ablate:
    input:
        **code("ablate", BACKBONE),
        train=rules.curate.output.train,
        reference=rules.curate.output.train_reference,
        frames=rules.curate.output.test,
        pretrain=SETS["pretrain"],
        prior=lambda wildcards: (
            f"<results>/ablations/prior/{point_prior(wildcards)}/pretrain.h5"
        ),
        test_prior=lambda wildcards: (
            f"<results>/ablations/prior/{point_prior(wildcards)}/test.h5"
        ),
    output:
        expand(
            "<results>/ablations/{{point}}/seed{{seed}}/{method}.h5",
            method=[
                "prior",
                "supervised",
                "delta",
                "joint",
                "joint_ttt",
                "joint_corrected",
            ],
        ),
    log:
        "<logs>/ablate/{point}_{seed}.log",
    benchmark:
        "<benchmarks>/ablate/{point}_{seed}.tsv"
    conda:
        NETWORK_ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing("8h"),
    params:
        python=lambda wildcards: interpreter(NETWORK),
        device=config["model"]["device"],
        point=lambda wildcards: as_json(
            {key: POINTS[wildcards.point][key] for key in ("noise", "fraction")}
        ),
        architecture=as_json(ARCHITECTURE),
        training=as_json(
            {
                recipe: config["training"][recipe]
                for recipe in ("pretrain", "supervised", "delta", "joint")
            }
        ),
        ttt=as_json(TTT_SETTINGS),
        weight=config["correction"]["weight"],
    message:
        "Ablation {wildcards.point}, seed {wildcards.seed}: pre-train, fine-tune, adapt."
    shell:
        "{params.python:q} {input.script:q} --device {params.device:q}"
        " --train {input.train:q} --reference {input.reference:q} --frames {input.frames:q}"
        " --pretrain {input.pretrain:q} --prior {input.prior:q} --test-prior {input.test_prior:q}"
        " --point {params.point:q} --architecture {params.architecture:q} --training {params.training:q}"
        " --ttt {params.ttt:q} --weight {params.weight} --seed {wildcards.seed} --output {output:q} --log {log:q} >> {log:q} 2>&1"


rule evaluate_ablations:
    input:
        **code("evaluate_ablations"),
        frames=rules.curate.output.test,
        reference=rules.curate.output.test_reference,
        predictions=expand(
            "<results>/ablations/{point}/seed{seed}/{method}.h5",
            point=POINTS,
            seed=config["ablations"]["seeds"],
            method=[
                "prior",
                "supervised",
                "delta",
                "joint",
                "joint_ttt",
                "joint_corrected",
            ],
        ),
    output:
        table="<results>/tables/ablations.csv",
        bins="<results>/tables/ablation_bins.csv",
    log:
        "<logs>/evaluate_ablations.log",
    benchmark:
        "<benchmarks>/evaluate_ablations.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("30m"),
    params:
        points=as_json(
            {
                name: point | {"prior": point["prior"] or config["prior"]["method"]}
                for name, point in POINTS.items()
            }
        ),
        resamples=config["statistics"]["resamples"],
        seed=config["statistics"]["seed"],
    message:
        "Compare the points of the ablations."
    shell:
        "python {input.script:q} --frames {input.frames:q} --reference {input.reference:q}"
        " --predictions {input.predictions:q} --points {params.points:q}"
        " --resamples {params.resamples:q} --seed {params.seed:q} --output {output.table:q} --bins {output.bins:q}"
        " --log {log:q} >> {log:q} 2>&1"

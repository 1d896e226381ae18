# Further adaptations to every test structure, and the curve of the error on unseen geometries of a molecule over the
# number of geometries that were adapted on. No rule but the last gets a reference label of a test structure.

VARIANTS = config["variants"]
COUNTS = sorted(config["conformers"]["counts"])
SCHEMES = config["conformers"]["schemes"]
VARIANT_FIGURES = {"fig_variants": "Mitigation"} if VARIANTS else {}


rule adapt_variant:
    input:
        **code("adapt_model"),
        backbone=BACKBONE,
        model=lambda wildcards: MODEL.format(
            strategy=VARIANTS[wildcards.variant]["strategy"], seed=wildcards.seed
        ),
        frames=rules.curate.output.test,
        prior="<results>/prior/test.h5",
        copies=lambda wildcards: [SETS["copies"]] if held_out(wildcards) else [],
        copies_prior=lambda wildcards: (
            ["<results>/prior/copies.h5"] if held_out(wildcards) else []
        ),
    output:
        predictions="<results>/variants/{variant}/seed{seed}.h5",
        failures="<results>/failures/variant_{variant}_{seed}.csv",
        timing="<results>/timings/variants/{variant}_{seed}.json",
    log:
        "<logs>/variants/{variant}_{seed}.log",
    benchmark:
        "<benchmarks>/variants/{variant}_{seed}.tsv"
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
        mode=lambda wildcards: VARIANTS[wildcards.variant]["mode"],
        settings=lambda wildcards: adaptation_settings(VARIANTS[wildcards.variant]),
        copies=lambda wildcards, input: (
            f"--copies {input.copies} --copies-prior {input.copies_prior}"
            if input.copies
            else ""
        ),
    message:
        "Adaptation {wildcards.variant}, {params.mode} mode, seed {wildcards.seed}."
    shell:
        "{params.python} {input.script} --device {params.device} --model {params.directory} --frames {input.frames}"
        " --prior {input.prior} {params.copies} --mode {params.mode}"
        " --settings {params.settings:q} --method {wildcards.variant}"
        " --seed {wildcards.seed} --output {output.predictions} --failures {output.failures}"
        " --timing {output.timing} --log {log}"


rule label_pseudo:
    input:
        **code("label_pseudo"),
        backbone=BACKBONE,
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
        "{params.python} {input.script} --device {params.device} --model {params.directory} --frames {input.frames} --prior {input.prior}"
        " --output {output} --log {log}"


rule adapt_conformers:
    input:
        **code("adapt_conformers"),
        backbone=BACKBONE,
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
            f"--pseudo {input.pseudo}" if input.pseudo else ""
        ),
    message:
        "Adapt {wildcards.scheme} to {params.counts} geometries of every molecule, seed {wildcards.seed}."
    shell:
        "{params.python} {input.script} --device {params.device} --model {params.directory} --frames {input.frames}"
        " --pool {input.pool} --prior {input.prior} {params.pseudo}"
        " --settings {params.settings:q} --counts {params.counts} --copies {params.copies}"
        " --scheme {wildcards.scheme} --output {output.predictions} --timing {output.timing} --log {log}"


rule evaluate_variants:
    input:
        **code("evaluate_variants"),
        frames=rules.curate.output.test,
        reference=rules.curate.output.test_reference,
        prior="<results>/prior/test.h5",
        prior_timing="<results>/timings/prior/test.json",
        base=expand(
            "<results>/predictions/{strategy}/seed{seed}.h5",
            strategy=dict.fromkeys(
                [
                    *STRATEGIES,
                    *(v["strategy"] for v in VARIANTS.values()),
                    *(v["strategy"] for v in SCHEMES.values()),
                ]
            ),
            seed=SEEDS,
        ),
        base_timings=expand(
            "<results>/timings/predict/{strategy}_{seed}.json",
            strategy=STRATEGIES,
            seed=SEEDS[0],
        ),
        variants=expand(
            "<results>/variants/{variant}/seed{seed}.h5", variant=VARIANTS, seed=SEEDS
        ),
        conformers=expand(
            "<results>/conformers/{scheme}/seed{seed}/{count}.h5",
            scheme=SCHEMES,
            seed=SEEDS,
            count=COUNTS,
        ),
        conformer_timings=expand(
            "<results>/timings/conformers/{scheme}_{seed}.json",
            scheme=SCHEMES,
            seed=SEEDS,
        ),
    output:
        variants="<results>/tables/variants.csv",
        paired="<results>/tables/variants_paired.csv",
        conformers="<results>/tables/conformers.csv",
        decision="<results>/timings/decision.csv",
    log:
        "<logs>/evaluate_variants.log",
    benchmark:
        "<benchmarks>/evaluate_variants.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("30m"),
    params:
        strategies=as_json(
            {name: v["strategy"] for name, v in [*VARIANTS.items(), *SCHEMES.items()]}
        ),
        prior_calls=as_json(prior_calls()),
        copies=config["conformers"]["rattled_copies"],
        decision=as_json(config["decision"]),
        resamples=config["statistics"]["resamples"],
        seed=config["statistics"]["seed"],
    message:
        "Compare the further adaptations, and the curve over the number of geometries."
    shell:
        "python {input.script} --frames {input.frames} --reference {input.reference} --prior {input.prior}"
        " --prior-timing {input.prior_timing} --base-timings {input.base_timings}"
        " --predictions {input.base} {input.variants} --conformers {input.conformers}"
        " --conformer-timings {input.conformer_timings} --strategies {params.strategies:q}"
        " --prior-calls {params.prior_calls:q}"
        " --copies {params.copies} --decision {params.decision:q}"
        " --resamples {params.resamples} --seed {params.seed} --variants-table {output.variants}"
        " --paired-table {output.paired} --conformers-table {output.conformers}"
        " --decision-table {output.decision} --log {log}"

# Predictions beside reference labels: tidy tables, deterministic; timings are kept apart.


rule evaluate:
    input:
        **code("evaluate"),
        frames=rules.curate.output.test,
        reference=rules.curate.output.test_reference,
        prior="<results>/prior/test.h5",
        train=rules.curate.output.train,
        train_reference=rules.curate.output.train_reference,
        shifts=rules.diagnose_shifts.output.shifts,
        base=expand(
            "<results>/predictions/{strategy}/seed{seed}.h5",
            strategy=STRATEGIES,
            seed=SEEDS,
        ),
        refined=expand(
            "<results>/refine/{strategy}/seed{seed}{kind}.h5",
            strategy=config["refine"]["strategies"],
            seed=SEEDS,
            kind=["", "_fallback"],
        ),
        radii=expand(
            "<results>/refine/{strategy}/seed{seed}_radii.csv",
            strategy=config["refine"]["strategies"],
            seed=SEEDS[0],
        ),
        adapted=[
            f"<results>/adapt/{mode}/{strategy}/seed{seed}.h5"
            for mode, strategy in ADAPTED
            for seed in SEEDS
        ],
        corrected=[
            f"<results>/correct/{mode}/{strategy}/seed{seed}.h5"
            for mode, strategy in CORRECTED
            for seed in SEEDS
        ],
        means=of_methods(MEANS, SEEDS, 0),
        label_check=ancient(LABEL_CHECKS),
        # those before any method are in another table, prior labels as far as shifts are measured by them
        failures=[
            *(
                []
                if "prior" in config["shifts"]["labels"]
                else expand(
                    "<results>/failures/prior_{set}.csv", set=["pretrain", "test"]
                )
            ),
            *(
                f"<results>/failures/adapt_{mode}_{strategy}_{seed}.csv"
                for mode, strategy in ADAPTED
                for seed in SEEDS
            ),
            *(
                f"<results>/failures/correct_{mode}_{strategy}_{seed}.csv"
                for mode, strategy in CORRECTED
                for seed in SEEDS
            ),
        ],
    output:
        **written("evaluate"),
    log:
        "<logs>/evaluate.log",
    benchmark:
        "<benchmarks>/evaluate.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("30m"),
    params:
        directory=subpath(output.summary, parent=True),
        prior_calls=as_json(prior_calls()),
        correction_weight=config["correction"]["weight"],
        resamples=config["statistics"]["resamples"],
        seed=config["statistics"]["seed"],
    message:
        "Compare all methods with the reference labels, paired and with bootstrap intervals."
    shell:
        "python {input.script:q} --frames {input.frames:q} --reference {input.reference:q} --prior {input.prior:q}"
        " --radii {input.radii:q} --train {input.train:q} --train-reference {input.train_reference:q}"
        " --shifts {input.shifts:q}"
        " --predictions {input.base:q} {input.refined:q} {input.adapted:q} {input.corrected:q} {input.means:q}"
        " --failures {input.failures:q} --correction-weight {params.correction_weight}"
        " --prior-calls {params.prior_calls:q} --resamples {params.resamples:q} --seed {params.seed:q}"
        " --output {params.directory:q} --log {log:q} >> {log:q} 2>&1"


rule evaluate_variants:
    input:
        **code("evaluate_variants"),
        frames=rules.curate.output.test,
        reference=rules.curate.output.test_reference,
        prior="<results>/prior/test.h5",
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
            strategy=dict.fromkeys(
                [*STRATEGIES, *(v["strategy"] for v in SCHEMES.values())]
            ),
            seed=SEEDS,
        ),
        instead=of_methods(INSTEAD, SEEDS, 0),
        instead_timings=of_methods(INSTEAD, SEEDS, 1),
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
        methods="<results>/timings/decision_methods.csv",
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
        "python {input.script:q} --frames {input.frames:q} --reference {input.reference:q} --prior {input.prior:q}"
        " --base-timings {input.base_timings:q} {input.instead_timings:q}"
        " --predictions {input.base:q} {input.instead:q} {input.variants:q} --conformers {input.conformers:q}"
        " --conformer-timings {input.conformer_timings:q} --strategies {params.strategies:q}"
        " --prior-calls {params.prior_calls:q}"
        " --copies {params.copies:q} --decision {params.decision:q}"
        " --resamples {params.resamples:q} --seed {params.seed:q} --variants-table {output.variants:q}"
        " --paired-table {output.paired:q} --conformers-table {output.conformers:q}"
        " --decision-table {output.decision:q} --methods-table {output.methods:q} --log {log:q} >> {log:q} 2>&1"


rule compare_published:
    input:
        **code("compare_published"),
        published=own("resources/published.csv"),
        summary=rules.evaluate.output.summary,
        dynamics=(
            tables_of.paths(["dynamics_summary"], "<results>")
            if config["simulate"]["molecules"]
            else []
        ),
        curves=(tables_of.paths(["learning_curves"], "<results>") if TUNED else []),
        needed=tables_of.paths(["labels_needed"], "<results>") if TUNED else [],
    output:
        "<results>/tables/published.csv",
    log:
        "<logs>/compare_published.log",
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing("10m"),
    params:
        optional=lambda wildcards, input: options(
            **{n: input[n] for n in ("dynamics", "curves", "needed") if input[n]}
        ),
    message:
        "Put the published values beside those of this run."
    shell:
        "python {input.script:q} --published {input.published:q} --summary {input.summary:q} {params.optional}"
        " --output {output:q} --log {log:q} >> {log:q} 2>&1"


rule summarise_timings:
    input:
        **code("summarise_timings"),
        frontier=rules.evaluate.output.frontier,
        prior="<results>/timings/prior/test.json",
        base=expand(
            "<results>/timings/predict/{strategy}_{seed}.json",
            strategy=STRATEGIES,
            seed=SEEDS,
        ),
        refined=expand(
            "<results>/timings/refine/{strategy}_{seed}.json",
            strategy=config["refine"]["strategies"],
            seed=SEEDS,
        ),
        adapted=[
            f"<results>/timings/adapt/{mode}_{strategy}_{seed}.json"
            for mode, strategy in ADAPTED
            for seed in SEEDS
        ],
        corrected=[
            f"<results>/timings/correct/{mode}_{strategy}_{seed}.json"
            for mode, strategy in CORRECTED
            for seed in SEEDS
        ],
        means=of_methods(MEANS, SEEDS, 1),
    output:
        "<results>/timings/seconds.csv",
    log:
        "<logs>/summarise_timings.log",
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing("10m"),
    message:
        "Add up the measured seconds per structure of every method."
    shell:
        "python {input.script:q} --frontier {input.frontier:q} --prior {input.prior:q}"
        " --timings {input.base:q} {input.refined:q} {input.adapted:q} {input.corrected:q} {input.means:q}"
        " --output {output:q} --log {log:q} >> {log:q} 2>&1"


rule collect_run_info:
    input:
        **code("collect_run_info"),
        tables=rules.evaluate.output.summary,
    output:
        info="<results>/run_info.json",
        durations="<results>/timings/durations.csv",
    log:
        "<logs>/collect_run_info.log",
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing("10m"),
    params:
        benchmarks=BENCHMARKS,
        # a function, since braces in it, `{checkpoint}` of a model, are no wildcards
        config=lambda wildcards: as_json(config),
        seeds=SEEDS,
    message:
        "Record versions, seeds, hardware and durations of this run."
    shell:
        "python {input.script:q} --benchmarks {params.benchmarks:q} --config-json /dev/stdin"
        " --seeds {params.seeds:q} --output {output.info:q} --durations {output.durations:q} --log {log:q} >> {log:q} 2>&1"
        " <<< {params.config:q}"

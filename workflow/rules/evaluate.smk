# Tables, figures and the report. Tables are deterministic; timings are kept apart.

SEEDS = config["training"]["seeds"]
TABLES = [
    "per_structure",
    "summary",
    "paired",
    "bins",
    "training_density",
    "error_bins",
    "steps",
    "shift_axes",
    "frontier",
    "refinement",
    "gains",
    "gain_correlation",
    "failures",
]
# figures of the tables of other rules, which need none of those above
OTHER_TABLES = {
    "fig_conformers": ["<results>/tables/conformers.csv"],
    "fig_variants": ["<results>/tables/variants_paired.csv"],
    "fig_ablations": ["<results>/tables/ablations.csv"],
    "fig_prior_bins": [
        "<results>/tables/ablations.csv",
        "<results>/tables/ablation_bins.csv",
    ],
}
FIGURES = {
    "fig_shift_axes": "Understanding the shift",
    "fig_force_norm": "Understanding the shift",
    "fig_connectivity": "Understanding the shift",
    "fig_error_bins": "Mitigation",
    "fig_prior_gain": "Mitigation",
    "fig_ttt_steps": "Mitigation",
    "fig_conformers": "Cost",
    "fig_frontier": "Cost",
}
ADAPTED = [
    (mode, strategy)
    for mode, key in [
        ("structure", "strategies"),
        ("placebo", "placebo"),
    ]
    for strategy in config["ttt"][key]
]
STRATEGIES = config["training"]["strategies"]


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
        failures=[
            "<results>/failures/curate.csv",
            "<results>/failures/prior_pretrain.csv",
            "<results>/failures/prior_test.csv",
            *(
                f"<results>/failures/adapt_{mode}_{strategy}_{seed}.csv"
                for mode, strategy in ADAPTED
                for seed in SEEDS
            ),
        ],
    output:
        **{name: f"<results>/tables/{name}.csv" for name in TABLES},
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
        resamples=config["statistics"]["resamples"],
        seed=config["statistics"]["seed"],
    message:
        "Compare all methods with the reference labels, paired and with bootstrap intervals."
    shell:
        "python {input.script} --frames {input.frames} --reference {input.reference} --prior {input.prior}"
        " --radii {input.radii} --train {input.train} --train-reference {input.train_reference} --shifts {input.shifts}"
        " --predictions {input.base} {input.refined} {input.adapted} --failures {input.failures}"
        " --prior-calls {params.prior_calls:q}"
        " --resamples {params.resamples} --seed {params.seed} --output {params.directory} --log {log}"


rule compare_published:
    input:
        **code("compare_published"),
        published=own("resources/published.csv"),
        summary=rules.evaluate.output.summary,
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
    message:
        "Put the published values beside those of this run."
    shell:
        "python {input.script} --published {input.published} --summary {input.summary} --output {output} --log {log}"


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
        "python {input.script} --frontier {input.frontier} --prior {input.prior}"
        " --timings {input.base} {input.refined} {input.adapted}"
        " --output {output} --log {log}"


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
        config=as_json(config),
        seeds=SEEDS,
    message:
        "Record versions, seeds, hardware and durations of this run."
    shell:
        "python {input.script} --benchmarks {params.benchmarks} --config-json {params.config:q}"
        " --seeds {params.seeds} --output {output.info} --durations {output.durations} --log {log}"


rule figure:
    input:
        **code("plot_figure"),
        tables=lambda wildcards: OTHER_TABLES.get(
            wildcards.figure, [f"<results>/tables/{name}.csv" for name in TABLES]
        ),
        timings=lambda wildcards: (
            [] if wildcards.figure in OTHER_TABLES else rules.summarise_timings.output
        ),
    output:
        svg=report(
            "<results>/figures/{figure}.svg",
            caption="../report/figure.rst",
            category=lambda wildcards: (FIGURES | VARIANT_FIGURES | ABLATION_FIGURES)[
                wildcards.figure
            ],
            labels={"figure": "{figure}"},
        ),
        png="<results>/figures/{figure}.png",
        caption="<results>/figures/{figure}.txt",
    log:
        "<logs>/figure/{figure}.log",
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing("10m"),
    params:
        tables=f"{RESULTS}/tables",
        timings=f"{RESULTS}/timings",
    message:
        "Draw {wildcards.figure} from the tables."
    shell:
        "python {input.script} --name {wildcards.figure} --tables {params.tables} --timings {params.timings}"
        " --svg {output.svg} --png {output.png} --caption {output.caption} --log {log}"


rule make_report:
    input:
        **code("make_report"),
        tables=[f"<results>/tables/{name}.csv" for name in TABLES],
        shifts=rules.diagnose_shifts.output.summary,
        conformers="<results>/tables/conformers.csv",
        variants="<results>/tables/variants_paired.csv",
        decision="<results>/timings/decision.csv",
        published=rules.compare_published.output,
        timings=rules.summarise_timings.output,
        figures=expand("<results>/figures/{figure}.svg", figure=FIGURES),
        info=rules.collect_run_info.output.info,
        template=own("workflow/report/report.html.j2"),
    output:
        "<results>/report.html",
    log:
        "<logs>/make_report.log",
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing("10m"),
    params:
        tables=folder_of("tables"),
        timings=folder_of("timings"),
        figures=folder_of("figures"),
    message:
        "Write the report, one HTML file."
    shell:
        "python {input.script} --tables {params.tables} --timings {params.timings}"
        " --figures {params.figures} --run-info {input.info} --output {output} --log {log}"

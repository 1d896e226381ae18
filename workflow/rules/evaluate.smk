# Tables, figures and the report. Tables are deterministic; timings are kept apart.

SEEDS = config["training"]["seeds"]
FIGURES = figures_of.reported()
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
        **{
            name: table.path("<results>")
            for name, table in tables_of.by_rule("evaluate").items()
        },
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
        resamples=config["statistics"]["resamples"],
        seed=config["statistics"]["seed"],
    message:
        "Compare all methods with the reference labels, paired and with bootstrap intervals."
    shell:
        "python {input.script} --frames {input.frames} --reference {input.reference} --prior {input.prior}"
        " --radii {input.radii} --train {input.train} --train-reference {input.train_reference} --shifts {input.shifts}"
        " --predictions {input.base} {input.refined} {input.adapted} --failures {input.failures}"
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
        drawing=lambda wildcards: figure_modules(wildcards.figure),
        tables=lambda wildcards: figures_of.FIGURES[wildcards.figure].paths("<results>"),
    output:
        svg=report(
            "<results>/figures/{figure}.svg",
            caption="../report/figure.rst",
            category=lambda wildcards: figures_of.SECTIONS[
                figures_of.FIGURES[wildcards.figure].section
            ],
            labels={"figure": "{figure}"},
        ),
        png="<results>/figures/{figure}.png",
        facts="<results>/figures/{figure}.json",
    log:
        "<logs>/figure/{figure}.log",
    wildcard_constraints:
        figure="|".join(figures_of.FIGURES),
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing("10m"),
    params:
        title=lambda wildcards: figures_of.FIGURES[wildcards.figure].title,
    message:
        "Draw {wildcards.figure} from the tables."
    shell:
        "python {input.script} --name {wildcards.figure} --title {params.title:q} --tables {input.tables}"
        " --svg {output.svg} --png {output.png} --facts {output.facts} --log {log}"


rule write_caption:
    input:
        **code("write_caption"),
        facts=rules.figure.output.facts,
    output:
        "<results>/figures/{figure}.txt",
    log:
        "<logs>/figure/{figure}_caption.log",
    wildcard_constraints:
        figure="|".join(figures_of.FIGURES),
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing("10m"),
    message:
        "Write the caption of {wildcards.figure}."
    shell:
        "python {input.script} --name {wildcards.figure} --facts {input.facts} --output {output} --log {log}"


rule make_report:
    input:
        **code("make_report"),
        tables=tables_of.paths(tables_of.in_report("needed", "optional"), "<results>"),
        figures=expand("<results>/figures/{figure}.svg", figure=FIGURES),
        captions=expand("<results>/figures/{figure}.txt", figure=FIGURES),
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
        tables=f"{RESULTS}/tables",
        timings=f"{RESULTS}/timings",
        figures=folder_of("figures"),
    message:
        "Write the report, one HTML file."
    shell:
        "python {input.script} --tables {params.tables} --timings {params.timings}"
        " --figures {params.figures} --run-info {input.info} --output {output} --log {log}"

# Figures and the report, drawn from tables and from nothing else.


rule plot_figure:
    input:
        **code("plot_figure"),
        figure=lambda wildcards: modules(f"show/figures/{wildcards.figure}"),
        tables=lambda wildcards: FIGURES[wildcards.figure].paths("<results>"),
    output:
        svg=report(
            "<results>/figures/{figure}.svg",
            caption="../report/figure.rst",
            category=lambda wildcards: SECTIONS[FIGURES[wildcards.figure].section],
            labels={"figure": "{figure}"},
        ),
        png="<results>/figures/{figure}.png",
        facts="<results>/figures/{figure}.json",
    log:
        "<logs>/plot_figure/{figure}.log",
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing("10m"),
    params:
        title=lambda wildcards: FIGURES[wildcards.figure].title,
    message:
        "Draw {wildcards.figure} from its tables."
    shell:
        "python {input.script:q} --name {wildcards.figure} --title {params.title:q} --tables {input.tables:q}"
        " --svg {output.svg:q} --png {output.png:q} --facts {output.facts:q} --log {log:q} >> {log:q} 2>&1"


rule write_caption:
    input:
        **code("write_caption"),
        facts=rules.plot_figure.output.facts,
    output:
        "<results>/figures/{figure}.txt",
    log:
        "<logs>/write_caption/{figure}.log",
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing("10m"),
    params:
        caption=lambda wildcards: FIGURES[wildcards.figure].caption,
    message:
        "Write the caption of {wildcards.figure}."
    shell:
        "python {input.script:q} --caption {params.caption:q} --facts {input.facts:q} --output {output:q}"
        " --log {log:q} >> {log:q} 2>&1"


rule make_report:
    input:
        **code("make_report"),
        tables=reported("tables"),
        timings=reported("timings"),
        figures=drawn(figures_of.reported(config=config)),
        info=rules.collect_run_info.output.info,
        lines=INPUT_LINES,
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
        "python {input.script:q} --tables {params.tables:q} --timings {params.timings:q} --figures {params.figures:q}"
        " --run-info {input.info:q} --lines {input.lines:q} --output {output:q} --log {log:q} >> {log:q} 2>&1"

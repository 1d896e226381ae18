# Figures and the report, drawn from tables and from nothing else; the explorer, of structures and their forces as well.

# the page and what it does; the model whose forces it draws, before and after adaptation where it is adapted
EXPLORER = [own(f"workflow/report/explorer.{kind}") for kind in ("html.j2", "js")]
EXPLORED = sorted(
    config["ttt"]["strategies"] or STRATEGIES, key=lambda name: name != "joint"
)[0]


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


rule make_explorer:
    input:
        **code("make_explorer"),
        frames=rules.curate.output.test,
        reference=rules.curate.output.test_reference,
        prior="<results>/prior/test.h5",
        before=expand(
            "<results>/predictions/{strategy}/seed{seed}.h5",
            strategy=EXPLORED,
            seed=SEEDS,
        ),
        after=expand(
            "<results>/adapt/structure/{strategy}/seed{seed}.h5",
            strategy=[
                name for name in config["ttt"]["strategies"] if name == EXPLORED
            ],
            seed=SEEDS,
        ),
        shifts=rules.diagnose_shifts.output.shifts,
        errors=rules.evaluate.output.per_structure,
        template=EXPLORER,
    output:
        "<results>/explorer.html",
    log:
        "<logs>/make_explorer.log",
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("10m"),
    message:
        "Write the explorer, one HTML file with every test structure."
    shell:
        "python {input.script:q} --frames {input.frames:q} --reference {input.reference:q} --prior {input.prior:q}"
        " --before {input.before:q} --after {input.after:q} --shifts {input.shifts:q} --errors {input.errors:q}"
        " --template {input.template[0]:q} --output {output:q} --log {log:q} >> {log:q} 2>&1"


rule make_report:
    input:
        **code("make_report"),
        tables=reported("tables"),
        timings=reported("timings"),
        figures=drawn(figures_of.reported(config=config)),
        info=rules.collect_run_info.output.info,
        lines=INPUT_LINES,
        explorer=rules.make_explorer.output[0],
        template=own("workflow/report/report.html.j2"),
        parts=[own(f"workflow/report/{name}") for name in ("parts.j2", "choice.js")],
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
        " --run-info {input.info:q} --lines {input.lines:q} --explorer {input.explorer:q} --output {output:q}"
        " --log {log:q} >> {log:q} 2>&1"

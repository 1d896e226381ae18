# `snakemake rescue`: forces of structures of one's own, the page that says what they rest on, a card for a calculator.


rule rescue_card:
    input:
        **code("rescue_card"),
        weights=rules.weigh_models.output[0],
        head=lambda wildcards: (
            expand(rules.fit_head.output.weights, model=wildcards.model)
            if has_head(wildcards.model)
            else []
        ),
        checkpoint=model_checkpoint,
    output:
        f"{HELP}/cards/{{model}}.json",
    log:
        "<logs>/help/{model}_card.log",
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing("10m"),
    params:
        entry=model_settings(OPERATIVE),
        prior=as_json(
            {
                "method": config["prior"]["method"],
                "library": config["prior"]["engine"],
                "accuracy": config["prior"]["accuracy"],
            }
        ),
        options=lambda wildcards, input: options(
            **{"checkpoint": input.checkpoint} if input.checkpoint else {},
            **{"head": input.head} if input.head else {},
        ),
    message:
        "Write the card of the rescued {wildcards.model}, for its ASE calculator."
    shell:
        "python {input.script:q} --model {wildcards.model} --entry {params.entry:q} --prior {params.prior:q}"
        " {params.options} --weights {input.weights:q} --output {output:q} --log {log:q} >> {log:q} 2>&1"


rule write_rescued:
    input:
        **code("write_rescued"),
        frames=rules.curate.output.test,
        predictions=PREDICTED_TEST,
        rescued=f"{HELP}/{{model}}_rescued.h5",
        constant=constant_forces,
        structures=f"{HELP}/structures.csv",
    output:
        frames=f"{HELP}/forces/{{model}}.extxyz",
        table=f"{HELP}/forces/{{model}}.csv",
    log:
        "<logs>/help/{model}_rescued.log",
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("20m"),
    message:
        "Write the structures with the forces of {wildcards.model}, the corrected ones, and why."
    shell:
        "python {input.script:q} --model {wildcards.model} --frames {input.frames:q} --predictions {input.predictions:q}"
        " --rescued {input.rescued:q} --constant {input.constant:q} --structures {input.structures:q}"
        " --output {output.frames:q} --table {output.table:q} --log {log:q} >> {log:q} 2>&1"


rule plot_rescued:
    input:
        **code("plot_rescued", f"show/figures/{figures_of.RESCUED.name}"),
        structures=rules.rescue_models.output.structures,
        table=rules.write_rescued.output.table,
    output:
        directory(f"{HELP}/forces/{{model}}_figures"),
    log:
        "<logs>/help/{model}_figures.log",
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing("10m"),
    params:
        title=lambda wildcards: models.entry(wildcards.model)["title"],
    message:
        "Draw what error of {wildcards.model} to expect on these structures."
    shell:
        "python {input.script:q} --model {wildcards.model} --title {params.title:q} --structures {input.structures:q}"
        " --table {input.table:q} --output {output:q} --log {log:q} >> {log:q} 2>&1"


rule explore_rescued:
    input:
        **code("explore_rescued"),
        frames=rules.curate.output.test,
        reference=rules.curate.output.test_reference,
        prior="<results>/prior/test.h5",
        predictions=PREDICTED_TEST,
        rescued=rules.write_rescued.input.rescued,
        constant=constant_forces,
        table=rules.write_rescued.output.table,
        template=EXPLORER,
    output:
        "<results>/explorer_rescue_{model}.html",
    log:
        "<logs>/help/{model}_explorer.log",
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("10m"),
    params:
        title=lambda wildcards: models.entry(wildcards.model)["title"],
    message:
        "Write the explorer of these structures and {wildcards.model}, one HTML file."
    shell:
        "python {input.script:q} --title {params.title:q} --frames {input.frames:q} --reference {input.reference:q}"
        " --prior {input.prior:q} --predictions {input.predictions:q} --rescued {input.rescued:q}"
        " --constant {input.constant:q} --table {input.table:q} --report rescue_{wildcards.model}.html"
        " --template {input.template[0]:q} --output {output:q} --log {log:q} >> {log:q} 2>&1"


rule report_rescued:
    input:
        **code("report_rescued"),
        structures=rules.rescue_models.output.structures,
        table=rules.write_rescued.output.table,
        figures=rules.plot_rescued.output[0],
        card=rules.rescue_card.output[0],
        failures="<results>/failures/models/{model}_test.csv",
        frames=rules.curate.output.test,
        reference=rules.curate.output.test_reference,
        prior="<results>/prior/test.h5",
        predictions=PREDICTED_TEST,
        rescued=rules.write_rescued.input.rescued,
        constant=constant_forces,
        lines=INPUT_LINES,
        template=own("workflow/report/help.html.j2"),
        parts=own("workflow/report/parts.j2"),
        explorer=rules.explore_rescued.output[0],
    output:
        "<results>/rescue_{model}.html",
    log:
        "<logs>/help/{model}_report.log",
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing("10m"),
    params:
        title=lambda wildcards: models.entry(wildcards.model)["title"],
        run=f"--run {config['run']}" if config["run"] else "",
    message:
        "Write the page on these structures and {wildcards.model}, one HTML file."
    shell:
        "python {input.script:q} --model {wildcards.model} --title {params.title:q} --structures {input.structures:q}"
        " --table {input.table:q} --card {input.card:q} --figures {input.figures:q} --failures {input.failures:q}"
        " --frames {input.frames:q} --reference {input.reference:q} --prior {input.prior:q}"
        " --predictions {input.predictions:q} --rescued {input.rescued:q} --constant {input.constant:q}"
        " --lines {input.lines:q} {params.run} --explorer {input.explorer:q} --template {input.template:q}"
        " --output {output:q} --log {log:q} >> {log:q} 2>&1"

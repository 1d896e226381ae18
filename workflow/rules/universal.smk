# `snakemake universal`: models that learn of structures without labels or of few, and what all help is worth.


rule adapt_public:
    input:
        **code("adapt_public"),
        family=model_derivatives,
        frames=rules.curate.output.test,
        prior="<results>/prior/test.h5",
        excluded=rules.check_model.output.excluded,
        head=rules.fit_head.output.weights,
        checkpoint=model_checkpoint,
    output:
        predictions=f"{HELP}/ttt/{{model}}_{{kind}}.h5",
        failures="<results>/failures/help/{model}_{kind}.csv",
        timing="<results>/timings/models/{model}_{kind}.json",
    log:
        "<logs>/help/{model}_{kind}.log",
    benchmark:
        "<benchmarks>/help/{model}_{kind}.tsv"
    wildcard_constraints:
        kind="|".join(KINDS_OF_TTT),
    conda:
        model_environment
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("6h"),
    params:
        python=model_interpreter,
        entry=model_settings(OPERATIVE),
        settings=as_json(
            {
                key: value
                for key, value in config["help"]["ttt"].items()
                if key != "models" and value is not None
            }
        ),
        options=lambda wildcards, input: options(
            **{"checkpoint": input.checkpoint} if input.checkpoint else {},
            **{"placebo": []} if wildcards.kind == "placebo" else {},
        ),
    message:
        "Adapt {wildcards.model} to the test structures through its prior head ({wildcards.kind})."
    shell:
        "{params.python:q} {input.script:q} --model {wildcards.model} --entry {params.entry:q} {params.options}"
        " --frames {input.frames:q} --prior {input.prior:q} --excluded {input.excluded:q} --head {input.head:q}"
        " --settings {params.settings:q} --output {output.predictions:q} --failures {output.failures:q}"
        " --timing {output.timing:q} --log {log:q} >> {log:q} 2>&1"


rule distil_public:
    input:
        **code("distil_public"),
        family=model_derivatives,
        frames=rules.curate.output.test,
        ordinary=rules.curate.output.train,
        teacher=teacher_of,
        excluded=rules.check_model.output.excluded,
        checkpoint=model_checkpoint,
    output:
        predictions=f"{HELP}/distilled/{{model}}.h5",
        weights=f"{HELP}/distilled/{{model}}.pt",
        report=f"{HELP}/distilled/{{model}}.json",
        failures="<results>/failures/help/{model}_distilled.csv",
        timing="<results>/timings/models/{model}_distilled.json",
    log:
        "<logs>/help/{model}_distilled.log",
    benchmark:
        "<benchmarks>/help/{model}_distilled.tsv"
    conda:
        model_environment
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("2h"),
    params:
        python=model_interpreter,
        entry=model_settings(OPERATIVE),
        settings=as_json(
            {
                key: value
                for key, value in config["help"]["distillation"].items()
                if key in ("steps", "learning_rate") and value is not None
            }
        ),
        checkpoint=checkpoint_option,
        teacher=config["help"]["distillation"]["teacher"],
    message:
        "Distil {params.teacher} into {wildcards.model} on the test structures, without labels."
    shell:
        "{params.python:q} {input.script:q} --model {wildcards.model} --entry {params.entry:q} {params.checkpoint}"
        " --taught {input.frames:q} --teacher {input.teacher:q} --ordinary {input.ordinary:q} --frames {input.frames:q}"
        " --excluded {input.excluded:q} --settings {params.settings:q} --output {output.predictions:q}"
        " --weights {output.weights:q} --report {output.report:q} --failures {output.failures:q}"
        " --timing {output.timing:q} --log {log:q} >> {log:q} 2>&1"


rule take_validation:
    input:
        **code("take_validation"),
        frames=rules.curate.output.test,
        reference=rules.curate.output.test_reference,
        label_check=ancient(LABEL_CHECKS),
    output:
        frames=f"{HELP}/labels/validation.h5",
        reference=f"{HELP}/labels/validation_reference.h5",
    log:
        "<logs>/help/take_validation.log",
    localrule: True
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("10m"),
    message:
        "Take the validation groups and their labels, for what learns from a few."
    shell:
        "python {input.script:q} --frames {input.frames:q} --reference {input.reference:q}"
        " --output {output.frames:q} --labels {output.reference:q} --log {log:q} >> {log:q} 2>&1"


rule finetune_public:
    input:
        **code("finetune_public"),
        family=model_derivatives,
        frames=rules.curate.output.test,
        ordinary=rules.curate.output.train,
        labelled=rules.take_validation.output.frames,
        reference=rules.take_validation.output.reference,
        prior=["<results>/prior/test.h5", "<results>/prior/pretrain.h5"],
        excluded=rules.check_model.output.excluded,
        checkpoint=model_checkpoint,
    output:
        predictions=f"{HELP}/labels/{{model}}_{{way}}_{{labels}}.h5",
        weights=f"{HELP}/labels/{{model}}_{{way}}_{{labels}}.pt",
        report=f"{HELP}/labels/{{model}}_{{way}}_{{labels}}.json",
        failures="<results>/failures/help/{model}_{way}_{labels}.csv",
        timing="<results>/timings/models/{model}_{way}_{labels}.json",
    log:
        "<logs>/help/{model}_{way}_{labels}.log",
    benchmark:
        "<benchmarks>/help/{model}_{way}_{labels}.tsv"
    wildcard_constraints:
        way="full|low_rank|correction|delta",
        labels=r"\d+",
    conda:
        model_environment
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("3h"),
    params:
        python=model_interpreter,
        entry=model_settings(OPERATIVE),
        settings=lambda wildcards: as_json(
            {
                "structures": int(wildcards.labels),
                "rates": config["help"]["labels"]["rates"],
            }
        ),
        method=lambda wildcards: "{model}_{way}_{labels}".format(**wildcards),
        checkpoint=checkpoint_option,
    message:
        "Improve {wildcards.model} with {wildcards.labels} labels ({wildcards.way})."
    shell:
        "{params.python:q} {input.script:q} --model {wildcards.model} --entry {params.entry:q} {params.checkpoint}"
        " --method {params.method} --way {wildcards.way} --labelled {input.labelled:q} --reference {input.reference:q}"
        " --ordinary {input.ordinary:q} --frames {input.frames:q} --groups ood_ --excluded {input.excluded:q}"
        " --prior {input.prior:q} --settings {params.settings:q} --output {output.predictions:q}"
        " --weights {output.weights:q} --report {output.report:q} --failures {output.failures:q}"
        " --timing {output.timing:q} --log {log:q} >> {log:q} 2>&1"


rule evaluate_help:
    input:
        **code("evaluate_help"),
        **SAID,
        frames=rules.curate.output.test,
        train=rules.curate.output.train,
        reference=rules.curate.output.test_reference,
        prior="<results>/prior/test.h5",
        train_embeddings=expand(
            "<results>/models/external/{model}/train_embedding.h5", model=DIAGNOSED
        ),
        weights=rules.weigh_models.output[0],
        strategies=[*rules.rescue_models.output.predictions, *CHANGED],
        gains=gains_of_runs,
        prior_timing="<results>/timings/prior/test.json",
        timings=expand(
            "<results>/timings/models/{name}.json",
            name=[
                *(f"{name}_test" for name in DIAGNOSED),
                *(f"{name}_head" for name in HELPED),
                *(
                    f"{name}_{kind}"
                    for name in ADAPTED_MODELS
                    for kind in KINDS_OF_TTT
                ),
            ],
        ),
    output:
        **{name: table.path("<results>") for name, table in tables_of.HELP.items()},
    log:
        "<logs>/help/evaluate_help.log",
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing("30m"),
    params:
        resamples=config["statistics"]["resamples"],
        seed=config["statistics"]["seed"],
        folder=subpath(output.groups, parent=True),
    message:
        "Compare models and help for them with the reference labels."
    shell:
        "python {input.script:q} --frames {input.frames:q} --train {input.train:q} --reference {input.reference:q}"
        " --prior {input.prior:q} --predictions {input.predictions:q} --embeddings {input.embeddings:q}"
        " --heads {input.heads:q} --train-embeddings {input.train_embeddings:q} --weights {input.weights:q}"
        " --strategies {input.strategies:q} --timings {input.timings:q} --prior-timing {input.prior_timing:q}"
        " --gains {input.gains:q} --resamples {params.resamples} --seed {params.seed}"
        " --output {params.folder:q} --log {log:q} >> {log:q} 2>&1"


rule plot_help:
    input:
        **code("plot_help", *(f"show/figures/{name}" for name in figures_of.HELP)),
        tables=rules.evaluate_help.output,
    output:
        directory(f"{HELP}/figures"),
    log:
        "<logs>/help/figures.log",
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing("20m"),
    params:
        folder=folder_of("tables"),
        titles=as_json({name: models.entry(name)["title"] for name in DIAGNOSED}),
    message:
        "Draw what helps the models."
    shell:
        "python {input.script:q} --tables {params.folder:q} --titles {params.titles:q} --output {output:q}"
        " --log {log:q} >> {log:q} 2>&1"


rule report_help:
    input:
        **code("report_help"),
        tables=rules.evaluate_help.output,
        figures=rules.plot_help.output[0],
        structures=rules.rescue_models.output.structures,
        failures=expand("<results>/failures/models/{model}_test.csv", model=DIAGNOSED),
        read=tables_of.paths(tables_of.INPUT, "<results>"),
        lines=INPUT_LINES,
        template=own("workflow/report/help.html.j2"),
        parts=own("workflow/report/parts.j2"),
    output:
        "<results>/universal.html",
    log:
        "<logs>/help/report.log",
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing("10m"),
    params:
        folder=folder_of("tables"),
        titles=as_json({name: models.entry(name)["title"] for name in DIAGNOSED}),
        levels=as_json(
            {
                "models": {name: learned_level(name) for name in DIAGNOSED},
                "labels": config["data"]["level"],
            }
        ),
        run=f"--run {config['run']}" if config["run"] else "",
    message:
        "Write the page on the models and what helps them, one HTML file."
    shell:
        "python {input.script:q} --tables {params.folder:q} --figures {input.figures:q} --titles {params.titles:q}"
        " --levels {params.levels:q} --structures {input.structures:q} --failures {input.failures:q}"
        " --input {input.read:q} --lines {input.lines:q} {params.run} --template {input.template:q} --output {output:q}"
        " --log {log:q} >> {log:q} 2>&1"

# Help for models as they are: prior heads, weights of models, corrections and prior, and what they give.
# Not part of the default run: `snakemake universal`, `snakemake rescue`.

HELPED = [name for name in DIAGNOSED if has_head(name)]
HELP = "<results>/help"
PREDICTED_TEST = "<results>/models/external/{model}/test.h5"
HEAD_OF = "<results>/models/external/{model}/head.h5"
SAID = {
    "predictions": expand(PREDICTED_TEST, model=DIAGNOSED),
    "embeddings": expand(
        "<results>/models/external/{model}/test_embedding.h5", model=DIAGNOSED
    ),
    "heads": expand(HEAD_OF, model=HELPED),
}
KINDS_OF_TTT = ("ttt", "placebo")
STRATEGIES_OF_HELP = [
    *(f"{name}_{way}" for name in DIAGNOSED for way in ("mixed", "rescued")),
    *(f"{name}_corrected" for name in HELPED),
    *(
        f"committee_{way}"
        for way in ("mean", "arbiter", "weighted", "rescued")
        if len(DIAGNOSED) > 1
    ),
]
ADAPTED_MODELS, TAUGHT_MODELS, LABELLED_MODELS = (
    config["help"][section]["models"] for section in ("ttt", "distillation", "labels")
)
FEW_LABELS = [
    f"{model}_{way}_{count}"
    for model in LABELLED_MODELS
    for way in config["help"]["labels"]["ways"]
    for count in config["help"]["labels"]["counts"]
]
CHANGED = [
    *(
        f"{HELP}/ttt/{name}_{kind}.h5"
        for name in ADAPTED_MODELS
        for kind in KINDS_OF_TTT
    ),
    *(f"{HELP}/distilled/{name}.h5" for name in TAUGHT_MODELS),
    *(f"{HELP}/labels/{name}.h5" for name in FEW_LABELS),
]
for section in ("ttt", "distillation", "labels"):
    for name in config["help"][section]["models"]:
        if name not in HELPED:
            refuse(
                f"help.{section}.models: {name} is none of the models of this run that can have a prior head; these are"
                f" {', '.join(HELPED) or 'none'}"
            )


rule fit_head:
    input:
        **code("fit_head"),
        family=model_derivatives,
        frames=rules.curate.output.train,
        prior="<results>/prior/pretrain.h5",
        excluded=rules.check_model.output.excluded,
        checkpoint=model_checkpoint,
    output:
        weights="<results>/models/external/{model}/head.pt",
        report="<results>/models/external/{model}/head.json",
        timing="<results>/timings/models/{model}_fit_head.json",
    log:
        "<logs>/models/{model}_fit_head.log",
    benchmark:
        "<benchmarks>/models/{model}_fit_head.tsv"
    conda:
        model_environment
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("2h"),
    params:
        python=model_interpreter,
        entry=model_settings(OPERATIVE),
        checkpoint=checkpoint_option,
        settings=as_json(config["help"]["head"]),
    message:
        "Fit a prior head on the features of {wildcards.model}."
    shell:
        "{params.python:q} {input.script:q} --model {wildcards.model} --entry {params.entry:q} {params.checkpoint}"
        " --frames {input.frames:q} --prior {input.prior:q} --excluded {input.excluded:q}"
        " --settings {params.settings:q} --output {output.weights:q} --report {output.report:q}"
        " --timing {output.timing:q} --log {log:q} >> {log:q} 2>&1"


rule predict_head:
    input:
        **code("predict_head"),
        family=model_derivatives,
        frames=rules.curate.output.test,
        excluded=rules.check_model.output.excluded,
        head=rules.fit_head.output.weights,
        checkpoint=model_checkpoint,
    output:
        predictions=HEAD_OF,
        timing="<results>/timings/models/{model}_head.json",
    log:
        "<logs>/models/{model}_head.log",
    benchmark:
        "<benchmarks>/models/{model}_head.tsv"
    conda:
        model_environment
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("2h"),
    params:
        python=model_interpreter,
        entry=model_settings(OPERATIVE),
        checkpoint=checkpoint_option,
    message:
        "Predict the prior of the test structures with the head of {wildcards.model}."
    shell:
        "{params.python:q} {input.script:q} --model {wildcards.model} --entry {params.entry:q} {params.checkpoint}"
        " --frames {input.frames:q} --excluded {input.excluded:q} --head {input.head:q}"
        " --output {output.predictions:q} --timing {output.timing:q} --log {log:q} >> {log:q} 2>&1"


rule weigh_models:
    input:
        **code("weigh_models"),
        **SAID,
        frames=rules.curate.output.test,
        reference=rules.curate.output.test_reference,
        prior="<results>/prior/test.h5",
        label_check=ancient(LABEL_CHECKS),
    output:
        f"{HELP}/weights.json",
    log:
        "<logs>/help/weigh_models.log",
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing("20m"),
    message:
        "Choose the weights of models, corrections and prior on the validation groups."
    shell:
        "python {input.script:q} --frames {input.frames:q} --reference {input.reference:q} --prior {input.prior:q}"
        " --predictions {input.predictions:q} --embeddings {input.embeddings:q} --heads {input.heads:q}"
        " --output {output:q} --log {log:q} >> {log:q} 2>&1"


rule rescue_models:
    input:
        **code("rescue_models"),
        **SAID,
        frames=rules.curate.output.test,
        prior="<results>/prior/test.h5",
        weights=rules.weigh_models.output[0],
    output:
        predictions=expand(f"{HELP}/{{strategy}}.h5", strategy=STRATEGIES_OF_HELP),
        structures=f"{HELP}/structures.csv",
    log:
        "<logs>/help/rescue_models.log",
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing("20m"),
    params:
        folder=subpath(output.structures, parent=True),
    message:
        "Apply the weights to all structures."
    shell:
        "python {input.script:q} --frames {input.frames:q} --prior {input.prior:q}"
        " --predictions {input.predictions:q} --embeddings {input.embeddings:q} --heads {input.heads:q}"
        " --weights {input.weights:q} --output {params.folder:q} --structures {output.structures:q}"
        " --log {log:q} >> {log:q} 2>&1"


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
        " --lines {input.lines:q} {params.run} --template {input.template:q} --output {output:q}"
        " --log {log:q} >> {log:q} 2>&1"

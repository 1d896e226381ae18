# Help for models as they are: prior heads, weights of models, corrections and prior, and what they give.
# What `snakemake universal` and `snakemake rescue` share.

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

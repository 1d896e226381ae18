# Models of the registry (config/models.yaml), each in an environment of its own. Not part of the default run.

PREDICTED = {"train": "<results>/frames/train.h5", "test": "<results>/frames/test.h5"}


rule predict_models:
    input:
        collect(
            "<results>/models/external/{model}/{set}.h5",
            model=config["models"],
            set=PREDICTED,
        ),
    localrule: True
    message:
        "Predictions of all models that the configuration names."


rule train_mace:
    input:
        **code("train_mace"),
        frames=rules.curate.output.train,
        reference=rules.curate.output.train_reference,
    output:
        checkpoint="<results>/models/mace/mace.model",
        timing="<results>/timings/train_mace.json",
    log:
        "<logs>/train_mace.log",
    benchmark:
        "<benchmarks>/train_mace.tsv"
    conda:
        "../../envs/mace.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("2h"),
    params:
        python=lambda wildcards: interpreter("mace"),
        settings=as_json(config["mace"]),
    message:
        "Train a small MACE on the reference labels."
    shell:
        "{params.python} {input.script} --frames {input.frames} --reference {input.reference}"
        " --settings {params.settings:q} --output {output.checkpoint} --timing {output.timing} --log {log}"


rule check_model:
    input:
        **code("check_model"),
        train=PREDICTED["train"],
        test=PREDICTED["test"],
    output:
        excluded="<results>/models/external/{model}/excluded.csv",
        lines="<results>/models/external/{model}/capability.txt",
    log:
        "<logs>/models/{model}_check.log",
    benchmark:
        "<benchmarks>/models/{model}_check.tsv"
    conda:
        "../../envs/xtb.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("10m"),
    params:
        entry=model_settings(CAPABILITY),
        level=config["data"]["level"],
    message:
        "Find the structures that {wildcards.model} cannot take."
    # the lines are for the terminal; the log has what the script itself prints
    shell:
        "python {input.script} --model {wildcards.model} --entry {params.entry:q} --level {params.level:q}"
        " --train {input.train} --test {input.test} --output {output.excluded} --lines {output.lines} --log {log}"
        " && cat {output.lines} >&2"


rule predict_model:
    input:
        **code("predict_model"),
        family=model_family,
        frames=lambda wildcards: PREDICTED[wildcards.set],
        excluded=rules.check_model.output.excluded,
        checkpoint=model_checkpoint,
    output:
        predictions="<results>/models/external/{model}/{set}.h5",
        embedding="<results>/models/external/{model}/{set}_embedding.h5",
        failures="<results>/failures/models/{model}_{set}.csv",
        timing="<results>/timings/models/{model}_{set}.json",
    log:
        "<logs>/models/{model}_{set}.log",
    benchmark:
        "<benchmarks>/models/{model}_{set}.tsv"
    wildcard_constraints:
        set="train|test",
    conda:
        model_environment
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("2h"),
    params:
        python=lambda wildcards: interpreter(
            model_entry(wildcards.model)["environment"]
        ),
        entry=model_settings(OPERATIVE),
        checkpoint=lambda wildcards, input: (
            f"--checkpoint {input.checkpoint}" if input.checkpoint else ""
        ),
    message:
        "Predict the {wildcards.set} structures with {wildcards.model}."
    shell:
        "{params.python} {input.script} --model {wildcards.model} --entry {params.entry:q} {params.checkpoint}"
        " --frames {input.frames} --set {wildcards.set} --excluded {input.excluded} --output {output.predictions}"
        " --embedding {output.embedding} --failures {output.failures} --timing {output.timing} --log {log}"

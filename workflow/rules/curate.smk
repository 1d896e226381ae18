# Structure files in; checked frames out, and labels in stores of their own.

for group, bounds in config["data"]["select"].items():
    if all(limit is None for limit in bounds.values()):
        refuse(
            f"data.select.{group} has no limit; give below_eV_per_A or above_eV_per_A, or leave the group out"
        )


rule curate:
    input:
        **code("curate", *READERS),
        files=input_files(),
        checksums=checksum_file(),
    output:
        **written("curate"),
        train="<results>/frames/train.h5",
        train_reference="<results>/reference/train.h5",
        test="<results>/frames/test.h5",
        test_reference="<results>/reference/test.h5",
        validation_reference="<results>/reference/validation.h5",
        unlabelled="<results>/frames/unlabelled_input.h5",
        labelled="<results>/frames/labelled.h5",
        labelled_reference="<results>/reference/labelled.h5",
        failures="<results>/failures/curate.csv",
        lines="<results>/failures/curate.txt",
    log:
        "<logs>/curate.log",
    benchmark:
        "<benchmarks>/curate.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("20m"),
    params:
        settings=lambda wildcards: as_json(
            {k: v for k, v in config["data"].items() if k != "training_statistics"}
            | {"files": data_files()}
        ),
    message:
        "Check and convert the input structures; test labels go into a store of their own."
    # a list of very many files is longer than a command line may be; the lines are for the terminal
    shell:
        "python {input.script:q} --settings /dev/stdin"
        " --train {output.train:q} --train-reference {output.train_reference:q}"
        " --test {output.test:q} --test-reference {output.test_reference:q}"
        " --validation-reference {output.validation_reference:q} --unlabelled {output.unlabelled:q}"
        " --labelled {output.labelled:q} --labelled-reference {output.labelled_reference:q}"
        " --failures {output.failures:q} --census {output.census:q} --duplicates {output.duplicates:q}"
        " --duplicate-counts {output.duplicate_counts:q} --lines {output.lines:q} --log {log:q}"
        " <<< {params.settings:q} >> {log:q} 2>&1 && cat {output.lines:q} >&2"


# tight binding decides on signs and units, whatever the prior of the run is
CHECKED_BY = (
    config["prior"]["method"]
    if config["prior"]["method"] in components.TIGHT_BINDING
    else "GFN2-xTB"
)
CHECKED = ["train", "test", *(["labelled"] if TUNED else [])]
LABEL_CHECKS = expand("<results>/label_check/{set}.csv", set=CHECKED)
# what the terminal says, for the reports
INPUT_LINES = [
    rules.curate.output.lines,
    *expand("<results>/label_check/{set}.txt", set=CHECKED),
]
PRIOR_IS_THERE = (
    "prior" in config["shifts"]["labels"] and CHECKED_BY == config["prior"]["method"]
)


rule check_labels:
    input:
        **code(
            "check_labels",
            f"prior/engines/{components.engine_of(CHECKED_BY, config['prior']['engine'])}",
        ),
        frames="<results>/frames/{set}.h5",
        reference="<results>/reference/{set}.h5",
        prior=lambda wildcards: (
            "<results>/prior/{0}.h5".format(
                {"train": "pretrain"}.get(wildcards.set, wildcards.set)
            )
            if PRIOR_IS_THERE and wildcards.set != "labelled"
            else []
        ),
    output:
        table="<results>/label_check/{set}.csv",
        lines="<results>/label_check/{set}.txt",
    log:
        "<logs>/check_labels_{set}.log",
    benchmark:
        "<benchmarks>/check_labels_{set}.tsv"
    wildcard_constraints:
        set="train|test|labelled",
    # what follows waits for it
    priority: 20
    conda:
        "../../envs/xtb.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("20m"),
    params:
        options=options(
            method=CHECKED_BY,
            engine=config["prior"]["engine"],
            accuracy=config["prior"]["accuracy"],
            sample=20,
            units=as_json(config["data"]["units"]),
            action=config["data"]["label_check"],
        ),
        prior=lambda wildcards, input: options(prior=input.prior) if input.prior else "",
    message:
        "Check sign and unit of the reference labels of the {wildcards.set} structures."
    shell:
        "python {input.script:q} --frames {input.frames:q} --reference {input.reference:q}"
        " {params.prior} {params.options} --output {output.table:q} --lines {output.lines:q} --log {log:q}"
        " >> {log:q} 2>&1 && cat {output.lines:q} >&2"


rule collect_failures:
    input:
        **code("collect_failures"),
        frames=[rules.curate.output.train, rules.curate.output.test],
        census=rules.curate.output.census,
        label_checks=LABEL_CHECKS,
        failures=[
            rules.curate.output.failures,
            *(
                expand("<results>/failures/prior_{set}.csv", set=["pretrain", "test"])
                if "prior" in config["shifts"]["labels"]
                else []
            ),
        ],
    output:
        **written("collect_failures"),
    log:
        "<logs>/collect_failures.log",
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing("10m"),
    message:
        "Put together what was left out, and what the check of the labels found."
    shell:
        "python {input.script:q} --failures {input.failures:q} --frames {input.frames:q} --census {input.census:q}"
        " --label-checks {input.label_checks:q} --output {output.failures:q} --left-out {output.left_out:q}"
        " --label-check {output.label_check:q} --log {log:q} >> {log:q} 2>&1"

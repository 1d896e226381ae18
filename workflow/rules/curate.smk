# Structure files in; checked frames out, and labels in stores of their own.


rule curate:
    input:
        **code("curate", *READERS),
        files=input_files(),
        checksums=checksum_file(),
    output:
        train="<results>/frames/train.h5",
        train_reference="<results>/reference/train.h5",
        test="<results>/frames/test.h5",
        test_reference="<results>/reference/test.h5",
        validation_reference="<results>/reference/validation.h5",
        unlabelled="<results>/frames/unlabelled_input.h5",
        failures="<results>/failures/curate.csv",
        lines="<results>/failures/curate.txt",
        **written("curate"),
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
        settings=as_json(config["data"]),
    message:
        "Check and convert the input structures; test labels go into a store of their own."
    # the lines are for the terminal; the log has what the script itself prints
    shell:
        "python {input.script} --settings {params.settings:q}"
        " --train {output.train} --train-reference {output.train_reference}"
        " --test {output.test} --test-reference {output.test_reference}"
        " --validation-reference {output.validation_reference} --unlabelled {output.unlabelled}"
        " --failures {output.failures} --census {output.census} --duplicates {output.duplicates}"
        " --duplicate-counts {output.duplicate_counts} --lines {output.lines} --log {log}"
        " && cat {output.lines} >&2"

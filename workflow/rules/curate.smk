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
        settings=lambda wildcards: as_json(config["data"] | {"files": data_files()}),
    message:
        "Check and convert the input structures; test labels go into a store of their own."
    # a list of very many files is longer than a command line may be
    shell:
        "python {input.script:q} --settings /dev/stdin"
        " --train {output.train:q} --train-reference {output.train_reference:q}"
        " --test {output.test:q} --test-reference {output.test_reference:q}"
        " --validation-reference {output.validation_reference:q} --unlabelled {output.unlabelled:q}"
        " --failures {output.failures:q} --log {log:q} >> {log:q} 2>&1 <<< {params.settings:q}"

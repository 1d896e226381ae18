# Models of the registry at many radii, beside the networks of section radius.


use rule choose_radii as choose_radii_of_model with:
    input:
        **code("choose_radii"),
        # what the model was trained on is not here: the training structures of the run stand for it
        train=rules.curate.output.train,
        frames=rules.curate.output.test,
        model="<results>/models/external/{model}/test.h5",
    output:
        choices="<results>/models/external/{model}/radii.csv",
        timing="<results>/timings/models/{model}_radii.json",
    log:
        "<logs>/models/{model}_radii.log",
    benchmark:
        "<benchmarks>/models/{model}_radii.tsv"
    params:
        cutoff=subpath(input.model),
        radii=RADII,
        rules=as_json(RADIUS_RULES),
    message:
        "Choose the radius of every test graph for {wildcards.model} by every rule."


rule scan_public_radii:
    input:
        **code("scan_public_radii"),
        family=model_family,
        frames=rules.curate.output.test,
        excluded=rules.check_model.output.excluded,
        checkpoint=model_checkpoint,
        depends=model_files,
    output:
        scan="<results>/models/external/{model}/radii.h5",
        failures="<results>/failures/models/{model}_radii.csv",
    log:
        "<logs>/models/{model}_scan.log",
    benchmark:
        "<benchmarks>/models/{model}_scan.tsv"
    conda:
        model_environment
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("6h"),
    params:
        python=model_interpreter,
        entry=model_settings(OPERATIVE),
        radii=RADII,
        options=lambda wildcards, input: options(
            **{"checkpoint": input.checkpoint} if input.checkpoint else {},
            **{"depends": list(input.depends)} if input.depends else {},
        ),
    message:
        "Predict the test structures at every radius with {wildcards.model}."
    shell:
        "{params.python:q} {input.script:q} --model {wildcards.model} --entry {params.entry:q} {params.options}"
        " --frames {input.frames:q} --excluded {input.excluded:q} --radii {params.radii}"
        " --output {output.scan:q} --failures {output.failures:q} --log {log:q} >> {log:q} 2>&1"

# How the embedded benchmark was made. Not part of the default run: `snakemake relabel`.


rule relabel:
    input:
        "results/labelling/frames.extxyz",
    localrule: True


rule sample_geometries:
    input:
        molecules="resources/benchmark/molecules.csv",
        **code("sample_geometries"),
    output:
        "results/labelling/geometries.extxyz",
    params:
        seed=lookup("labelling/seed", within=config),
    log:
        "logs/labelling/sample_geometries.log",
    conda:
        "../../envs/reference.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime="30m",
    message:
        "Sample benchmark geometries with GFN2-xTB dynamics and normal modes."
    shell:
        "python {input.script} --molecules {input.molecules} --output {output}"
        " --seed {params.seed} --threads {threads} --log {log}"


rule label_reference:
    input:
        geometries=rules.sample_geometries.output[0],
        **code("label_reference"),
    output:
        frames="results/labelling/shards/{shard}.extxyz",
        failures="results/labelling/shards/{shard}.failures.csv",
    params:
        settings=lookup("labelling/level", within=config),
        shards=lookup("labelling/shards", within=config),
    log:
        "logs/labelling/label_reference_{shard}.log",
    conda:
        "../../envs/reference.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="4h",
    message:
        "Label shard {wildcards.shard} of the benchmark with PySCF."
    shell:
        "python {input.script} --geometries {input.geometries} --output {output.frames}"
        " --failures {output.failures} --shard {wildcards.shard} --shards {params.shards}"
        " --settings {params.settings:q} --log {log}"


rule assemble_benchmark:
    input:
        shards=expand(
            "results/labelling/shards/{shard}.extxyz",
            shard=range(lookup("labelling/shards", within=config)),
        ),
        failures=expand(
            "results/labelling/shards/{shard}.failures.csv",
            shard=range(lookup("labelling/shards", within=config)),
        ),
        **code("assemble_benchmark"),
    output:
        frames="results/labelling/frames.extxyz",
    log:
        "logs/labelling/assemble_benchmark.log",
    conda:
        "../../envs/reference.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="10m",
    message:
        "Write the labelled benchmark with its data sheet and checksums."
    shell:
        "python {input.script} --log {log}"

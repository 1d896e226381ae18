# How the embedded benchmark was made. Not part of the default run: `snakemake relabel`.

SHARDS = expand(
    "<results>/labelling/shards/{shard}.extxyz",
    shard=range(config["labelling"]["shards"]),
)

KNOWN_LABELS = known_labels(config["labelling"]["known"])


rule sample_geometries:
    input:
        **code("sample_geometries"),
        molecules=own("resources/benchmark/molecules.csv"),
    output:
        "<results>/labelling/geometries.extxyz",
    log:
        "<logs>/labelling/sample_geometries.log",
    conda:
        "../../envs/reference.yaml"
    threads: 2
    resources:
        mem_mb=growing(2000),
        runtime=growing("30m"),
    params:
        seed=config["labelling"]["seed"],
    message:
        "Sample benchmark geometries with GFN2-xTB dynamics and normal modes."
    shell:
        "python {input.script:q} --molecules {input.molecules:q} --output {output:q}"
        " --seed {params.seed:q} --threads {threads} --log {log:q} >> {log:q} 2>&1"


rule label_reference:
    input:
        **code("label_reference"),
        geometries=rules.sample_geometries.output[0],
    output:
        frames="<results>/labelling/shards/{shard}.extxyz",
        failures="<results>/labelling/shards/{shard}.failures.csv",
    log:
        "<logs>/labelling/label_reference_{shard}.log",
    conda:
        "../../envs/reference.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("4h"),
    params:
        settings=as_json(config["labelling"]["level"]),
        shards=config["labelling"]["shards"],
        known=KNOWN_LABELS,
        contents=lambda wildcards: contents(
            filter(None, [config["labelling"]["known"]])
        ),
    message:
        "Label shard {wildcards.shard} of the benchmark with PySCF."
    shell:
        "python {input.script:q} --geometries {input.geometries:q} --output {output.frames:q}"
        " --failures {output.failures:q} --shard {wildcards.shard} --shards {params.shards:q}"
        " --settings {params.settings:q} {params.known} --log {log:q} >> {log:q} 2>&1"


rule check_reference:
    input:
        **code("check_reference"),
        shards=SHARDS,
    output:
        "<results>/labelling/quality.csv",
    log:
        "<logs>/labelling/check_reference.log",
    conda:
        "../../envs/reference.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("1h"),
    params:
        settings=as_json(config["labelling"]["level"]),
        structures=config["labelling"]["checked"],
        seed=config["labelling"]["seed"],
    message:
        "Check {params.structures} reference labels by finite differences, a finer grid and tighter convergence."
    shell:
        "python {input.script:q} --shards {input.shards:q} --structures {params.structures:q}"
        " --seed {params.seed:q} --settings {params.settings:q} --output {output:q} --log {log:q} >> {log:q} 2>&1"


rule assemble_benchmark:
    input:
        **code("assemble_benchmark"),
        molecules=own("resources/benchmark/molecules.csv"),
        quality=rules.check_reference.output[0],
        shards=SHARDS,
        failures=expand(
            "<results>/labelling/shards/{shard}.failures.csv",
            shard=range(config["labelling"]["shards"]),
        ),
    output:
        sums="<results>/labelling/benchmark/SHA256SUMS",
        sheet="<results>/labelling/benchmark/DATASHEET.md",
    log:
        "<logs>/labelling/assemble_benchmark.log",
    conda:
        "../../envs/reference.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing("10m"),
    params:
        directory=subpath(output.sums, parent=True),
        settings=as_json(config["labelling"]),
    message:
        "Write the labelled benchmark, one file per group, with data sheet and checksums."
    shell:
        "python {input.script:q} --molecules {input.molecules:q} --shards {input.shards:q}"
        " --shard-failures {input.failures:q} --quality {input.quality:q} --settings {params.settings:q}"
        " --output {params.directory:q} --log {log:q} >> {log:q} 2>&1"


# The third edition of the embedded benchmark, `snakemake third_edition`: its geometries, at the level of the stress set.

BENCHMARK_GROUPS = "train id_test".split() + [
    f"{half}_{kind}"
    for half in ("val", "ood")
    for kind in "new_elements connectivity force_norm larger".split()
]
EDITION = own("resources/benchmark/third_edition")
EDITION_SHARDS = 138


use rule label_reference as label_benchmark with:
    input:
        # labels that are there stay, whatever was edited since
        **settled(
            **code("label_reference"),
            geometries=expand(
                own("resources/benchmark/{group}.extxyz"), group=BENCHMARK_GROUPS
            ),
            level=f"{EDITION}/level.json",
        ),
    output:
        frames=f"{EDITION}/shards/{{shard}}.extxyz",
        failures=f"{EDITION}/shards/{{shard}}.failures.csv",
    log:
        "<logs>/labelling/label_benchmark_{shard}.log",
    wildcard_constraints:
        shard=r"\d{3}",
    params:
        settings=lambda wildcards, input: input.level,
        shards=EDITION_SHARDS,
        known=KNOWN_LABELS,
    message:
        "Label shard {wildcards.shard} of the third edition of the benchmark with PySCF."


# The stress set, `snakemake stress`: labels the shards that resources/stress/shards lacks, checks some labels and
# assembles the set. Its data sheet says more.

STRESS = own("resources/stress")
STRESS_SHARDS = 49
# what is shipped is no output of a rule, or a run that reads it would make it anew
STRESS_SET = "<results>/labelling/stress_set"
STRESS_GROUPS = (
    "ordinary hot stretched compressed strained radicals ions elements floppy".split()
)
CALIBRATION = own("resources/calibration")
STRESS_SHARDS_LABELLED, STRESS_SHARDS_FAILED = (
    [f"{STRESS}/shards/{k:03d}{suffix}" for k in range(STRESS_SHARDS)]
    for suffix in (".extxyz", ".failures.csv")
)


rule sample_stress:
    input:
        **code("sample_stress"),
        molecules=f"{STRESS}/molecules.csv",
        cages=f"{STRESS}/cages.extxyz",
        benchmark=expand(
            own("resources/benchmark/{group}.extxyz"), group=BENCHMARK_GROUPS
        ),
    output:
        geometries="<results>/labelling/stress/geometries.extxyz",
    log:
        "<logs>/labelling/sample_stress.log",
    conda:
        "../../envs/reference.yaml"
    threads: 2
    resources:
        mem_mb=growing(2000),
        runtime=growing("1h"),
    params:
        seed=config["labelling"]["seed"],
        options=lambda wildcards, input: options(
            cages=input.cages, benchmark=input.benchmark
        ),
    message:
        "Sample the geometries of the stress set; copy them to resources/stress to label them."
    shell:
        "python {input.script:q} --molecules {input.molecules:q} {params.options} --output {output.geometries:q}"
        " --seed {params.seed:q} --threads {threads} --log {log:q} >> {log:q} 2>&1"


# ordinary molecules on which a model that is good for anything is trusted; no labels
use rule sample_stress as sample_calibration with:
    input:
        **code("sample_stress"),
        molecules=f"{CALIBRATION}/molecules.csv",
    output:
        geometries="<results>/labelling/calibration/geometries.extxyz",
        failures="<results>/labelling/calibration/failures.csv",
    log:
        "<logs>/labelling/sample_calibration.log",
    params:
        seed=7,
        options=lambda wildcards, output: options(
            group="train", failures=output.failures
        ),
    message:
        "Sample the geometries of the calibration set; copy them to resources/calibration."


rule label_stress:
    input:
        # labels that are there stay, whatever was edited since
        **settled(
            **code("label_stress"),
            geometries=f"{STRESS}/geometries.extxyz",
            level=f"{STRESS}/level.json",
        ),
    output:
        frames=f"{STRESS}/shards/{{shard}}.extxyz",
        failures=f"{STRESS}/shards/{{shard}}.failures.csv",
    log:
        "<logs>/labelling/label_stress_{shard}.log",
    wildcard_constraints:
        shard=r"\d{3}",
    conda:
        "../../envs/reference.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("4h"),
    params:
        number=lambda wildcards: int(wildcards.shard),
        shards=STRESS_SHARDS,
        largest=10,
    message:
        "Label shard {wildcards.shard} of the stress set with PySCF."
    shell:
        "python {input.script:q} --geometries {input.geometries:q} --output {output.frames:q}"
        " --failures {output.failures:q} --shard {params.number:q} --shards {params.shards:q}"
        " --settings {input.level:q} --largest-force {params.largest:q} --log {log:q} >> {log:q} 2>&1"


rule check_stress:
    input:
        # as the labels
        **settled(
            **code("check_stress"),
            level=f"{STRESS}/level.json",
        ),
        shards=if_there("stress", ancient(STRESS_SHARDS_LABELLED)),
    output:
        f"{STRESS}/quality.csv",
    log:
        "<logs>/labelling/check_stress.log",
    conda:
        "../../envs/reference.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("2h"),
    params:
        structures=8,
        seed=config["labelling"]["seed"],
    message:
        "Check {params.structures} labels of the stress set by finite differences, a finer grid and tighter convergence."
    shell:
        "python {input.script:q} --shards {input.shards:q} --structures {params.structures:q}"
        " --seed {params.seed:q} --settings {input.level:q} --output {output:q} --log {log:q} >> {log:q} 2>&1"


rule assemble_stress:
    input:
        **code("assemble_stress"),
        molecules=f"{STRESS}/molecules.csv",
        geometries=f"{STRESS}/geometries.extxyz",
        shards=if_there("stress", STRESS_SHARDS_LABELLED),
        failures=if_there("stress", STRESS_SHARDS_FAILED),
        quality=if_there("stress", rules.check_stress.output),
    output:
        groups=expand(
            f"{STRESS_SET}/{{half}}_{{group}}.extxyz",
            half=["val", "ood"],
            group=STRESS_GROUPS,
        ),
        sums=f"{STRESS_SET}/SHA256SUMS",
        failures=f"{STRESS_SET}/failures.csv",
        sheet=f"{STRESS_SET}/README.md",
    log:
        "<logs>/labelling/assemble_stress.log",
    localrule: True
    conda:
        "../../envs/reference.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing("10m"),
    params:
        directory=subpath(output.sums, parent=True),
        shards=STRESS_SHARDS,
        quality=lambda wildcards, input: (
            options(quality=input.quality) if input.quality else ""
        ),
    message:
        "Write what is labelled of the stress set, one file per half and group; copy it to resources/stress."
    shell:
        "python {input.script:q} --molecules {input.molecules:q} --geometries {input.geometries:q}"
        " --shards {input.shards:q} --shard-failures {input.failures:q} --of {params.shards:q} {params.quality}"
        " --output {params.directory:q} --log {log:q} >> {log:q} 2>&1"

# Curated frames and their GFN-xTB labels.

# pretrain: training structures and rattled copies; test: what is predicted;
# unlabelled: what broad pre-training sees, with rattled copies; pool: geometries of the test molecules, the first half
# of each, on which they are adapted for the curve over the number of geometries; copies: rattled copies of every test
# structure, by which an adaptation can be stopped
SETS = {
    name: f"<results>/frames/{name}.h5"
    for name in ("pretrain", "test", "unlabelled", "pool", "copies")
}


rule curate:
    input:
        **code("curate"),
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
        settings=as_json(config["data"]),
    message:
        "Check and convert the input structures; test labels go into a store of their own."
    shell:
        "python {input.script} --settings {params.settings:q}"
        " --train {output.train} --train-reference {output.train_reference}"
        " --test {output.test} --test-reference {output.test_reference}"
        " --validation-reference {output.validation_reference} --unlabelled {output.unlabelled}"
        " --failures {output.failures} --log {log}"


rule augment:
    input:
        **code("augment"),
        frames=rules.curate.output.train,
    output:
        SETS["pretrain"],
    log:
        "<logs>/augment.log",
    benchmark:
        "<benchmarks>/augment.tsv"
    conda:
        "../../envs/xtb.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("10m"),
    params:
        copies=config["prior"]["rattled_copies"],
        sigma=config["prior"]["rattle_sigma_A"],
        seed=config["prior"]["seed"],
    message:
        "Add rattled copies of the training structures for the prior to label."
    shell:
        "python {input.script} --frames {input.frames} --output {output}"
        " --copies {params.copies} --sigma {params.sigma} --seed {params.seed} --log {log}"


rule augment_pool:
    input:
        **code("augment"),
        frames=rules.curate.output.test,
    output:
        SETS["pool"],
    log:
        "<logs>/augment_pool.log",
    benchmark:
        "<benchmarks>/augment_pool.tsv"
    conda:
        "../../envs/xtb.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("10m"),
    params:
        pool=max(config["conformers"]["counts"]),
        copies=config["conformers"]["rattled_copies"],
        sigma=config["conformers"]["rattle_sigma_A"],
        seed=config["prior"]["seed"],
    message:
        "Take up to {params.pool} geometries of every test molecule, with rattled copies, to adapt on."
    shell:
        "python {input.script} --frames {input.frames} --output {output} --pool {params.pool}"
        " --copies {params.copies} --sigma {params.sigma} --seed {params.seed} --log {log}"


rule augment_copies:
    input:
        **code("augment"),
        frames=rules.curate.output.test,
    output:
        SETS["copies"],
    log:
        "<logs>/augment_copies.log",
    benchmark:
        "<benchmarks>/augment_copies.tsv"
    conda:
        "../../envs/xtb.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("10m"),
    params:
        copies=config["ttt"]["held_out_copies"],
        sigma=config["prior"]["rattle_sigma_A"],
        seed=config["prior"]["seed"],
    message:
        "Rattle every test structure, for an adaptation to be stopped by the prior labels of the copies."
    shell:
        "python {input.script} --frames {input.frames} --output {output}"
        " --copies {params.copies} --sigma {params.sigma} --seed {params.seed} --log {log}"


rule augment_unlabelled:
    input:
        **code("augment"),
        frames=[rules.curate.output.test, rules.curate.output.unlabelled],
    output:
        SETS["unlabelled"],
    log:
        "<logs>/augment_unlabelled.log",
    benchmark:
        "<benchmarks>/augment_unlabelled.tsv"
    conda:
        "../../envs/xtb.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("10m"),
    params:
        groups=["unlabelled", *config["prior"]["unlabelled_groups"]],
        copies=config["prior"]["rattled_copies"],
        sigma=config["prior"]["rattle_sigma_A"],
        seed=config["prior"]["seed"],
    message:
        "Put the unlabelled structures together, with rattled copies, for broad pre-training."
    shell:
        "python {input.script} --frames {input.frames} --output {output} --groups {params.groups}"
        " --copies {params.copies} --sigma {params.sigma} --seed {params.seed} --log {log}"


rule label_prior:
    input:
        **code("label_prior"),
        frames=lambda wildcards: SETS[wildcards.set],
    output:
        labels="<results>/prior/shards/{set}/{scatteritem}.h5",
        failures="<results>/prior/shards/{set}/{scatteritem}.csv",
        timing="<results>/prior/shards/{set}/{scatteritem}.json",
    log:
        "<logs>/label_prior/{set}_{scatteritem}.log",
    benchmark:
        "<benchmarks>/label_prior/{set}_{scatteritem}.tsv"
    conda:
        "../../envs/xtb.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing("2h"),
    params:
        method=config["prior"]["method"],
        engine=config["prior"]["engine"],
        accuracy=config["prior"]["accuracy"],
    message:
        "Label shard {wildcards.scatteritem} of the {wildcards.set} structures with {params.method}."
    shell:
        "python {input.script} --frames {input.frames} --method {params.method}"
        " --engine {params.engine} --accuracy {params.accuracy}"
        " --shard {wildcards.scatteritem} --output {output.labels}"
        " --failures {output.failures} --timing {output.timing} --log {log}"


rule gather_prior:
    input:
        **code("gather_prior"),
        frames=lambda wildcards: SETS[wildcards.set],
        shards=gather.prior("<results>/prior/shards/{{set}}/{scatteritem}.h5"),
        failures=gather.prior("<results>/prior/shards/{{set}}/{scatteritem}.csv"),
        timings=gather.prior("<results>/prior/shards/{{set}}/{scatteritem}.json"),
    output:
        labels="<results>/prior/{set}.h5",
        failures="<results>/failures/prior_{set}.csv",
        timing="<results>/timings/prior/{set}.json",
    log:
        "<logs>/gather_prior/{set}.log",
    benchmark:
        "<benchmarks>/gather_prior/{set}.tsv"
    conda:
        "../../envs/xtb.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("10m"),
    params:
        method=config["prior"]["method"],
        engine=config["prior"]["engine"],
    message:
        "Put the prior labels of all {wildcards.set} shards into the order of the frames."
    shell:
        "python {input.script} --frames {input.frames} --method {params.method} --engine {params.engine}"
        " --shards {input.shards}"
        " --shard-failures {input.failures} --shard-timings {input.timings}"
        " --output {output.labels} --failures {output.failures} --timing {output.timing} --log {log}"


# labels whose forces are a criterion of shift: those of the training structures and of the test structures
FORCES = {
    "prior": ["<results>/prior/pretrain.h5", "<results>/prior/test.h5"],
    "reference": [
        rules.curate.output.train_reference,
        rules.curate.output.test_reference,
    ],
}


rule diagnose_shifts:
    input:
        **code("diagnose_shifts"),
        train=rules.curate.output.train,
        test=rules.curate.output.test,
        labels=lambda wildcards: [
            path for kind in config["shifts"]["labels"] for path in FORCES[kind]
        ],
    output:
        shifts="<results>/tables/shifts.csv",
        summary="<results>/tables/shift_summary.csv",
        sweep="<results>/tables/shift_sweep.csv",
    log:
        "<logs>/diagnose_shifts.log",
    benchmark:
        "<benchmarks>/diagnose_shifts.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("20m"),
    params:
        cutoff=config["spectra"]["cutoff_A"],
        variant=config["spectra"]["variant"],
        sample=config["shifts"]["sample"],
        seed=config["shifts"]["seed"],
        sigma=config["statistics"]["sigma"],
        labels=lambda wildcards, input: " ".join(
            f"--labels {kind} {train} {test}"
            for kind, train, test in zip(
                config["shifts"]["labels"], input.labels[::2], input.labels[1::2]
            )
        ),
    message:
        "Measure every structure's distance from the training set on the three shift axes."
    shell:
        "python {input.script} --train {input.train} --test {input.test}"
        " {params.labels} --cutoff {params.cutoff} --variant {params.variant}"
        " --sample {params.sample} --seed {params.seed} --sigma {params.sigma}"
        " --output {output.shifts} --summary {output.summary} --sweep {output.sweep} --log {log}"

# How far every structure lies from the training set, on the three axes of shift.

# labels whose forces are a criterion of shift: those of the training structures and of the test structures
FORCES = {
    "prior": ["<results>/prior/pretrain.h5", "<results>/prior/test.h5"],
    "reference": [
        rules.curate.output.train_reference,
        rules.curate.output.test_reference,
    ],
}

# statistics of the training structures, which another run can take in their place
TRAINED = bool(config["data"]["files"].get("train"))
STATISTICS = config["data"]["training_statistics"]

if TRAINED and STATISTICS:
    refuse(
        f"data.training_statistics is {STATISTICS} beside the training structures of data.files.train; give one of them"
    )


rule diagnose_shifts:
    input:
        **code("diagnose_shifts"),
        train=rules.curate.output.train,
        test=rules.curate.output.test,
        labels=lambda wildcards: [
            path
            for kind in config["shifts"]["labels"]
            for path in (FORCES[kind] if TRAINED else FORCES[kind][1:])
        ],
        statistics=lambda wildcards: (
            present([STATISTICS], "data.training_statistics") if STATISTICS else []
        ),
        label_check=ancient(
            LABEL_CHECKS if "reference" in config["shifts"]["labels"] else []
        ),
    output:
        **({"training": "<results>/shifts/training.h5"} if TRAINED else {}),
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
            options(labels=[kind, train, test])
            for kind, train, test in zip(
                config["shifts"]["labels"],
                input.labels[:: 1 + TRAINED],
                input.labels[TRAINED :: 1 + TRAINED],
            )
        ),
        training=lambda wildcards, input, output: (
            options(training=output.training, name=config["run"] or "default")
            if TRAINED
            else options(statistics=input.statistics) if STATISTICS else ""
        ),
    message:
        "Measure every structure's distance from the training set on the three shift axes."
    shell:
        "python {input.script:q} --train {input.train:q} --test {input.test:q}"
        " {params.labels} {params.training} --cutoff {params.cutoff:q} --variant {params.variant:q}"
        " --sample {params.sample:q} --seed {params.seed:q} --sigma {params.sigma:q}"
        " --output {output.shifts:q} --summary {output.summary:q} --sweep {output.sweep:q} --log {log:q} >> {log:q} 2>&1"

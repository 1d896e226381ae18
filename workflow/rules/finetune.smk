# A few reference labels of molecules that are new to a model: fine-tuning before and after test-time training. The labels
# are those of the groups labelled_NAME of data.files; no reference label of a test structure is an input of rule finetune.

AMOUNTS = [str(n) for n in sorted(FINETUNING["counts"])]
AMOUNTS += [f"{100 * share:g}pct" for share in sorted(FINETUNING["fractions"])]
# no label is no label, with replay or without
TUNINGS = [
    f"{'replay' if replay else 'plain'}_{amount}"
    for replay in sorted(FINETUNING["replay"])
    for amount in AMOUNTS
    if amount != "0" or not replay
]
TUNED_MODEL = "<results>/finetuning/{group}/{start}/seed{seed}"
for name in TUNED:
    if f"labelled_{name.partition('_')[2]}" not in config["data"]["files"]:
        refuse(
            f"finetuning.groups: {name} has no labelled structures; give some in"
            f" data.files.labelled_{name.partition('_')[2]}, none of those that are tested"
        )
    if name not in config["data"]["files"]:
        refuse(f"finetuning.groups: data.files has no group {name}; give one")
for name in FINETUNING["starts"]:
    if name not in SCHEMES and not (
        name in KINDS and "reference" in KINDS[name].learnt
    ):
        refuse(
            f"finetuning.starts: {name} is no scheme of conformers.schemes and no strategy that learns reference labels"
        )


rule finetune:
    input:
        unpack(inputs_of_start),
        **code("finetune", BACKBONE),
        model=lambda wildcards: MODEL.format(
            strategy=strategy_of_start(wildcards), seed=wildcards.seed
        ),
        frames=rules.curate.output.test,
        pool=SETS["pool"],
        labelled=SETS["labelled"],
        reference=rules.curate.output.labelled_reference,
        label_check=ancient("<results>/label_check/labelled.csv"),
        duplicates=rules.curate.output.duplicates,
        train=rules.curate.output.train,
        train_reference=rules.curate.output.train_reference,
    output:
        predictions=[f"{TUNED_MODEL}/{run}.h5" for run in TUNINGS],
        courses=f"{TUNED_MODEL}/courses.json",
    log:
        "<logs>/finetune/{group}_{start}_{seed}.log",
    benchmark:
        "<benchmarks>/finetune/{group}_{start}_{seed}.tsv"
    wildcard_constraints:
        group=r"(val|ood)_[a-z0-9_]+",
        start=r"[a-z][a-z0-9_]*",
    conda:
        NETWORK_ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing("4h"),
    params:
        python=lambda wildcards: interpreter(NETWORK),
        device=config["model"]["device"],
        directory=subpath(input.model, parent=True),
        options=options_of_start,
        settings=as_json(
            {
                key: FINETUNING[key]
                for key in "steps passes learning_rates folds held_out batch energy_weight".split()
            }
        ),
        geometries=FINETUNING["geometries"],
        copies=config["conformers"]["rattled_copies"],
        runs=TUNINGS,
    message:
        "Fine-tune {wildcards.start} on labels of {wildcards.group}, seed {wildcards.seed}."
    shell:
        "{params.python:q} {input.script:q} --device {params.device:q} --model {params.directory:q}"
        " --start {wildcards.start} --group {wildcards.group} --frames {input.frames:q} --pool {input.pool:q}"
        " --labelled {input.labelled:q} --reference {input.reference:q} --duplicates {input.duplicates:q}"
        " --train {input.train:q} --train-reference {input.train_reference:q} {params.options}"
        " --geometries {params.geometries} --copies {params.copies} --settings {params.settings:q}"
        " --seed {wildcards.seed} --output {output.predictions:q} --courses {output.courses:q} --log {log:q}"
        " >> {log:q} 2>&1"


rule evaluate_finetuning:
    input:
        **code("evaluate_finetuning"),
        frames=rules.curate.output.test,
        reference=rules.curate.output.test_reference,
        predictions=expand(
            [f"{TUNED_MODEL}/{run}.h5" for run in TUNINGS],
            group=TUNED,
            start=FINETUNING["starts"],
            seed=SEEDS,
        ),
        courses=expand(
            rules.finetune.output.courses,
            group=TUNED,
            start=FINETUNING["starts"],
            seed=SEEDS,
        ),
    output:
        **written("evaluate_finetuning"),
    log:
        "<logs>/evaluate_finetuning.log",
    benchmark:
        "<benchmarks>/evaluate_finetuning.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("30m"),
    params:
        target=FINETUNING["target_meV_per_A"],
        resamples=config["statistics"]["resamples"],
        seed=config["statistics"]["seed"],
    message:
        "Compare what was fine-tuned with the reference labels."
    shell:
        "python {input.script:q} --frames {input.frames:q} --reference {input.reference:q}"
        " --predictions {input.predictions:q} --courses {input.courses:q} --target {params.target}"
        " --resamples {params.resamples} --seed {params.seed} --finetuning {output.finetuning:q}"
        " --curves {output.learning_curves:q} --needed {output.labels_needed:q} --log {log:q} >> {log:q} 2>&1"

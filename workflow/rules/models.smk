# Models of the registry (config/models.yaml), each in an environment of its own, and the diagnosis of their errors.
# Not part of the default run: `snakemake diagnose`.

PREDICTED = {"train": "<results>/frames/train.h5", "test": "<results>/frames/test.h5"}
TEACHER = config["mace"]["teacher"]
DIAGNOSIS = list(tables_of.DIAGNOSIS)
DIAGNOSIS_FIGURES = [f"show/figures/{name}" for name in figures_of.DIAGNOSIS]


rule train_mace:
    input:
        **code("train_mace"),
        frames=rules.curate.output.train,
        reference=[] if TEACHER else rules.curate.output.train_reference,
        teacher=f"<results>/models/external/{TEACHER}/train.h5" if TEACHER else [],
        label_check=[] if TEACHER else ancient("<results>/label_check/train.csv"),
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
        labels=lambda wildcards, input: options(
            **(
                {"teacher": input.teacher}
                if input.teacher
                else {"reference": input.reference}
            )
        ),
        of=f"those of {TEACHER}" if TEACHER else "the reference labels",
    message:
        "Train a small MACE on {params.of}."
    shell:
        "{params.python:q} {input.script:q} --frames {input.frames:q} {params.labels}"
        " --settings {params.settings:q} --output {output.checkpoint:q} --timing {output.timing:q} --log {log:q}"
        " >> {log:q} 2>&1"


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
        level=options(level=config["data"]["level"]) if config["data"]["level"] else "",
    message:
        "Find the structures that {wildcards.model} cannot take."
    # the lines are for the terminal; the log has what the script itself prints
    shell:
        "python {input.script:q} --model {wildcards.model} --entry {params.entry:q} {params.level}"
        " --train {input.train:q} --test {input.test:q} --output {output.excluded:q} --lines {output.lines:q}"
        " --log {log:q} >> {log:q} 2>&1 && cat {output.lines:q} >&2"


rule predict_model:
    input:
        **code("predict_model"),
        family=model_family,
        frames=lambda wildcards: PREDICTED[wildcards.set],
        excluded=rules.check_model.output.excluded,
        checkpoint=model_checkpoint,
        depends=model_files,
    output:
        predictions="<results>/models/external/{model}/{set}.h5",
        embedding="<results>/models/external/{model}/{set}_embedding.h5",
        failures="<results>/failures/models/{model}_{set}.csv",
        notes="<results>/models/external/{model}/{set}_notes.txt",
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
        python=model_interpreter,
        entry=model_settings(OPERATIVE),
        options=lambda wildcards, input: options(
            **{"checkpoint": input.checkpoint} if input.checkpoint else {},
            **{"depends": list(input.depends)} if input.depends else {},
            **{
                option: []
                for option, key in (
                    ("knows-charge", "charge"),
                    ("features", "features"),
                )
                if model_entry(wildcards.model)[key]
            },
        ),
    message:
        "Predict the {wildcards.set} structures with {wildcards.model}."
    shell:
        "{params.python:q} {input.script:q} --model {wildcards.model} --entry {params.entry:q} {params.options}"
        " --frames {input.frames:q} --set {wildcards.set} --excluded {input.excluded:q}"
        " --output {output.predictions:q} --embedding {output.embedding:q} --failures {output.failures:q}"
        " --notes {output.notes:q} --timing {output.timing:q} --log {log:q} >> {log:q} 2>&1"
        " && cat {output.notes:q} >&2"


rule diagnose_model:
    input:
        **code("diagnose_model"),
        train=rules.curate.output.train,
        test=rules.curate.output.test,
        reference_train=rules.curate.output.train_reference,
        reference_test=rules.curate.output.test_reference,
        predictions_train="<results>/models/external/{model}/train.h5",
        predictions_test="<results>/models/external/{model}/test.h5",
        embedding_train="<results>/models/external/{model}/train_embedding.h5",
        embedding_test="<results>/models/external/{model}/test_embedding.h5",
        shifts=rules.diagnose_shifts.output.shifts,
        label_check=ancient(LABEL_CHECKS),
    output:
        **{name: f"<results>/diagnosis/{{model}}/{name}.csv" for name in DIAGNOSIS},
        summary="<results>/diagnosis/{model}/diagnosis.json",
    log:
        "<logs>/diagnosis/{model}.log",
    benchmark:
        "<benchmarks>/diagnosis/{model}.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("1h"),
    params:
        sigma=config["statistics"]["sigma"],
        resamples=config["statistics"]["resamples"],
        seed=config["statistics"]["seed"],
        directory=subpath(output.summary, parent=True),
    message:
        "Compare the errors of {wildcards.model} with the measures of shift."
    shell:
        "python {input.script:q} --model {wildcards.model} --train {input.train:q} --test {input.test:q}"
        " --reference-train {input.reference_train:q} --reference-test {input.reference_test:q}"
        " --predictions-train {input.predictions_train:q} --predictions-test {input.predictions_test:q}"
        " --embedding-train {input.embedding_train:q} --embedding-test {input.embedding_test:q}"
        " --shifts {input.shifts:q} --sigma {params.sigma} --resamples {params.resamples} --seed {params.seed}"
        " --output {params.directory:q} --log {log:q} >> {log:q} 2>&1"


rule plot_shift:
    input:
        **code("plot_shift", *DIAGNOSIS_FIGURES),
        shifts=rules.diagnose_shifts.output.shifts,
    output:
        # which figures there are depends on the labels
        directory("<results>/diagnosis/figures"),
    log:
        "<logs>/diagnosis/figures.log",
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing("20m"),
    params:
        options=lambda wildcards, input: options(
            shifts=input.shifts, sigma=config["statistics"]["sigma"]
        ),
    message:
        "Draw the measures of shift of all structures."
    shell:
        "python {input.script:q} {params.options} --output {output:q} --log {log:q} >> {log:q} 2>&1"


use rule plot_shift as plot_diagnosis with:
    input:
        **code("plot_shift", *DIAGNOSIS_FIGURES),
        tables=[f"<results>/diagnosis/{{model}}/{name}.csv" for name in DIAGNOSIS],
        summary=rules.diagnose_model.output.summary,
    output:
        directory("<results>/diagnosis/{model}/figures"),
    log:
        "<logs>/diagnosis/{model}_figures.log",
    params:
        options=lambda wildcards, input: options(
            tables=Path(input.summary).parent,
            title=models.entry(wildcards.model)["title"],
        ),
        title=lambda wildcards: models.entry(wildcards.model)["title"],
    message:
        "Draw the diagnosis of {wildcards.model}."


rule explore_diagnosis:
    input:
        **code("explore_diagnosis"),
        frames=rules.curate.output.test,
        reference=rules.curate.output.test_reference,
        shifts=rules.diagnose_shifts.output.shifts,
        summaries=expand(rules.diagnose_model.output.summary, model=DIAGNOSED),
        predictions=expand("<results>/models/external/{model}/test.h5", model=DIAGNOSED),
        embeddings=expand(
            "<results>/models/external/{model}/test_embedding.h5", model=DIAGNOSED
        ),
        template=EXPLORER,
    output:
        "<results>/explorer_diagnosis.html",
    log:
        "<logs>/diagnosis/explorer.log",
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing("10m"),
    params:
        models=lambda wildcards, input: [str(Path(p).parent) for p in input.summaries],
        titles=lambda wildcards: [models.entry(name)["title"] for name in DIAGNOSED],
    message:
        "Write the explorer of the diagnosis, one HTML file."
    shell:
        "python {input.script:q} --frames {input.frames:q} --reference {input.reference:q} --shifts {input.shifts:q}"
        " --models {params.models:q} --predictions {input.predictions:q} --embeddings {input.embeddings:q}"
        " --titles {params.titles:q} --report diagnosis.html --template {input.template[0]:q} --output {output:q}"
        " --log {log:q} >> {log:q} 2>&1"


rule report_diagnosis:
    input:
        **code("report_diagnosis"),
        shift_summary=rules.diagnose_shifts.output.summary,
        sweep=rules.diagnose_shifts.output.sweep,
        criteria=rules.plot_shift.output[0],
        summaries=expand("<results>/diagnosis/{model}/diagnosis.json", model=DIAGNOSED),
        figures=expand("<results>/diagnosis/{model}/figures", model=DIAGNOSED),
        capability=expand(rules.check_model.output.lines, model=DIAGNOSED),
        read=tables_of.paths(tables_of.INPUT, "<results>"),
        lines=INPUT_LINES,
        failures=expand(
            "<results>/failures/models/{model}_{set}.csv",
            model=DIAGNOSED,
            set=PREDICTED,
        ),
        notes=expand(
            "<results>/models/external/{model}/{set}_notes.txt",
            model=DIAGNOSED,
            set=PREDICTED,
        ),
        template=own("workflow/report/diagnosis.html.j2"),
        parts=own("workflow/report/parts.j2"),
        explorer=rules.explore_diagnosis.output[0],
        statistics=rules.diagnose_shifts.input.statistics,
    output:
        "<results>/diagnosis.html",
    log:
        "<logs>/diagnosis/report.log",
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing("10m"),
    params:
        models=lambda wildcards, input: [str(Path(p).parent) for p in input.summaries],
        titles=lambda wildcards: [models.entry(name)["title"] for name in DIAGNOSED],
        sigma=config["statistics"]["sigma"],
        cutoff=config["spectra"]["cutoff_A"],
        run=f"--run {config['run']}" if config["run"] else "",
        statistics=options(statistics=STATISTICS) if STATISTICS else "",
    message:
        "Write the diagnosis, one HTML file."
    shell:
        "python {input.script:q} --shift-summary {input.shift_summary:q} --sweep {input.sweep:q}"
        " --criteria {input.criteria:q} --models {params.models:q} --model-figures {input.figures:q}"
        " --titles {params.titles:q} --capability {input.capability:q} --notes {input.notes:q}"
        " --input {input.read:q} --lines {input.lines:q} --failures {input.failures:q}"
        " --sigma {params.sigma} --cutoff {params.cutoff} {params.run} {params.statistics}"
        " --explorer {input.explorer:q} --template {input.template:q} --output {output:q} --log {log:q} >> {log:q} 2>&1"

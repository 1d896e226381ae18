# Diagnosis of models: how their error grows with the distance from the training data. Not part of the default run.

DIAGNOSED = list(config["models"])
DIAGNOSIS = list(tables_of.DIAGNOSIS)


rule diagnose:
    input:
        rules.diagnose_shifts.output,
        report="<results>/diagnosis.html",
    localrule: True
    message:
        "The diagnosis is {input.report}."


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
        "python {input.script} --model {wildcards.model} --train {input.train} --test {input.test}"
        " --reference-train {input.reference_train} --reference-test {input.reference_test}"
        " --predictions-train {input.predictions_train} --predictions-test {input.predictions_test}"
        " --embedding-train {input.embedding_train} --embedding-test {input.embedding_test}"
        " --shifts {input.shifts} --sigma {params.sigma} --resamples {params.resamples} --seed {params.seed}"
        " --output {params.directory} --log {log}"


rule plot_diagnosis:
    input:
        **code("plot_shift"),
        drawing=figure_modules(*(set(figures_of.DIAGNOSIS) - {"fig_criteria"})),
        tables=[f"<results>/diagnosis/{{model}}/{name}.csv" for name in DIAGNOSIS],
        summary=rules.diagnose_model.output.summary,
    output:
        # which figures there are depends on the labels
        directory("<results>/diagnosis/{model}/figures"),
    log:
        "<logs>/diagnosis/{model}_figures.log",
    localrule: True
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing("20m"),
    params:
        tables=subpath(input.summary, parent=True),
        title=lambda wildcards: models.entry(wildcards.model)["title"],
    message:
        "Draw the diagnosis of {wildcards.model}."
    shell:
        "python {input.script} --tables {params.tables} --title {params.title:q} --output {output} --log {log}"


rule plot_criteria:
    input:
        **code("plot_shift"),
        drawing=figure_modules("fig_criteria"),
        shifts=rules.diagnose_shifts.output.shifts,
    output:
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
        sigma=config["statistics"]["sigma"],
    message:
        "Draw the measures of shift of all structures."
    shell:
        "python {input.script} --shifts {input.shifts} --sigma {params.sigma} --output {output} --log {log}"


rule report_diagnosis:
    input:
        **code("report_diagnosis"),
        shift_summary=rules.diagnose_shifts.output.summary,
        sweep=rules.diagnose_shifts.output.sweep,
        criteria=rules.plot_criteria.output[0],
        summaries=expand("<results>/diagnosis/{model}/diagnosis.json", model=DIAGNOSED),
        figures=expand("<results>/diagnosis/{model}/figures", model=DIAGNOSED),
        capability=expand(rules.check_model.output.lines, model=DIAGNOSED),
        template=own("workflow/report/diagnosis.html.j2"),
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
    message:
        "Write the diagnosis, one HTML file."
    shell:
        "python {input.script} --shift-summary {input.shift_summary} --sweep {input.sweep} --criteria {input.criteria}"
        " --models {params.models} --model-figures {input.figures} --titles {params.titles:q}"
        " --capability {input.capability}"
        " --sigma {params.sigma} --cutoff {params.cutoff} {params.run}"
        " --template {input.template} --output {output} --log {log}"

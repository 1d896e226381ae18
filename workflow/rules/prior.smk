# Rattled copies of the curated frames, and GFN-xTB labels of them all.


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
        options=options(
            copies=config["prior"]["rattled_copies"],
            sigma=config["prior"]["rattle_sigma_A"],
            seed=config["prior"]["seed"],
        ),
    message:
        "Add rattled copies of the training structures for the prior to label."
    shell:
        "python {input.script:q} --frames {input.frames:q} --output {output:q} {params.options}"
        " --log {log:q} >> {log:q} 2>&1"


use rule augment as augment_pool with:
    input:
        **code("augment"),
        frames=rules.curate.output.test,
    output:
        SETS["pool"],
    log:
        "<logs>/augment_pool.log",
    benchmark:
        "<benchmarks>/augment_pool.tsv"
    params:
        options=options(
            pool=max([*COUNTS, *([FINETUNING["geometries"]] if TUNED else [])]),
            copies=config["conformers"]["rattled_copies"],
            sigma=config["conformers"]["rattle_sigma_A"],
            seed=config["prior"]["seed"],
        ),
    message:
        "Take some geometries of every test molecule, with rattled copies, to adapt on."


use rule augment as augment_copies with:
    input:
        **code("augment"),
        frames=rules.curate.output.test,
    output:
        SETS["copies"],
    log:
        "<logs>/augment_copies.log",
    benchmark:
        "<benchmarks>/augment_copies.tsv"
    params:
        options=options(
            copies=config["ttt"]["held_out_copies"],
            sigma=config["prior"]["rattle_sigma_A"],
            seed=config["prior"]["seed"],
        ),
    message:
        "Rattle every test structure, for an adaptation to be stopped by the prior labels of the copies."


use rule augment as augment_unlabelled with:
    input:
        **code("augment"),
        frames=[rules.curate.output.test, rules.curate.output.unlabelled],
    output:
        SETS["unlabelled"],
    log:
        "<logs>/augment_unlabelled.log",
    benchmark:
        "<benchmarks>/augment_unlabelled.tsv"
    params:
        options=options(
            groups=["unlabelled", *config["prior"]["unlabelled_groups"]],
            copies=config["prior"]["rattled_copies"],
            sigma=config["prior"]["rattle_sigma_A"],
            seed=config["prior"]["seed"],
        ),
    message:
        "Put the unlabelled structures together, with rattled copies, for broad pre-training."


# reference labels of each molecule, of which such a prior makes its own
rule fit_prior:
    input:
        **code("fit_prior", "prior/engines/sgdml"),
        frames=[rules.curate.output.train, rules.curate.output.labelled],
        reference=[
            rules.curate.output.train_reference,
            rules.curate.output.labelled_reference,
        ],
        test=rules.curate.output.test,
        duplicates=rules.curate.output.duplicates,
    output:
        **written("fit_prior"),
        models=directory("<results>/prior/fitted"),
    log:
        "<logs>/fit_prior.log",
    benchmark:
        "<benchmarks>/fit_prior.tsv"
    conda:
        "../../envs/sgdml.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("4h"),
    params:
        python=lambda wildcards: interpreter("sgdml"),
        options=options(
            labels=config["prior"]["labels"],
            sigmas=config["prior"]["sigmas"],
            seed=config["prior"]["seed"],
        ),
    message:
        "Fit the prior to reference labels of every molecule, and count them."
    shell:
        "{params.python:q} {input.script:q} --frames {input.frames:q} --reference {input.reference:q}"
        " --test {input.test:q} --duplicates {input.duplicates:q} {params.options}"
        " --output {output.models:q} --table {output.prior_labels:q} --log {log:q} >> {log:q} 2>&1"


PRIOR_ENVIRONMENT = components.FITTED.get(config["prior"]["method"])
if bool(PRIOR_ENVIRONMENT) != bool(config["prior"]["labels"]):
    refuse(
        f"prior.labels is {config['prior']['labels']} and prior.method {config['prior']['method']}; sGDML needs"
        " reference labels of every molecule, 50 for one, and other priors need 0"
    )
for name, point in POINTS.items():
    if point["prior"] in components.FITTED:
        refuse(
            f"ablations.points.{name}.prior: {point['prior']} is no prior of a point; make a run with it (prior.method)"
        )


rule label_prior:
    input:
        **code("label_prior", f"prior/engines/{ENGINE}"),
        frames=lambda wildcards: SETS[wildcards.set],
        fitted=rules.fit_prior.output.models if PRIOR_ENVIRONMENT else [],
    output:
        labels="<results>/prior/shards/{set}/{scatteritem}.h5",
        failures="<results>/prior/shards/{set}/{scatteritem}.csv",
        timing="<results>/prior/shards/{set}/{scatteritem}.json",
    log:
        "<logs>/label_prior/{set}_{scatteritem}.log",
    benchmark:
        "<benchmarks>/label_prior/{set}_{scatteritem}.tsv"
    conda:
        "../../envs/sgdml.yaml" if PRIOR_ENVIRONMENT else "../../envs/xtb.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing("2h"),
    params:
        python=lambda wildcards: interpreter(PRIOR_ENVIRONMENT),
        fitted=lambda wildcards, input: (
            options(fitted=input.fitted) if input.get("fitted") else ""
        ),
        method=config["prior"]["method"],
        shard=lambda wildcards: wildcards.scatteritem,
        engine=config["prior"]["engine"],
        accuracy=config["prior"]["accuracy"],
    message:
        "Label shard {params.shard} of the {wildcards.set} structures with {params.method}."
    shell:
        "{params.python:q} {input.script:q} --frames {input.frames:q} --method {params.method:q}"
        " --engine {params.engine:q} --accuracy {params.accuracy:q} {params.fitted}"
        " --shard {params.shard:q} --output {output.labels:q}"
        " --failures {output.failures:q} --timing {output.timing:q} --log {log:q} >> {log:q} 2>&1"


rule gather_prior:
    input:
        **code("gather_prior", f"prior/engines/{ENGINE}"),
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
        "python {input.script:q} --frames {input.frames:q} --method {params.method:q} --engine {params.engine:q}"
        " --shards {input.shards:q}"
        " --shard-failures {input.failures:q} --shard-timings {input.timings:q}"
        " --output {output.labels:q} --failures {output.failures:q} --timing {output.timing:q} --log {log:q} >> {log:q} 2>&1"

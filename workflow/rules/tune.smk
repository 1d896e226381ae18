# How the hyper-parameters of test-time training were chosen: on the validation shift groups alone. `snakemake tune`.


rule tune_adaptation:
    input:
        **code("tune_adaptation", BACKBONE),
        model=MODEL,
        frames=rules.curate.output.test,
        reference=rules.curate.output.validation_reference,
        prior="<results>/prior/test.h5",
        pool=SETS["pool"],
        pool_prior="<results>/prior/pool.h5",
    output:
        "<results>/tuning/{strategy}_{seed}.csv",
    log:
        "<logs>/tune/{strategy}_{seed}.log",
    benchmark:
        "<benchmarks>/tune/{strategy}_{seed}.tsv"
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
        settings=as_json(
            TTT_SETTINGS
            | {
                "steps": config["tuning"]["steps"],
                "record": config["tuning"]["record"],
            }
        ),
        copies=config["conformers"]["rattled_copies"],
        levels=config["tuning"]["levels"],
        rates=config["tuning"]["learning_rates"],
    message:
        "Scan test-time training of {wildcards.strategy}, seed {wildcards.seed}, on the validation groups."
    shell:
        "{params.python:q} {input.script:q} --model {params.directory:q} --device {params.device:q}"
        " --frames {input.frames:q}"
        " --reference {input.reference:q} --prior {input.prior:q} --pool {input.pool:q}"
        " --pool-prior {input.pool_prior:q} --copies {params.copies:q} --settings {params.settings:q}"
        " --levels {params.levels:q} --learning-rates {params.rates:q} --output {output:q} --log {log:q} >> {log:q} 2>&1"

# Further adaptations to every test structure: `snakemake variants`.


use rule adapt_model as adapt_variant with:
    input:
        **code("adapt_model", BACKBONE),
        model=lambda wildcards: MODEL.format(
            strategy=VARIANTS[wildcards.variant]["strategy"], seed=wildcards.seed
        ),
        frames=rules.curate.output.test,
        prior="<results>/prior/test.h5",
        copies=lambda wildcards: [SETS["copies"]] if held_out(wildcards) else [],
        copies_prior=lambda wildcards: (
            ["<results>/prior/copies.h5"] if held_out(wildcards) else []
        ),
    output:
        predictions="<results>/variants/{variant}/seed{seed}.h5",
        failures="<results>/failures/variant_{variant}_{seed}.csv",
        timing="<results>/timings/variants/{variant}_{seed}.json",
    log:
        "<logs>/variants/{variant}_{seed}.log",
    benchmark:
        "<benchmarks>/variants/{variant}_{seed}.tsv"
    resources:
        mem_mb=growing(3000),
        runtime=growing("4h"),
    params:
        mode=lambda wildcards: VARIANTS[wildcards.variant]["mode"],
        settings=lambda wildcards: adaptation_settings(VARIANTS[wildcards.variant]),
        copies=lambda wildcards, input: (
            options(copies=input.copies, copies_prior=input.copies_prior)
            if input.copies
            else ""
        ),
        method=lambda wildcards: f"--method {wildcards.variant}",
    message:
        "Adaptation {wildcards.variant}, {params.mode} mode, seed {wildcards.seed}."

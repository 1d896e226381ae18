# Radius refinement, the spectral rewiring of the test graphs. No reference label of a test structure is an input.


rule refine_radius:
    input:
        **code("refine_radius", BACKBONE),
        model=MODEL,
        train=rules.curate.output.train,
        frames=rules.curate.output.test,
    output:
        predictions="<results>/refine/{strategy}/seed{seed}.h5",
        fallback="<results>/refine/{strategy}/seed{seed}_fallback.h5",
        choices="<results>/refine/{strategy}/seed{seed}_radii.csv",
        timing="<results>/timings/refine/{strategy}_{seed}.json",
    log:
        "<logs>/refine/{strategy}_{seed}.log",
    benchmark:
        "<benchmarks>/refine/{strategy}_{seed}.tsv"
    conda:
        NETWORK_ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("30m"),
    params:
        python=lambda wildcards: interpreter(NETWORK),
        device=config["model"]["device"],
        directory=subpath(input.model, parent=True),
        radii=config["refine"]["radii_A"],
        envelope=config["refine"]["envelope"],
        variant=config["spectra"]["variant"],
        sigma=config["statistics"]["sigma"],
    message:
        "Refine the radius of every test graph for {wildcards.strategy}, seed {wildcards.seed}."
    shell:
        "{params.python:q} {input.script:q} --model {params.directory:q} --device {params.device:q}"
        " --train {input.train:q} --frames {input.frames:q}"
        " --radii {params.radii:q} --envelope {params.envelope:q} --variant {params.variant:q} --sigma {params.sigma:q}"
        " --output {output.predictions:q} --output-fallback {output.fallback:q}"
        " --choices {output.choices:q} --timing {output.timing:q} --log {log:q} >> {log:q} 2>&1"

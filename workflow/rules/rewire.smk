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
        "{params.python} {input.script} --model {params.directory} --device {params.device}"
        " --train {input.train} --frames {input.frames}"
        " --radii {params.radii} --envelope {params.envelope} --variant {params.variant} --sigma {params.sigma}"
        " --output {output.predictions} --output-fallback {output.fallback}"
        " --choices {output.choices} --timing {output.timing} --log {log}"

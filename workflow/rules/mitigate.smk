# Base predictions, radius refinement and test-time training. None of these rules gets a reference
# label of a test structure as input.

ADAPTATION = (
    "steps",
    "learning_rate",
    "optimiser",
    "momentum",
    "weight_decay",
    "level",
    "heads",
    "force_weight",
    "energy_weight",
    "prior_weight",
    "pseudo_weight",
    "stop",
    "stop_fraction",
    "skip_below_eV_per_A",
    "interpolation",
    "predict",
    "record",
    "batch",
)
TTT_SETTINGS = {key: config["ttt"][key] for key in ADAPTATION if key in config["ttt"]}
MODEL = "<results>/models/{strategy}/seed{seed}/weights.pt"


rule predict:
    input:
        **code("predict"),
        backbone=BACKBONE,
        model=MODEL,
        frames=rules.curate.output.test,
        prior=lambda wildcards: (
            ["<results>/prior/test.h5"] if KINDS[wildcards.strategy].difference else []
        ),
    output:
        predictions="<results>/predictions/{strategy}/seed{seed}.h5",
        timing="<results>/timings/predict/{strategy}_{seed}.json",
    log:
        "<logs>/predict/{strategy}_{seed}.log",
    benchmark:
        "<benchmarks>/predict/{strategy}_{seed}.tsv"
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
        prior=lambda wildcards, input: f"--prior {input.prior}" if input.prior else "",
    message:
        "Predict the test structures with {wildcards.strategy}, seed {wildcards.seed}, unadapted."
    shell:
        "{params.python} {input.script} --model {params.directory} --device {params.device}"
        " --frames {input.frames} {params.prior}"
        " --output {output.predictions} --timing {output.timing} --log {log}"


rule refine_radius:
    input:
        **code("refine_radius"),
        backbone=BACKBONE,
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


rule adapt_model:
    input:
        **code("adapt_model"),
        backbone=BACKBONE,
        model=MODEL,
        frames=rules.curate.output.test,
        prior="<results>/prior/test.h5",
    output:
        predictions="<results>/adapt/{mode}/{strategy}/seed{seed}.h5",
        failures="<results>/failures/adapt_{mode}_{strategy}_{seed}.csv",
        timing="<results>/timings/adapt/{mode}_{strategy}_{seed}.json",
    log:
        "<logs>/adapt/{mode}_{strategy}_{seed}.log",
    benchmark:
        "<benchmarks>/adapt/{mode}_{strategy}_{seed}.tsv"
    conda:
        NETWORK_ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing("2h"),
    params:
        python=lambda wildcards: interpreter(NETWORK),
        device=config["model"]["device"],
        directory=subpath(input.model, parent=True),
        settings=as_json(TTT_SETTINGS),
    message:
        "Test-time training, {wildcards.mode} mode, of {wildcards.strategy}, seed {wildcards.seed}."
    shell:
        "{params.python} {input.script} --model {params.directory} --device {params.device}"
        " --frames {input.frames}"
        " --prior {input.prior} --mode {wildcards.mode} --settings {params.settings:q}"
        " --seed {wildcards.seed} --output {output.predictions} --failures {output.failures}"
        " --timing {output.timing} --log {log}"

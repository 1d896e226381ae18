# Where radius refinement can act: networks with several cutoffs at many radii. Reference labels of test structures are an
# input of the evaluation alone. Nothing without radius.networks and radius.models.

RADIUS = config["radius"]
RADII = RADIUS["radii_A"]
NETWORKS = {key: entry for key, entry in RADIUS["networks"].items() if entry}
RADIUS_SEEDS = RADIUS["seeds"] or SEEDS
RADIUS_RULES = {
    key: entry for key, entry in RADIUS["rules"].items() if entry is not None
}
# what of section motion is no setting of a run
MOTION_NAMES = ("networks", "groups", "chosen_by")
check_networks()


use rule train_model as train_network with:
    input:
        unpack(
            lambda wildcards: strategy_inputs(wildcards, f"radius/{wildcards.network}")
        ),
        **code("train_model"),
        backbone=network_backbone,
        frames=rules.curate.output.train,
    output:
        weights="<results>/radius/{network}/{strategy}/seed{seed}/weights.pt",
        card="<results>/radius/{network}/{strategy}/seed{seed}/model.json",
        timing="<results>/timings/radius/train_{network}_{strategy}_{seed}.json",
    log:
        "<logs>/radius/train_{network}_{strategy}_{seed}.log",
    benchmark:
        "<benchmarks>/radius/train_{network}_{strategy}_{seed}.tsv"
    conda:
        network_environment
    params:
        python=network_interpreter,
        architecture=architecture_of,
        settings=settings_of_network,
    message:
        "Train {wildcards.network} by strategy {wildcards.strategy} with seed {wildcards.seed}."


rule choose_radii:
    input:
        **code("choose_radii"),
        train=rules.curate.output.train,
        frames=rules.curate.output.test,
    output:
        choices="<results>/radius/{network}/choices.csv",
        timing="<results>/timings/radius/{network}_choices.json",
    log:
        "<logs>/radius/{network}_choices.log",
    benchmark:
        "<benchmarks>/radius/{network}_choices.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing("1h"),
    params:
        cutoff=lambda wildcards: NETWORKS[wildcards.network]["cutoff_A"],
        radii=lambda wildcards: in_its_range(wildcards.network),
        rules=as_json(RADIUS_RULES),
    message:
        "Choose the radius of every test graph for {wildcards.network} by every rule."
    shell:
        "python {input.script:q} --train {input.train:q} --frames {input.frames:q}"
        " --cutoff {params.cutoff:q} --radii {params.radii} --rules {params.rules:q}"
        " --choices {output.choices:q} --timing {output.timing:q} --log {log:q} >> {log:q} 2>&1"


rule scan_radii:
    input:
        **code("scan_radii"),
        backbone=network_backbone,
        model=rules.train_network.output.weights,
        frames=rules.curate.output.test,
        prior="<results>/prior/test.h5",
    output:
        scan="<results>/radius/{network}/{strategy}/seed{seed}/scan_{envelope}.h5",
        timing="<results>/timings/radius/{network}_{strategy}_{seed}_{envelope}.json",
    log:
        "<logs>/radius/scan_{network}_{strategy}_{seed}_{envelope}.log",
    benchmark:
        "<benchmarks>/radius/scan_{network}_{strategy}_{seed}_{envelope}.tsv"
    conda:
        network_environment
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing("1h"),
    params:
        python=network_interpreter,
        device=config["model"]["device"],
        directory=subpath(input.model, parent=True),
        cutoff=rules.choose_radii.params.cutoff,
        radii=rules.choose_radii.params.radii,
    message:
        "Predict the test structures at every radius with {wildcards.network}, {wildcards.strategy},"
        " seed {wildcards.seed}, envelope {wildcards.envelope}."
    shell:
        "{params.python:q} {input.script:q} --model {params.directory:q} --device {params.device:q}"
        " --frames {input.frames:q} --prior {input.prior:q} --cutoff {params.cutoff} --radii {params.radii}"
        " --envelope {wildcards.envelope} --method {wildcards.network}_{wildcards.strategy}"
        " --output {output.scan:q} --timing {output.timing:q} --log {log:q} >> {log:q} 2>&1"


rule adapt_rewired:
    input:
        **code("adapt_rewired"),
        backbone=network_backbone,
        model=rules.train_network.output.weights,
        frames=rules.curate.output.test,
        prior="<results>/prior/test.h5",
        choices=rules.choose_radii.output.choices,
    output:
        "<results>/radius/{network}/{strategy}/seed{seed}/ttt_{envelope}_{rewiring}.h5",
    log:
        "<logs>/radius/ttt_{network}_{strategy}_{seed}_{envelope}_{rewiring}.log",
    benchmark:
        "<benchmarks>/radius/ttt_{network}_{strategy}_{seed}_{envelope}_{rewiring}.tsv"
    conda:
        network_environment
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing("2h"),
    params:
        python=network_interpreter,
        device=config["model"]["device"],
        directory=subpath(input.model, parent=True),
        cutoff=rules.choose_radii.params.cutoff,
        settings=as_json(TTT_SETTINGS),
        choices=lambda wildcards, input: (
            "" if wildcards.rewiring == "nothing" else options(choices=input.choices)
        ),
    message:
        "Test-time training on graphs refined by {wildcards.rewiring}: {wildcards.network}, seed {wildcards.seed}."
    shell:
        "{params.python:q} {input.script:q} --model {params.directory:q} --device {params.device:q}"
        " --frames {input.frames:q} --prior {input.prior:q} {params.choices} --rule {wildcards.rewiring}"
        " --cutoff {params.cutoff} --envelope {wildcards.envelope} --settings {params.settings:q}"
        " --method {wildcards.strategy}_ttt --output {output:q} --log {log:q} >> {log:q} 2>&1"


rule evaluate_radii:
    input:
        **code("evaluate_radii"),
        frames=rules.curate.output.test,
        labels=rules.curate.output.test_reference,
        scans=files_of_networks("scans"),
        choices=files_of_networks("choices"),
        timings=files_of_networks("timings", "choose_timing"),
        adapted=files_of_networks("adapted"),
    output:
        **written("evaluate_radii"),
    log:
        "<logs>/evaluate_radii.log",
    benchmark:
        "<benchmarks>/evaluate_radii.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing("1h"),
    params:
        directory=subpath(output.radius_rules, parent=True),
        entries=as_json(network_entries()),
        margins=RADIUS["margins"],
        resamples=config["statistics"]["resamples"],
        seed=config["statistics"]["seed"],
    message:
        "What radius refinement did, beside the best radius that there is."
    shell:
        "python {input.script:q} --entries {params.entries:q} --frames {input.frames:q} --labels {input.labels:q}"
        " --margins {params.margins} --resamples {params.resamples} --seed {params.seed}"
        " --costs {output.radius_costs:q} --output {params.directory:q} --log {log:q} >> {log:q} 2>&1"


rule simulate_radius:
    input:
        **code("simulate_radius"),
        backbone=network_backbone,
        model=f"<results>/radius/{{network}}/joint/seed{RADIUS_SEEDS[0]}/weights.pt",
        train=rules.curate.output.train,
        frames=rules.curate.output.test,
    output:
        trajectory="<results>/radius/{network}/motion/{group}/{moving}.h5",
        timing="<results>/timings/radius/motion_{network}_{group}_{moving}.json",
    log:
        "<logs>/radius/motion_{network}_{group}_{moving}.log",
    benchmark:
        "<benchmarks>/radius/motion_{network}_{group}_{moving}.tsv"
    conda:
        network_environment
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing("2h"),
    params:
        python=network_interpreter,
        device=config["model"]["device"],
        directory=subpath(input.model, parent=True),
        cutoff=rules.choose_radii.params.cutoff,
        radii=rules.choose_radii.params.radii,
        envelope=lambda wildcards: envelopes(wildcards.network)[0],
        chosen_by=as_json(RADIUS_RULES.get(RADIUS["motion"]["chosen_by"], {})),
        settings=as_json(
            {n: v for n, v in RADIUS["motion"].items() if n not in MOTION_NAMES}
        ),
    message:
        "Dynamics of {wildcards.group} with {wildcards.network} and a radius that is {wildcards.moving}."
    shell:
        "{params.python:q} {input.script:q} --model {params.directory:q} --device {params.device:q}"
        " --train {input.train:q} --frames {input.frames:q} --group {wildcards.group} --mode {wildcards.moving}"
        " --rule {params.chosen_by:q} --cutoff {params.cutoff} --radii {params.radii} --envelope {params.envelope}"
        " --settings {params.settings:q} --output {output.trajectory:q} --timing {output.timing:q}"
        " --log {log:q} >> {log:q} 2>&1"


rule evaluate_radius_motion:
    input:
        **code("evaluate_radius_motion"),
        trajectories=expand(
            "<results>/radius/{network}/motion/{group}/{moving}.h5",
            network=RADIUS["motion"]["networks"],
            group=RADIUS["motion"]["groups"],
            moving=MOVING,
        ),
    output:
        **written("evaluate_radius_motion"),
    log:
        "<logs>/evaluate_radius_motion.log",
    benchmark:
        "<benchmarks>/evaluate_radius_motion.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("10m"),
    params:
        runs=as_json(
            [
                {
                    "network": network,
                    "envelope": envelopes(network)[0],
                    "group": group,
                    "mode": moving,
                }
                for network in RADIUS["motion"]["networks"]
                for group in RADIUS["motion"]["groups"]
                for moving in MOVING
            ]
        ),
    message:
        "What a radius that changes along a trajectory does to the energy."
    shell:
        "python {input.script:q} --runs {params.runs:q} --trajectories {input.trajectories:q}"
        " --output {output.radius_motion:q} --log {log:q} >> {log:q} 2>&1"

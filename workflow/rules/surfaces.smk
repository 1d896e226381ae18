# Energy surfaces, and bonds that are compressed and stretched, of molecules that no model has been trained on: how smooth
# is a model where dynamics would go? Nothing without surfaces.molecules.

SURFACES = config["surfaces"]
SURFACE_SEEDS = SURFACES["seeds"] or SEEDS
SURFACE_SETS = ("surfaces", "bonds")
SCANS = {scan: reach for scan, reach in SURFACES["reach_A"].items() if reach}


if SURFACES["other_forces"] and "forces" not in ARCHITECTURE:
    refuse(
        f"surfaces.other_forces: the backbone {ARCHITECTURE['backbone']} has no other forces; set it to null"
    )
if SURFACES["other_forces"] == ARCHITECTURE.get("forces", "none"):
    refuse(
        f"surfaces.other_forces is {SURFACES['other_forces']}, as the forces of model are; name the other kind"
    )


BOND_MODELS = bond_models()


rule find_minima:
    input:
        **code("find_minima", "prior/engines/tblite"),
        shipped_minima=shipped_surfaces("minima.extxyz"),
    output:
        "<results>/surfaces/minima.extxyz",
    log:
        "<logs>/surfaces/find_minima.log",
    benchmark:
        "<benchmarks>/surfaces/find_minima.tsv"
    conda:
        "../../envs/reference.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing("1h"),
    params:
        molecules=as_json(SURFACES["molecules"]),
        known=lambda wildcards, input: (
            options(known=input.shipped_minima) if input.shipped_minima else ""
        ),
        seed=SURFACES["seed"],
    message:
        "Relax the molecules of the surfaces with GFN2-xTB, and find the directions of their Hessians."
    shell:
        "python {input.script:q} --molecules {params.molecules:q} {params.known} --seed {params.seed}"
        " --output {output:q} --log {log:q} >> {log:q} 2>&1"


rule sample_surfaces:
    input:
        **code("sample_surfaces"),
        minima=rules.find_minima.output,
        shipped_minima=shipped_surfaces("minima.extxyz"),
        shipped_places=shipped_surfaces("level.json"),
    output:
        **{name: SETS[name] for name in SURFACE_SETS},
    log:
        "<logs>/surfaces/sample_surfaces.log",
    benchmark:
        "<benchmarks>/surfaces/sample_surfaces.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing("10m"),
    params:
        known=lambda wildcards, input: (
            options(known=input.shipped_minima, places=input.shipped_places)
            if input.shipped_minima
            else ""
        ),
        points=SURFACES["points"],
        reach=as_json(SCANS),
        bonds=options(
            shortest=SURFACES["bonds"]["shortest"],
            longest=SURFACES["bonds"]["longest"],
            bond_points=SURFACES["bonds"]["points"],
        ),
    message:
        "Displace the molecules along their directions, compress and stretch their bonds."
    shell:
        "python {input.script:q} --minima {input.minima:q} {params.known} --points {params.points}"
        " --reach {params.reach:q} {params.bonds} --surfaces {output.surfaces:q} --bonds {output.bonds:q}"
        " --log {log:q} >> {log:q} 2>&1"


use rule predict as predict_surfaces with:
    input:
        **code("predict", BACKBONE),
        model=surface_model,
        frames=lambda wildcards: SETS[wildcards.set],
        prior=lambda wildcards: (
            [f"<results>/prior/{wildcards.set}.h5"]
            if KINDS[wildcards.strategy].difference
            else []
        ),
    output:
        predictions="<results>/surfaces/{forces}/as_is/{strategy}/seed{seed}/{set}.h5",
        timing="<results>/timings/surfaces/{forces}_as_is_{strategy}_{seed}_{set}.json",
    log:
        "<logs>/surfaces/{forces}_as_is_{strategy}_{seed}_{set}.log",
    benchmark:
        "<benchmarks>/surfaces/{forces}_as_is_{strategy}_{seed}_{set}.tsv"
    message:
        "Predict the {wildcards.set} with {wildcards.strategy}, seed {wildcards.seed}, unadapted."


use rule correct_residual as correct_surfaces with:
    input:
        **code("correct_residual", BACKBONE),
        model=surface_model,
        frames=lambda wildcards: SETS[wildcards.set],
        prior="<results>/prior/{set}.h5",
    output:
        predictions="<results>/surfaces/{forces}/corrected/{mode}/{strategy}/seed{seed}/{set}.h5",
        failures="<results>/failures/surfaces/{forces}_{mode}_{strategy}_{seed}_{set}.csv",
        timing="<results>/timings/surfaces/{forces}_{mode}_{strategy}_{seed}_{set}.json",
    log:
        "<logs>/surfaces/{forces}_corrected_{mode}_{strategy}_{seed}_{set}.log",
    benchmark:
        "<benchmarks>/surfaces/{forces}_corrected_{mode}_{strategy}_{seed}_{set}.tsv"
    message:
        "Residual correction of the {wildcards.set} of {wildcards.strategy}, seed {wildcards.seed}."


rule adapt_surfaces:
    input:
        **code("adapt_surfaces", BACKBONE),
        model=surface_model,
        frames=[SETS[name] for name in SURFACE_SETS],
        prior="<results>/prior/surfaces.h5",
    output:
        expand(
            "<results>/surfaces/{{forces}}/adapted/{{on}}/{{strategy}}/seed{{seed}}/{set}.h5",
            set=SURFACE_SETS,
        ),
    log:
        "<logs>/surfaces/{forces}_adapted_{on}_{strategy}_{seed}.log",
    benchmark:
        "<benchmarks>/surfaces/{forces}_adapted_{on}_{strategy}_{seed}.tsv"
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
        known=lambda wildcards, input: input.frames[0],
    message:
        "Adapt {wildcards.strategy} to each molecule ({wildcards.on}), seed {wildcards.seed}, and predict its surfaces."
    shell:
        "{params.python:q} {input.script:q} --model {params.directory:q} --device {params.device:q}"
        " --known {params.known:q} --prior {input.prior:q} --on {wildcards.on} --settings {params.settings:q}"
        " --method {wildcards.strategy}_ttt_{wildcards.on} --frames {input.frames:q} --output {output:q}"
        " --log {log:q} >> {log:q} 2>&1"


use rule check_model as check_bonds with:
    input:
        **code("check_model"),
        train=PREDICTED["train"],
        test=SETS["bonds"],
    output:
        excluded="<results>/surfaces/models/{model}/excluded.csv",
        lines="<results>/surfaces/models/{model}/capability.txt",
    log:
        "<logs>/surfaces/{model}_check.log",
    benchmark:
        "<benchmarks>/surfaces/{model}_check.tsv"
    message:
        "Find the molecules whose bonds {wildcards.model} cannot take."


use rule predict_model as predict_bonds with:
    input:
        **code("predict_model"),
        family=model_family,
        frames=SETS["bonds"],
        excluded=rules.check_bonds.output.excluded,
        checkpoint=model_checkpoint,
        depends=model_files,
    output:
        predictions="<results>/surfaces/models/{model}/{set}.h5",
        embedding="<results>/surfaces/models/{model}/{set}_embedding.h5",
        failures="<results>/failures/surfaces/{model}_{set}.csv",
        notes="<results>/surfaces/models/{model}/{set}_notes.txt",
        timing="<results>/timings/surfaces/{model}_{set}.json",
    log:
        "<logs>/surfaces/{model}_{set}.log",
    benchmark:
        "<benchmarks>/surfaces/{model}_{set}.tsv"
    wildcard_constraints:
        set="test",
    message:
        "Predict the bonds with {wildcards.model}."


rule evaluate_surfaces:
    input:
        **code("evaluate_surfaces"),
        frames=SETS["surfaces"],
        prior="<results>/prior/surfaces.h5",
        shipped_labels=shipped_surfaces("dft.extxyz"),
        predictions=surface_predictions("surfaces"),
        other_predictions=other_surface_predictions("surfaces"),
        bonds=SETS["bonds"],
        bonds_prior="<results>/prior/bonds.h5",
        bonds_predictions=[
            *surface_predictions("bonds"),
            *(
                f"<results>/surfaces/models/{name}/test.h5"
                for name, reason in BOND_MODELS.items()
                if not reason
            ),
        ],
        other_bonds_predictions=other_surface_predictions("bonds"),
    output:
        **written("evaluate_surfaces"),
    log:
        "<logs>/surfaces/evaluate_surfaces.log",
    benchmark:
        "<benchmarks>/surfaces/evaluate_surfaces.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing("30m"),
    params:
        other=SURFACES["other_forces"] or "none",
        shortest=SURFACES["bonds"]["shortest"],
        limits=as_json(SURFACES["limits"]),
        reasons=as_json({n: reason for n, reason in BOND_MODELS.items() if reason}),
    message:
        "Measure how rough the surfaces are and which bonds are sound."
    shell:
        "python {input.script:q} --frames {input.frames:q} --prior {input.prior:q} --reference {input.shipped_labels:q}"
        " --predictions {input.predictions:q} --other {params.other:q} --other-predictions {input.other_predictions:q}"
        " --other-bonds-predictions {input.other_bonds_predictions:q} --bonds {input.bonds:q} --bonds-prior {input.bonds_prior:q}"
        " --bonds-predictions {input.bonds_predictions:q} --shortest {params.shortest} --limits {params.limits:q}"
        " --reasons {params.reasons:q} --surfaces-table {output.surfaces:q} --roughness-table {output.roughness:q}"
        " --curves-table {output.bond_curves:q} --bonds-table {output.bonds:q} --scores-table {output.bond_scores:q}"
        " --log {log:q} >> {log:q} 2>&1"

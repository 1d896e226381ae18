# Human-named targets: `snakemake diagnose`, `prior`, `train`, ... and one per figure.


rule retrieve:
    input:
        downloads,
    localrule: True
    message:
        "All data files below data/ that the configuration names."


rule check_sources:
    input:
        rules.ask_sources.output,
    localrule: True
    message:
        "What the addresses of the manifest answer: {input}."


rule prior:
    input:
        collect("<results>/prior/{set}.h5", set=["pretrain", "test", "pool"]),
    localrule: True
    message:
        "All prior labels."


rule train:
    input:
        collect(
            "<results>/models/{strategy}/seed{seed}/weights.pt",
            strategy=needed(STRATEGIES),
            seed=SEEDS,
        ),
    localrule: True
    message:
        "All trained models."


rule refine:
    input:
        rules.evaluate.input.refined,
    localrule: True
    message:
        "All radius refinement."


rule adapt:
    input:
        rules.evaluate.input.adapted,
    localrule: True
    message:
        "All test-time training."


rule variants:
    input:
        rules.evaluate_variants.output,
        collect(
            "<results>/figures/{figure}.{suffix}",
            figure=[*VARIANT_FIGURES, "fig_conformers"],
            suffix=["svg", "txt"],
        ),
    localrule: True
    message:
        "Tables of the further adaptations and of the curve over the number of geometries."


rule ablations:
    input:
        rules.evaluate_ablations.output,
        collect(
            "<results>/figures/{figure}.{suffix}",
            figure=ABLATION_FIGURES,
            suffix=["svg", "txt"],
        ),
    localrule: True
    message:
        "Tables and figures of the ablations."


rule figures:
    input:
        rules.make_report.input.figures,
        rules.make_report.input.captions,
    localrule: True
    message:
        "All figures."


rule report:
    input:
        rules.make_report.output,
    localrule: True
    message:
        "The report."


for name in FIGURES:

    rule:
        name:
            name
        input:
            f"<results>/figures/{name}.svg",
            f"<results>/figures/{name}.txt",
        localrule: True
        message:
            "One figure."

# Targets with human names: `snakemake diagnose`, `prior`, `train`, ... and one per figure.


rule diagnose:
    input:
        rules.diagnose_shifts.output,
        report="<results>/diagnosis.html",
    localrule: True
    message:
        "The diagnosis is {input.report}."


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


rule predict_models:
    input:
        collect(
            "<results>/models/external/{model}/{set}.h5",
            model=config["models"],
            set=PREDICTED,
        ),
    localrule: True
    message:
        "Predictions of all models that the configuration names."


rule refine:
    input:
        rules.evaluate.input.refined,
    localrule: True
    message:
        "All radius refinement."


rule radii:
    input:
        rules.evaluate_radii.output,
        rules.evaluate_radius_motion.output if RADIUS["motion"]["networks"] else [],
        drawn(n for n, f in figures_of.REWIRED.items() if f.wanted(config)),
    localrule: True
    message:
        "Tables of radius refinement at many radii."


rule adapt:
    input:
        rules.evaluate.input.adapted,
    localrule: True
    message:
        "All test-time training."


rule correct:
    input:
        rules.evaluate.input.corrected,
        rules.evaluate.input.means,
    localrule: True
    message:
        "All residual correction, and its means with other methods."


rule variants:
    input:
        rules.evaluate_variants.output,
        drawn(figures_of.on_demand("variants") if VARIANTS else []),
        drawn(["fig_conformers"]),
    localrule: True
    message:
        "Tables of the further adaptations and of the curve over the number of geometries."


rule surfaces:
    input:
        rules.evaluate_surfaces.output,
        drawn(
            n
            for n, f in figures_of.MOTION.items()
            if f.setting == "surfaces.molecules"
        ),
    localrule: True
    message:
        "Tables and figures of the energy surfaces and of the bonds."


rule learning_curves:
    input:
        rules.evaluate_finetuning.output,
        drawn(["fig_learning_curves"] if TUNED else []),
    localrule: True
    message:
        "Tables and figure of fine-tuning on a few labels."


rule simulate:
    input:
        rules.evaluate_dynamics.output,
        drawn(name for name in figures_of.reported("simulate", config) if MOLECULES),
    localrule: True
    message:
        "Tables and figures of the simulated molecules."


rule ablations:
    input:
        rules.evaluate_ablations.output,
        drawn(figures_of.on_demand("ablations")),
    localrule: True
    message:
        "Tables and figures of the ablations."


rule tune:
    input:
        collect(
            "<results>/tuning/{strategy}_{seed}.csv",
            strategy=config["ttt"]["strategies"],
            seed=SEEDS,
        ),
    localrule: True
    message:
        "The scan of test-time training on the validation groups."


rule relabel:
    input:
        "<results>/labelling/benchmark/SHA256SUMS",
    localrule: True
    message:
        "The benchmark, labelled anew; copy it to resources/benchmark to use it."


rule third_edition:
    input:
        expand(f"{EDITION}/shards/{{shard:03d}}.extxyz", shard=range(EDITION_SHARDS)),
    localrule: True
    message:
        "The third edition of the embedded benchmark is labelled."


rule stress:
    input:
        STRESS_SHARDS_LABELLED,
        rules.assemble_stress.output.sums,
    localrule: True
    message:
        "The stress set is labelled and assembled."


rule figures:
    input:
        rules.make_report.input.figures,
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
            drawn([name]),
        localrule: True
        message:
            "One figure."


rule universal:
    input:
        rules.evaluate_help.output,
        report="<results>/universal.html",
    localrule: True
    message:
        "What models are worth on these structures, and what helps them: {input.report}."


rule rescue:
    input:
        expand(rules.write_rescued.output, model=DIAGNOSED),
        expand(rules.rescue_card.output, model=DIAGNOSED),
        report=expand("<results>/rescue_{model}.html", model=DIAGNOSED),
    localrule: True
    message:
        "The forces, what they rest on, and the verdict: {input.report}."

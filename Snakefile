# Reproduction of Kreiman & Krishnapriyan, "Understanding and mitigating distribution shifts for
# universal machine learning interatomic potentials", Digital Discovery 2026.


include: "workflow/rules/settings.smk"
include: "workflow/rules/helpers.smk"
include: "workflow/rules/registry.smk"


scattergather:
    prior=config["prior"]["shards"],
    connectivity=config["connectivity"]["shards"],
    ttt=config["ttt"]["shards"],


wildcard_constraints:
    strategy="|".join(KINDS),
    mode="structure|placebo",
    set="pretrain|test|unlabelled|pool|copies|labelled|surfaces|bonds",
    variant=r"[a-z][a-z0-9_]*",
    scheme=r"[a-z][a-z0-9_]*",
    point=r"[a-z][a-z0-9_]*",
    seed=r"\d+",
    network=r"[a-z][a-z0-9_]*",
    envelope="trained|rescaled",
    rewiring=r"[a-z][a-z0-9_]*",
    moving="|".join(MOVING),
    group=r"(id|val|ood)_[a-z0-9_]+",
    figure=r"fig_\w+",
    forces="own|direct|gradient",
    run=r"[a-z][a-z0-9_]*",
    mover=r"[a-z][a-z0-9_]*",
    molecule=r"(id|val|ood)_[a-z0-9_]+",


# the first rule, and so the default target; said outright, it would be that of a workflow that uses this one, too
rule all:
    input:
        "<results>/report.html",
    localrule: True
    message:
        "The report is {input}."


# one run at a time on the same files, and none that leaves jobs behind
onstart:
    begin()


# the chain of the mission, then what runs on demand
include: "workflow/rules/download.smk"
include: "workflow/rules/curate.smk"
include: "workflow/rules/shift.smk"
include: "workflow/rules/prior.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/rewire.smk"
include: "workflow/rules/adapt.smk"
include: "workflow/rules/networks.smk"
include: "workflow/rules/radius.smk"
include: "workflow/rules/motion.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/simulate.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/show.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/radius_models.smk"
include: "workflow/rules/surfaces.smk"
include: "workflow/rules/help.smk"
include: "workflow/rules/universal.smk"
include: "workflow/rules/rescue.smk"
include: "workflow/rules/variants.smk"
include: "workflow/rules/ablations.smk"
include: "workflow/rules/tune.smk"
include: "workflow/rules/labelling.smk"
include: "workflow/rules/connectivity.smk"
include: "workflow/rules/targets.smk"


remember(workflow.rules)

# What the rules of molecules in motion share: fine-tuning, dynamics, energy surfaces.


def strategy_of_start(wildcards):
    """Strategy whose model a start is, or adapts."""
    return SCHEMES.get(wildcards.start, {"strategy": wildcards.start})["strategy"]


def inputs_of_start(wildcards):
    """Input function: prior labels that a start needs, to be adapted or since it is Δ-learning."""
    scheme = SCHEMES.get(wildcards.start)
    if scheme:
        pseudo = f"<results>/pseudo/{scheme['teacher']}/seed{wildcards.seed}.h5"
        found = {"prior": "<results>/prior/pool.h5"}
        return found | ({"pseudo": pseudo} if scheme["pseudo_weight"] else {})
    if KINDS[wildcards.start].difference:
        sets = ("pretrain", "test", "labelled")
        return {"priors": [f"<results>/prior/{name}.h5" for name in sets]}
    return {}


def options_of_start(wildcards, input):
    """Command-line options for the inputs above, and how a scheme adapts."""
    given = {n: input[n] for n in ("prior", "pseudo", "priors") if n in input.keys()}
    if wildcards.start in SCHEMES:
        given["adaptation"] = adaptation_settings(SCHEMES[wildcards.start])
    return options(**given)


def check_simulated():
    """One line for what section simulate names and this run does not have."""
    for group in {*MOLECULES, *SIMULATED["reference"]}:
        if group not in config["data"]["files"]:
            refuse(f"simulate: {group} is no group of data.files; name one that is")
    for group, name in SIMULATED["reference"].items():
        if name not in config["import"]:
            refuse(f"simulate.reference.{group}: {name} is no recipe of section import")
    if MOLECULES and not RUNS:
        refuse("simulate.runs is empty; name a run, or no molecules")
    for name, run in RUNS.items():
        check_run(f"simulate.runs.{name}", run)


def check_run(where, run):
    """One line for a run that cannot be made."""
    scheme = SCHEMES.get(run["scheme"])
    if run["scheme"] and (not scheme or scheme["strategy"] != run["model"]):
        refuse(
            f"{where}.scheme: {run['scheme']} is no adaptation of {run['model']} in conformers.schemes"
        )
    if run["on_the_fly"] and not scheme:
        refuse(f"{where}: an adaptation on the fly needs a scheme; give one")
    if (run["on_the_fly"] or run["forces"]) and scheme and scheme["pseudo_weight"]:
        refuse(
            f"{where}: {run['scheme']} learns pseudo-labels, which there are only for the models of this run before"
            " the dynamics; take another scheme"
        )
    if run["corrected"] and run["model"] not in ("freeze", "joint", "joint_broad"):
        refuse(
            f"{where}: a residual correction is for models with two heads; take freeze or joint"
        )
    if run["corrected"] and scheme:
        refuse(f"{where}: is corrected and adapted; make two runs of it")
    if run["forces"] and "forces" not in ARCHITECTURE:
        refuse(
            f"{where}.forces: the backbone {ARCHITECTURE['backbone']} has no other forces"
        )


def own_forces(run):
    """Whether a run takes a model of the strategies as it is trained for all else."""
    return run["forces"] in (None, ARCHITECTURE.get("forces"))


def mover_key(run):
    """Name of the adapted model of a run, the same one for runs that differ in their dynamics alone."""
    other = "" if own_forces(run) else f"_{run['forces']}"
    return f"{run['scheme']}_{run['geometries']}{other}"


def trained_mover(wildcards):
    """Input function: the trained model of a run, or of a model that is adapted; nothing for the prior."""
    run = (
        MOVERS[wildcards.mover] if "mover" in wildcards.keys() else RUNS[wildcards.run]
    )
    if run["model"] == "prior":
        return []
    folder = "models" if own_forces(run) else f"simulate/{run['forces']}"
    return f"{RESULTS}/{folder}/{run['model']}/seed{MOVER_SEED}/weights.pt"


def mover(wildcards):
    """Input function: the model that moves a molecule; nothing for the prior."""
    run = RUNS[wildcards.run]
    if run["scheme"] and not run["on_the_fly"]:
        return f"{RESULTS}/simulate/adapted/{mover_key(run)}/{wildcards.molecule}/weights.pt"
    return trained_mover(wildcards)


def settings_of_simulation(wildcards):
    """Param function: what a run depends on beside its own entry, as one line of JSON."""
    run = RUNS[wildcards.run]
    names = "replicas duration_ps timestep_fs temperature_K friction_per_ps record explosion seed look rise most"
    scheme = SCHEMES[run["scheme"]] if run["on_the_fly"] else None
    return as_json(
        {name: SIMULATED[name] for name in names.split()}
        | {
            "prior": {
                "method": config["prior"]["method"],
                "library": config["prior"]["engine"],
                "accuracy": config["prior"]["accuracy"],
            },
            "weight": config["correction"]["weight"],
            "copies": config["conformers"]["rattled_copies"],
            "adaptation": json.loads(adaptation_settings(scheme)) if scheme else None,
        }
    )


def prior_interpreter():
    """Python of the process that the prior answers in: not that of a conda environment with torch, which has no engine."""
    if PRIOR_ENVIRONMENT:
        return interpreter(PRIOR_ENVIRONMENT)
    deployed = {str(m) for m in workflow.deployment_settings.deployment_method}
    return sys.executable if "conda" in deployed else "python"


def predicted_by(run, molecule):
    """Predictions of the test structures by what moves a molecule; nothing for the prior, whose labels there are."""
    entry = RUNS[run]
    if entry["model"] == "prior":
        return []
    if entry["scheme"]:
        return [f"<results>/simulate/adapted/{mover_key(entry)}/{molecule}/test.h5"]
    if not own_forces(entry):
        return [
            f"<results>/simulate/{entry['forces']}/{entry['model']}/seed{MOVER_SEED}/test.h5"
        ]
    folder = "correct/structure" if entry["corrected"] else "predictions"
    return [f"<results>/{folder}/{entry['model']}/seed{MOVER_SEED}.h5"]


def shipped_surfaces(name):
    """Input function: a file of surfaces.known, nothing without."""
    folder = SURFACES["known"]
    if not folder:
        return []
    path = Path(expanded(folder), name)
    found = Path(embedded(str(path)))
    # reference labels there may be or not
    return [str(found)] if found.exists() or name != "dft.extxyz" else []


def surface_model(wildcards):
    """Input function: a model as the strategies train it, or with the other kind of forces."""
    folder = "models" if wildcards.forces == "own" else f"simulate/{wildcards.forces}"
    return f"{RESULTS}/{folder}/{wildcards.strategy}/seed{wildcards.seed}/weights.pt"


def surface_predictions(name, forces="own"):
    """Predictions of a set by all methods and seeds of this run, with one kind of forces."""
    own = forces == "own"
    known = {
        "forces": forces,
        "set": name,
        "seed": SURFACE_SEEDS if own else SURFACES["other_seeds"],
    }
    as_is = SURFACES["strategies"] if own else SURFACES["adapt"]
    folder = "<results>/surfaces/{forces}"
    return [
        *expand(
            f"{folder}/as_is/{{strategy}}/seed{{seed}}/{{set}}.h5",
            strategy=as_is,
            **known,
        ),
        *expand(
            f"{folder}/adapted/{{on}}/{{strategy}}/seed{{seed}}/{{set}}.h5",
            strategy=SURFACES["adapt"],
            on=SURFACES["adapted_on"],
            **known,
        ),
        *expand(
            f"{folder}/corrected/structure/{{strategy}}/seed{{seed}}/{{set}}.h5",
            strategy=SURFACES["correct"],
            **known,
        ),
    ]


def other_surface_predictions(name):
    """The same of the models with the other kind of forces, nothing without."""
    forces = SURFACES["other_forces"]
    return surface_predictions(name, forces) if forces else []


def bond_models():
    """{model of the registry: why it cannot run here, empty if it can} of surfaces.models."""
    asked = SURFACES["models"]
    if "all" in asked:
        # networks of this run are there already
        asked = [
            n for n, entry in models.entries.items() if entry["family"] != "mlipshift"
        ]
    return {name: missing_model(name) for name in asked}

# What the rules of registered models share: their entries, families, weights, environments.


def model_entry(name):
    """Registry entry of a model that may be loaded; one line for an unknown or an untrusted one."""
    try:
        entry = models.loadable(name)
    except UserError as error:
        refuse(error)
    # the networks of this run go where their backbone can be imported
    return entry | ({"environment": NETWORK} if entry["family"] == "mlipshift" else {})


def model_family(wildcards):
    """Input function: the modules that load a model, and what they import."""
    family = model_entry(wildcards.model)["family"]
    own_network = [BACKBONE] if family == "mlipshift" else []
    return modules(f"external/families/{family}", *own_network)


def has_head(name):
    """Whether a prior head can learn on the features of a model."""
    try:
        return models.entry(name)["family"] in components.DIFFERENTIABLE
    except UserError as error:
        refuse(error)


def constant_forces(wildcards):
    """Input function: the forces of a model with one weight for all structures."""
    way = "corrected" if has_head(wildcards.model) else "mixed"
    return f"{RESULTS}/help/{wildcards.model}_{way}.h5"


def learned_level(name):
    """Level of theory that a model learned, None for that of the labels of this run; that of a teacher for a pupil."""
    pupil = name == "mace_trained" and config["mace"]["teacher"]
    return models.entry(config["mace"]["teacher"] if pupil else name)["level"]


def gains_of_runs(wildcards):
    """Input function: what test-time training gained in other runs; one line for a run that has not got so far."""
    runs = config["help"]["runs"]
    return present([str(Path(run, "tables", "gains.csv")) for run in runs], "help.runs")


def model_derivatives(wildcards):
    """Input function: the modules that make a model a function of positions, and what they import."""
    family = model_entry(wildcards.model)["family"]
    if family not in components.DIFFERENTIABLE:
        known = ", ".join(components.DIFFERENTIABLE)
        refuse(
            f"models.{wildcards.model}: no prior head for the family {family}, only for {known}"
        )
    return modules(f"external/differentiable/{family}", f"external/families/{family}")


def teacher_of(wildcards):
    """Input function: what the teacher of a distillation says of the test structures."""
    name = config["help"]["distillation"]["teacher"]
    if name in DIAGNOSED:
        return f"{RESULTS}/models/external/{name}/test.h5"
    if name in STRATEGIES_OF_HELP:
        return f"{RESULTS}/help/{name}.h5"
    known = ", ".join([*DIAGNOSED, *STRATEGIES_OF_HELP])
    refuse(f"help.distillation.teacher: {name} is not in this run; known: {known}")


def model_files(wildcards):
    """Input function: what else a model is made from, files that its arguments name and a calculator's own code."""
    entry, output = model_entry(wildcards.model), predictions_of(wildcards)
    try:
        found = [*files_in(entry["arguments"])]
    except UserError as error:
        refuse(f"models.{wildcards.model}.arguments: {error}")
    if entry["calculator"]:
        place, _ = calculator_of(entry)
        if is_file(place):
            present([place], f"models.{wildcards.model}.calculator")
            found += sources.beside(place, [import_root(place)])
        else:
            # the module is one's own if it is not of the environment
            folders = console.module_folders()
            file = sources.module_file(place, folders)
            found += sources.beside(file, folders) if file else []
    return [by_content(path, output) for path in sorted({*found})]


def predictions_of(wildcards):
    """A file that rule predict_model makes, of the test structures for rules that know no set."""
    name = wildcards.get("set", "test")
    return f"{RESULTS}/models/external/{wildcards.model}/{name}.h5"


def model_settings(keys):
    """Param function: some keys of the registry entry, so that editing the others re-runs nothing."""

    def settings(wildcards):
        entry = model_entry(wildcards.model)
        return as_json({key: entry[key] for key in keys})

    return settings


def model_checkpoint(wildcards):
    """Input function: the weights of a model, nothing if its package carries them."""
    entry = model_entry(wildcards.model)
    if entry["family"] == "mlipshift":
        return "{0}/models/{strategy}/seed{seed}/weights.pt".format(
            RESULTS, **entry["arguments"]
        )
    if not entry["checkpoint"]:
        return []
    path = expanded(entry["checkpoint"].replace("<results>", RESULTS))
    if Path(path).is_relative_to(RESULTS):
        need_training(f"the model {wildcards.model}")
        return path
    present([path], f"models.{wildcards.model}.checkpoint")
    return by_content(path, predictions_of(wildcards))


def model_environment(wildcards):
    """Conda environment of a model; None where envs/ has no file for it."""
    path = Path(HOME, "envs", f"{model_entry(wildcards.model)['environment']}.yaml")
    return str(path) if path.exists() else None


def checkpoint_option(wildcards, input):
    """Param function: the option --checkpoint, nothing if the package of the model carries its weights."""
    return options(checkpoint=input.checkpoint) if input.checkpoint else ""


def found_interpreter(environment):
    """The Python of an environment: the run's own, conda's, or that of .venv-NAME. Raises UserError if there is none."""
    deployed = {str(m) for m in workflow.deployment_settings.deployment_method}
    own_ones = (None, "torch", "xtb", "data", "figures")
    if "conda" in deployed or environment in own_ones:
        return "python"
    name = f".venv-{environment}/bin/python"
    for path in (own(name), str(Path(sys.prefix).parent / name)):
        if Path(path).exists():
            return path
    mend = (
        f"run make venv-{environment}"
        if Path(HOME, "envs", "lock", f"{environment}.txt").exists()
        else "make it yourself, with the packages that the entry names as its source, numpy, pandas, h5py, ase and tqdm"
    )
    raise UserError(
        f"the environment {environment} is not there, {name} is missing; {mend}"
    )


def interpreter(environment):
    """The same; one line if there is none."""
    try:
        return found_interpreter(environment)
    except UserError as error:
        refuse(error)


def missing_model(name):
    """Why a model of the registry cannot run here, empty if it can."""
    try:
        entry = models.loadable(name)
        found_interpreter(entry["environment"])
    except UserError as error:
        return str(error)
    path = entry["checkpoint"] and expanded(
        entry["checkpoint"].replace("<results>", RESULTS)
    )
    made = path and (Path(path).is_relative_to(RESULTS) or retrievable(path))
    if path and not (made or Path(path).is_file()):
        return f"{path} is not there"
    return ""


def model_interpreter(wildcards):
    """Param function: the Python of the environment of a model."""
    return interpreter(model_entry(wildcards.model)["environment"])

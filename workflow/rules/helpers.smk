# What the rules share: input functions, options of command lines, and the one line that says what is wrong.


def library(path):
    """Library modules that a file of this workflow imports, directly or not."""
    return sources.library_of(path, own("workflow")) if Path(path).exists() else []


def modules(*names):
    """Modules of the library that a script loads by name, such as "learn/backbones/painn", and what they import."""
    paths = [own(f"workflow/mlipshift/{name}.py") for name in names]
    return sorted({*paths, *(file for path in paths for file in library(path))})


def code(script, *names):
    """Inputs `script` and `library` of a rule: an edit re-runs exactly the rules that use the file.

    names: of modules that the script loads by name, as for `modules`.
    """
    path = own(f"workflow/scripts/{script}.py")
    return {"script": path, "library": sorted({*library(path), *modules(*names)})}


def options(**values):
    """Command-line options of keywords; a list becomes several words, each quoted for the shell."""
    words = []
    for name, value in values.items():
        many = value if isinstance(value, (list, tuple)) else [value]
        words += [f"--{name.replace('_', '-')}", *(shlex.quote(str(v)) for v in many)]
    return " ".join(words)


def written(rule):
    """Outputs of a rule: {name: path} of the tables that it writes."""
    return {n: t.path("<results>") for n, t in tables_of.by_rule(rule).items()}


def reported(folder):
    """Tables of one folder that the report reads."""
    names = tables_of.in_report("needed", "optional", config=config)
    known = [tables_of.TABLES[name] for name in names]
    return [table.path("<results>") for table in known if table.folder == folder]


def drawn(names):
    """Drawing and caption of figures."""
    return [
        FIGURES[name].file("<results>", suffix)
        for name in names
        for suffix in ("svg", "txt")
    ]


def as_json(subtree):
    """Settings as one line of JSON for a command line; sorted keys, so that their order never re-runs a rule."""
    return json.dumps(subtree, sort_keys=True)


def of_methods(keys, seeds, what):
    """Files of methods of this run: their predictions (0) or timings (1)."""
    folder = "<results>" if what == 0 else "<results>/timings"
    return [f"{folder}/{MADE[key][what]}".format(seed=s) for key in keys for s in seeds]


def growing(first):
    """Resource function: a number, or a time such as "30m" or "2h", times the attempt, so that a retry gets more."""
    if isinstance(first, int):
        return lambda wildcards, attempt: first * attempt
    number, unit = int(first[:-1]), first[-1]
    return lambda wildcards, attempt: f"{number * attempt}{unit}"


def present(paths, key):
    """The paths; one line if a file is missing, naming the setting `key` that asks for it."""
    for path in paths:
        if not (Path(path).is_file() or retrievable(path) or imported(path)):
            refuse(
                f"{path}: no such file; correct {key} in the configuration or put the file there"
            )
    return paths


def if_there(target, paths):
    """Input function: those of the paths that are there; all of them, where the rule `target` is asked for."""

    def files(wildcards):
        complete = target in workflow.dag_settings.targets
        return [p for p in paths if complete or Path(p).exists()]

    return files


def settled(**inputs):
    """Inputs whose edits do not re-run a rule: a new line in a script is no reason to download again."""
    return {name: ancient(paths) for name, paths in inputs.items()}


def located(path):
    """Place of a path below data/; one line if the manifest does not know it."""
    try:
        return manifest.locate(path)
    except UserError as error:
        refuse(error)


def retrievable(path):
    """Whether retrieve_file makes a path; one line for a path below data/ that the manifest does not know."""
    return Path(path).parts[:1] == ("data",) and bool(located(path))


def described(wildcards):
    """The file of the manifest that a download or an archive is."""
    path = wildcards.get("path") or wildcards.archive
    return located(f"data/{wildcards.name}/{wildcards.version}/{path}").file


def limit_option(file):
    """Command-line option: what an archive may unpack to, if the manifest says so."""
    return f"--limit {file.unpacked_bytes}" if file.unpacked_bytes else ""


def downloads(wildcards):
    """Input function: everything below data/ that the configuration names."""
    named = {f"data.files.{group}": paths for group, paths in data_files().items()}
    for name, recipe in (config.get("import") or {}).items():
        for key in ("files", "exclude_molecules_of"):
            named[f"import.{name}.{key}"] = recipe.get(key) or []
    wanted = {
        p: key
        for key, files in named.items()
        for p in files
        if Path(p).parts[:1] == ("data",)
    }
    return [p for path, key in wanted.items() for p in present([path], key)]


def imported(path):
    """Whether import_dataset makes a path."""
    return Path(path) in {
        Path(RESULTS, "import", f"{name}.h5") for name in config["import"]
    }


def recipe_of(name):
    """A recipe with its paths and patterns resolved; one line if a file is missing or there is no such recipe."""
    if name not in config["import"]:
        known = ", ".join(config["import"]) or "none"
        refuse(f"import.{name}: no such recipe in the configuration; known: {known}")
    recipe = dict(config["import"][name])
    for key in ("files", "exclude_molecules_of"):
        recipe[key] = resolved(recipe[key], f"import.{name}.{key}")
        present(
            [p for p in recipe[key] if not Path(p).is_dir()], f"import.{name}.{key}"
        )
    return recipe


def import_files(name):
    """The files and folders of a recipe."""
    recipe = recipe_of(name)
    return [*recipe["files"], *recipe["exclude_molecules_of"]]


def resolved(paths, key):
    """Paths of the setting `key` with ~ and patterns resolved, each once; one line for a pattern without a match."""
    try:
        return list(dict.fromkeys(p for path in paths for p in matching(path)))
    except UserError as error:
        refuse(f"{key}: {error}")


@functools.cache
def data_files():
    """{group: files} of data.files: a pattern is what matches it, a folder all files in it that a reader knows."""
    found = {}
    for group, paths in config["data"]["files"].items():
        key = f"data.files.{group}"
        places = [p for path in paths for p in resolved([path], key)]
        files = [
            f for p in places for f in (inside(p, key) if Path(p).is_dir() else [p])
        ]
        found[group] = list(dict.fromkeys(files))
    return found


def inside(folder, key):
    """Structure files of a folder; one line if there are none."""
    from mlipshift.data.readers.folders import structure_files

    files, others = structure_files(folder)
    if not files:
        refuse(f"{folder}: no file of a known format in this folder; correct {key}")
    if others and workflow.is_main_process:
        print(f"{key}: left out in {folder}: {', '.join(others)}", file=sys.stderr)
    return files


def input_files():
    """Input function: data files of all groups. Checked only when a target needs them."""
    return lambda wildcards: [
        by_content(p, CURATED)
        for group, paths in data_files().items()
        for p in present(paths, f"data.files.{group}")
    ]


def checksum_file():
    """Input function: the checksum file, nothing if none is configured."""
    path = config["data"]["checksums"]
    return lambda wildcards: [
        by_content(p, CURATED)
        for p in present([path] if path else [], "data.checksums")
    ]


CURATED = f"{RESULTS}/frames/train.h5"


def by_content(path, output):
    """An input of GIVEN whose times do not count, since its content does.

    output: a file of the rule. If Snakemake does not remember how it was made, times are all there is, and what a rule
    of this workflow makes is as new as its making.
    """
    made = retrievable(path) or imported(path)
    known = workflow.persistence.metadata(IOFile(output)) is not None
    return path if made or not known else ancient(path)


def folder_of(name):
    """Param function: the folder of the input called `name`, of its first file if it is a list."""

    def folder(wildcards, input):
        files = getattr(input, name)
        return str(Path(files if isinstance(files, str) else files[0]).parent)

    return folder


def need_training(what):
    """One line, if there are no training structures for what needs some."""
    if not config["data"]["files"].get("train"):
        refuse(
            f"data.files.train names no training structures, and {what} needs some; give some, or ask for the diagnosis"
            " alone of models that were trained elsewhere, which goes as far as it can without: snakemake diagnose"
        )


def strategy_inputs(wildcards):
    """What each strategy learns from; only Δ-learning and those with a prior head see prior labels."""
    need_training(f"strategy {wildcards.strategy}")
    kind, inputs = KINDS[wildcards.strategy], {}
    if "reference" in kind.heads:
        inputs["reference"] = rules.curate.output.train_reference
        # nothing is learned of labels with a wrong sign or unit
        inputs["label_check"] = ancient("<results>/label_check/train.csv")
    if "prior" in kind.heads or kind.difference:
        sets = ["pretrain", *([kind.extra] if kind.extra else [])]
        inputs["prior_frames"] = [SETS[name] for name in sets]
        inputs["prior"] = [f"<results>/prior/{name}.h5" for name in sets]
    if kind.base:
        inputs["base"] = f"<results>/models/{kind.base}/seed{wildcards.seed}/weights.pt"
    return inputs


def strategy_options(wildcards, input):
    """Command-line options for the inputs above; a model is named by its directory."""
    names = ("reference", "prior_frames", "prior")
    given = {n: input[n] for n in names if n in input.keys()}
    if "base" in input.keys():
        given["base"] = Path(input.base).parent
    return options(**given)


def adaptation_settings(entry):
    """Settings of a variant or scheme as one line of JSON: section ttt or the preset, and its own on top."""
    base = TTT_SETTINGS
    if entry["preset"]:
        base = {key: TTT_SETTINGS[key] for key in ("record", "batch")}
        base["preset"] = entry["preset"]
    own_keys = [key for key in ADAPTATION if entry.get(key) is not None]
    return as_json(base | {key: entry[key] for key in own_keys})


def held_out(wildcards):
    """Whether a variant is stopped by the prior labels of rattled copies."""
    return (VARIANTS[wildcards.variant]["stop"] or config["ttt"]["stop"]) == "held_out"


def point_prior(wildcards):
    """Prior of an ablation point."""
    return POINTS[wildcards.point]["prior"] or config["prior"]["method"]


def known_labels(folder):
    """Command-line option: the benchmark whose labels are taken over, if one is configured."""
    return options(known=folder) if folder else ""


def engine_of(wildcards):
    """Module that labels with the prior of an ablation."""
    return components.engine_of(wildcards.method, config["prior"]["engine"])


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
    deployed = {str(m) for m in workflow.deployment_settings.deployment_method}
    return sys.executable if "conda" in deployed else "python"


def other_inputs(wildcards):
    """Input function: what a model with the other kind of forces learns from, as strategy_inputs."""
    inputs = strategy_inputs(wildcards)
    if "base" in inputs:
        base = KINDS[wildcards.strategy].base
        inputs["base"] = (
            f"<results>/simulate/{wildcards.forces}/{base}/seed{wildcards.seed}/weights.pt"
        )
    return inputs


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


# inputs that count by content: what this workflow ships, code and data, and what the user gives
SHIPPED = "script library engine figure family template parts published manifest schema molecules cages benchmark shipped_minima shipped_places shipped_labels".split()
GIVEN = "files checksums checkpoint depends".split()


def remember(rules):
    """Give the rules of this workflow a param that says what they are made from; downloads do not depend on code."""
    for known in rules:
        script = getattr(known.input, "script", None)
        ours = Path(known.snakefile).is_relative_to(HOME)
        if script and ours and not is_flagged(script, "ancient"):
            known.set_params(made_from=made_from(known))


def made_from(known):
    """Param function: what a rule is made from, as Snakemake alone would not compare it.

    Files by content: one of an unpacked release, or moved to its place, may be older than the results. Settings by
    name: two that exchange their values are not the same.
    """
    settings = {n: v for n, v in known.params.items() if n and not callable(v)}

    def content(names, wildcards):
        found = [getattr(known.input, name, []) for name in names]
        found = [item(wildcards) if callable(item) else item for item in found]
        paths = (
            p for item in found for p in ([item] if isinstance(item, str) else item)
        )
        return contents(paths)

    def recorded(wildcards):
        code = "".join(content(SHIPPED, wildcards).values())
        return {
            "shipped": hashlib.sha256(code.encode()).hexdigest(),
            "given": content(GIVEN, wildcards),
            "settings": settings,
        }

    return recorded


def begin():
    """Before the first job: one run at a time on the same files, and none that leaves jobs behind."""
    outside = lambda files: {
        str(f) for f in files if not Path(f).is_relative_to(RESULTS)
    }
    jobs = list(workflow.dag.needrun_jobs())
    written = outside(path for job in jobs for path in job.output)
    read = outside(path for job in jobs for path in job.input) & outside(
        path for job in workflow.dag.jobs for path in job.output
    )
    try:
        locks.hold(RESULTS, written, read)
    except UserError as error:
        refuse(error)
    processes.stop_on_signals(terminal.stop)

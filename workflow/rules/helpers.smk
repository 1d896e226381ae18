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
        if not (Path(path).is_file() or made_here(path)):
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


def made_here(path):
    """Whether this workflow makes a path: a download, an import, or a group of the connectivity benchmark."""
    return retrievable(path) or imported(path) or str(Path(path)) in CONNECTIVITY


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
    known = workflow.persistence.metadata(IOFile(output)) is not None
    return path if made_here(path) or not known else ancient(path)


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


def strategy_inputs(wildcards, folder="models"):
    """What each strategy learns from; only Δ-learning and those with a prior head see prior labels.

    folder: below the results, of the model that it starts from.
    """
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
        inputs["base"] = (
            f"<results>/{folder}/{kind.base}/seed{wildcards.seed}/weights.pt"
        )
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

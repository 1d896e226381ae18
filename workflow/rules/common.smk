# Settings, checks and helpers that all rules share. Included first; the Snakefile has no configfile of its own.

import json
import sys
from pathlib import Path

from snakemake.logging import logger
from snakemake.utils import min_version, update_config

min_version("9.20")

sys.path.insert(0, str(Path(workflow.basedir) / "workflow"))

from mlipshift import console, running, sources
from mlipshift import config as settings_of
from mlipshift.errors import UserError
from mlipshift.manifest import Manifest, alternatives

console.prepare_jobs(Path(workflow.basedir) / "workflow")

if workflow.is_main_process:
    running.announce()
    alive = running.clear_stale_locks()

# --verbose, --printshellcmds and --dryrun give Snakemake's own output
if workflow.is_main_process and not (
    workflow.output_settings.dryrun
    or workflow.output_settings.verbose
    or workflow.output_settings.printshellcmds
):
    console.install(logger)


def refuse(message):
    """End with one line; an exception would come with a traceback or a wall of text."""
    sys.exit(f"error: {message}")


configfile: "config/config.yaml"


try:
    command_line = settings_of.typed(dict(workflow.config_settings.config))
    update_config(config, command_line)
    config = settings_of.load(
        config,
        Path(workflow.basedir) / "workflow" / "schemas" / "config.schema.yaml",
        [
            *(
                (path, settings_of.read(path))
                for path in ["config/config.yaml", *workflow.overwrite_configfiles]
            ),
            ("--config", command_line),
        ],
    )
except UserError as error:
    refuse(error)

MANIFEST = {
    "manifest": "resources/manifest.yaml",
    "schema": "workflow/schemas/manifest.schema.yaml",
}
try:
    manifest = Manifest(*(Path(workflow.basedir) / path for path in MANIFEST.values()))
except UserError as error:
    refuse(error)

# every run in a folder of its own, if it has a name
RESULTS, LOGS = (
    str(Path(folder, config["run"] or "")) for folder in ("results", "logs")
)
BENCHMARKS = f"{RESULTS}/benchmarks"


pathvars:
    results=RESULTS,
    logs=LOGS,
    benchmarks=BENCHMARKS,


cores = workflow.resource_settings.cores
if cores is not None and cores < 1:
    # Snakemake would wait for ever
    refuse(
        f"--cores is {cores}; give at least 1, for example --cores 4 (with make: CORES=4)"
    )


def code(script):
    """Inputs `script` and `library` of a rule: an edit re-runs exactly the rules that use the file."""
    path = f"workflow/scripts/{script}.py"
    return {
        "script": path,
        "library": sources.library_of(path, "workflow") if Path(path).exists() else [],
    }


def as_json(subtree):
    """Settings as one line of JSON for a command line; sorted keys, so that their order never re-runs a rule."""
    return json.dumps(subtree, sort_keys=True)


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
    """Whether a rule of retrieve.smk makes a path; one line for a path below data/ that the manifest does not know."""
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
    named = {
        f"data.files.{group}": files for group, files in config["data"]["files"].items()
    }
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
    """Whether the rule of import.smk makes a path."""
    return Path(path) in {
        Path(RESULTS, "import", f"{name}.h5") for name in config["import"]
    }


def import_files(name):
    """The files and folders of a recipe; one line if one is missing or there is no such recipe."""
    if name not in config["import"]:
        known = ", ".join(config["import"]) or "none"
        refuse(f"import.{name}: no such recipe in the configuration; known: {known}")
    recipe = config["import"][name]
    return [
        path
        for key in ("files", "exclude_molecules_of")
        for path in recipe[key]
        if Path(path).is_dir() or present([path], f"import.{name}.{key}")
    ]


def input_files():
    """Input function: data files of all groups. Checked only when a target needs them."""
    files = config["data"]["files"]
    return lambda wildcards: [
        p for group in files for p in present(files[group], f"data.files.{group}")
    ]


def checksum_file():
    """Input function: the checksum file, nothing if none is configured."""
    path = config["data"]["checksums"]
    return lambda wildcards: present([path] if path else [], "data.checksums")


def folder_of(name):
    """Param function: the folder of the input called `name`, of its first file if it is a list."""

    def folder(wildcards, input):
        files = getattr(input, name)
        return str(Path(files if isinstance(files, str) else files[0]).parent)

    return folder


def strategy_inputs(wildcards):
    """What each strategy learns from; only Δ-learning and the pre-trained ones see prior labels."""
    prior = {"prior_frames": SETS["pretrain"], "prior": "<results>/prior/pretrain.h5"}
    reference = {"reference": rules.curate.output.train_reference}
    base = {"base": f"<results>/models/pretrain/seed{wildcards.seed}/weights.pt"}
    return {
        "pretrain": prior,
        "supervised": reference,
        "delta": reference | prior,
        "freeze": reference | prior | base,
        "joint": reference | prior | base,
    }[wildcards.strategy]


def strategy_options(wildcards, input):
    """Command-line options for the inputs above; a model is named by its directory."""
    names = ("reference", "prior_frames", "prior")
    options = [
        f"--{n.replace('_', '-')} {input[n]}" for n in names if n in input.keys()
    ]
    if "base" in input.keys():
        options.append(f"--base {Path(input.base).parent}")
    return " ".join(options)

# The settings of a run, checked, and the names that rules make of them. Included first; the Snakefile has no
# configfile of its own.

import functools
import hashlib
import json
import os
import shlex
import sys
from dataclasses import fields
from pathlib import Path

from snakemake.io import IOFile, is_flagged
from snakemake.logging import logger
from snakemake.persistence import PersistenceBase
from snakemake.utils import min_version, update_config

min_version("9.27")

# the folder of this workflow, also where another workflow uses it as a module
HOME = Path(str(workflow.current_basedir)).parents[1]
MAIN = workflow.modifier.is_main_snakefile()

sys.path.insert(0, str(HOME / "workflow"))

from mlipshift.base.errors import UserError
from mlipshift.base.files import expanded, matching
from mlipshift.catalogue.adaptation import CORRECTIONS, MODES as ADAPTATIONS
from mlipshift.catalogue.adaptation import Settings, TEACHERS
from mlipshift.catalogue import figures as figures_of
from mlipshift.catalogue import tables as tables_of
from mlipshift.catalogue import components
from mlipshift.catalogue.figures import SECTIONS
from mlipshift.catalogue.methods import METHODS, prior_calls
from mlipshift.catalogue.runs import MOVING
from mlipshift.catalogue.strategies import STRATEGIES as KINDS
from mlipshift.catalogue.strategies import needed
from mlipshift.data.manifest import Manifest, alternatives
from mlipshift.external.entries import calculator_of, files_in, import_root, is_file
from mlipshift.external.registry import CAPABILITY, OPERATIVE, Registry
from mlipshift.run import configuration, console, locks, processes, sources
from mlipshift.run.contents import contents

console.prepare_jobs(HOME / "workflow")

# --verbose, --printshellcmds and --dryrun give Snakemake's own output
if (
    MAIN
    and workflow.is_main_process
    and not (
        workflow.output_settings.dryrun
        or workflow.output_settings.verbose
        or workflow.output_settings.printshellcmds
    )
):
    terminal = console.install(logger)
else:
    terminal = console.Console()


def refuse(message):
    """End with one line; an exception would come with a traceback or a wall of text."""
    sys.exit(f"error: {message}")


def own(path):
    """A file of this workflow: relative where it runs in its own folder, absolute where it runs in another."""
    return path if Path.cwd() == HOME else str(HOME / path)


def home_of(backbone):
    """Environment that can import a backbone."""
    return "mace" if backbone == "mace" else "torch"


def environment_of(backbone):
    """Its file, for conda."""
    return str(Path(HOME, "envs", f"{home_of(backbone)}.yaml"))


configfile: own("config/config.yaml")


try:
    if MAIN:
        command_line = configuration.typed(dict(workflow.config_settings.config))
        update_config(config, command_line)
        given = [(p, configuration.read(p)) for p in workflow.overwrite_configfiles]
        given.append(("--config", command_line))
    else:
        # the configuration of the module statement; files and --config are those of the other workflow
        given = [("config of the module", dict(config))]
    default = own("config/config.yaml")
    config = configuration.load(
        config,
        HOME / "workflow" / "schemas" / "config.schema.yaml",
        [(default, configuration.read(default)), *given],
    )
except UserError as error:
    refuse(error)

# the sets that this workflow ships are its own, wherever it runs
SETS_OF_ITS_OWN = tuple(
    f"resources/{name}/"
    for name in ("benchmark", "stress", "calibration", "statistics", "surfaces")
)
embedded = lambda path: own(path) if path.startswith(SETS_OF_ITS_OWN) else path
config["data"]["files"] = {
    group: [embedded(path) for path in paths]
    for group, paths in config["data"]["files"].items()
}
config["data"]["checksums"] = config["data"]["checksums"] and embedded(
    expanded(config["data"]["checksums"])
)
config["data"]["training_statistics"] = config["data"][
    "training_statistics"
] and embedded(expanded(config["data"]["training_statistics"]))
for place in ("store", "mirror"):
    if "://" not in (config["retrieve"][place] or "://"):
        config["retrieve"][place] = expanded(config["retrieve"][place])
config["labelling"]["known"] = config["labelling"]["known"] and expanded(
    config["labelling"]["known"]
)


def folder_that_sets(name, key):
    """Folder of the file that sets a key of a model; the working directory where none does."""
    for place, settings in reversed(given):
        if key in ((settings.get("models") or {}).get(name) or {}):
            return Path(place).parent
    return "."


MANIFEST = {
    "manifest": own("resources/manifest.yaml"),
    "schema": own("workflow/schemas/manifest.schema.yaml"),
}
try:
    manifest = Manifest(*MANIFEST.values())
    models = Registry(
        HOME / "config" / "models.yaml",
        HOME / "workflow" / "schemas" / "models.schema.yaml",
        config["models"],
        folder_that_sets,
    )
except UserError as error:
    refuse(error)

# every run in a folder of its own, if it has a name
RESULTS, LOGS = (
    str(Path(folder, config["run"] or "")) for folder in ("results", "logs")
)
BENCHMARKS = f"{RESULTS}/benchmarks"

if MAIN and workflow.is_main_process:
    processes.announce(RESULTS)
    # Snakemake's are lost whenever a run ends, and stay when one is killed: onstart has those of the operating system
    if locks.available():
        PersistenceBase.lock = PersistenceBase.noop


def reports():
    """The reports that this run is asked for."""
    asked = set(workflow.dag_settings.targets or ["all"])
    return [
        f"{RESULTS}/{file}.html"
        for file, targets in {
            "report": {"all", "report"},
            "diagnosis": {"diagnose"},
            "universal": {"universal"},
            **{f"rescue_{name}": {"rescue"} for name in config["models"]},
        }.items()
        if asked & targets
    ]


terminal.made = reports

# what is trained, with which seeds; what is adapted, in which way
SEEDS = config["training"]["seeds"]
STRATEGIES = config["training"]["strategies"]
MODES = {"structure": "strategies", "placebo": "placebo"}
ADAPTED = [(mode, name) for mode, key in MODES.items() for name in config["ttt"][key]]
ADAPTATION = [field.name for field in fields(Settings)]
TTT_SETTINGS = {key: config["ttt"][key] for key in ADAPTATION if key in config["ttt"]}
CORRECTED = [
    (mode, name)
    for mode, key in MODES.items()
    for name in config["correction"][key]
    if name in STRATEGIES
]
# method -> files of its predictions and its timing; those that are means of others come last
MADE = {
    **{
        name: (f"predictions/{name}/seed{{seed}}.h5", f"predict/{name}_{{seed}}.json")
        for name in STRATEGIES
    },
    **{
        f"{name}_{called[mode]}": (
            f"{stage}/{mode}/{name}/seed{{seed}}.h5",
            f"{stage}/{mode}_{name}_{{seed}}.json",
        )
        for stage, entries, called in (
            ("adapt", ADAPTED, ADAPTATIONS),
            ("correct", CORRECTED, CORRECTIONS),
        )
        for mode, name in entries
    },
}
MEANS = {
    key: method.mean_of
    for key, method in METHODS.items()
    if method.mean_of and set(method.mean_of) <= set(MADE)
}
MADE |= {
    key: (f"mean/{key}/seed{{seed}}.h5", f"mean/{key}_{{seed}}.json") for key in MEANS
}
# a correction instead of an adaptation
INSTEAD = [key for key in ("joint_corrected", "joint_corrected_delta") if key in MADE]
VARIANTS = config["variants"]
SCHEMES = config["conformers"]["schemes"]
COUNTS = sorted(config["conformers"]["counts"])
POINTS = config["ablations"]["points"]
# what is simulated, and how, with the models of the first seed
SIMULATED = config["simulate"]
MOLECULES, RUNS = SIMULATED["molecules"], SIMULATED["runs"]
PAIRS = [(molecule, run) for molecule in MOLECULES for run in RUNS]
MOVER_SEED = SEEDS[0]
TRAJECTORIES = "<results>/simulate/trajectories/{run}/{molecule}"
DIAGNOSED = list(config["models"])
FINETUNING = config["finetuning"]
TUNED = FINETUNING["groups"]  # whose labels models learn

# the network that every strategy trains: its module, the environment that can import it, and how it is built
BACKBONE = f"learn/backbones/{config['model']['backbone']}"
NETWORK = home_of(config["model"]["backbone"])
NETWORK_ENVIRONMENT = environment_of(config["model"]["backbone"])
ARCHITECTURE = {
    "backbone": config["model"]["backbone"],
    "cutoff": config["model"]["cutoff_A"],
    **config["model"][config["model"]["backbone"]],
}

FIGURES = figures_of.FIGURES | figures_of.ASKED

# modules that read structure files, all asked whether a file is theirs; module that labels with the prior
READERS = [f"data/readers/{name}" for name in components.READERS]
ENGINE = components.engine_of(config["prior"]["method"], config["prior"]["engine"])

# pretrain: training structures and rattled copies; test: what is predicted;
# unlabelled: what broad pre-training sees, with rattled copies; pool: geometries of the test molecules, the first half
# of each, on which they are adapted for the curve over the number of geometries; copies: rattled copies of every test
# structure, by which an adaptation can be stopped; labelled: what models are fine-tuned on; surfaces, bonds: molecules
# displaced along directions, and with a bond compressed or stretched
SETS = {
    name: f"<results>/frames/{name}.h5"
    for name in (
        *("pretrain", "test", "unlabelled", "pool", "copies"),
        *("labelled", "surfaces", "bonds"),
    )
}
# files of the benchmark in which the connectivity varies, as the settings name them
CONNECTIVITY = [
    f"{RESULTS}/connectivity/{group}.extxyz"
    for group in config["connectivity"]["structures"]
]
MODEL = "<results>/models/{strategy}/seed{seed}/weights.pt"


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

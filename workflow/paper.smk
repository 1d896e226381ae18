# The figures and tables of the paper by name, over an experiment of config/paper.yaml each.

import sys
from pathlib import Path

from snakemake.utils import min_version, update_config

min_version("9.27")

HOME = Path(str(workflow.current_basedir)).parent
sys.path.insert(0, str(HOME / "workflow"))

from mlipshift.base.errors import UserError
from mlipshift.run import experiments


configfile: str(HOME / "config" / "paper.yaml")


try:
    PAPER = experiments.Paper.of(config, HOME)
except UserError as error:
    sys.exit(f"error: {error}")


rule all:
    input:
        [rule for rule in PAPER.figures.values()],
    localrule: True
    message:
        "Every figure and table of the paper."


module spice:
    snakefile:
        "../Snakefile"
    config:
        PAPER.settings["spice"]


use rule * from spice as spice_*


module mptrj:
    snakefile:
        "../Snakefile"
    config:
        PAPER.settings["mptrj"]


# files are downloaded by the rules of the first one
use rule * from mptrj exclude retrieve_file, unpack, unpack_member as mptrj_*


module oc20:
    snakefile:
        "../Snakefile"
    config:
        PAPER.settings["oc20"]


use rule * from oc20 exclude retrieve_file, unpack, unpack_member as oc20_*


module ani1x:
    snakefile:
        "../Snakefile"
    config:
        PAPER.settings["ani1x"]


use rule * from ani1x exclude retrieve_file, unpack, unpack_member as ani1x_*


module md17:
    snakefile:
        "../Snakefile"
    config:
        PAPER.settings["md17"]


use rule * from md17 exclude retrieve_file, unpack, unpack_member as md17_*


module md22:
    snakefile:
        "../Snakefile"
    config:
        PAPER.settings["md22"]


use rule * from md22 exclude retrieve_file, unpack, unpack_member as md22_*


module spice_finetuning:
    snakefile:
        "../Snakefile"
    config:
        PAPER.settings["spice_finetuning"]


use rule * from spice_finetuning exclude retrieve_file, unpack, unpack_member as spice_finetuning_*


for name, files in PAPER.figures.items():

    rule:
        name:
            name
        input:
            files,
        localrule: True
        message:
            "One figure or table of the paper."

"""What can be exchanged, by the names of its modules, which are loaded when they are asked for.

A new one is a module and one line here. Rules list the modules in use as inputs, so that an edit of another one runs
nothing again.
"""

# setting model.backbone, module of learn.backbones -> its class
BACKBONES = {
    "painn": "PaiNN",
    "gemnet": "GemNet",
    "mace": "MACE",
}

# setting prior.method -> modules of prior.engines that have it; the first one is meant where no library is named
PRIORS = {
    "GFN1-xTB": ("tblite", "xtb_python"),
    "GFN2-xTB": ("tblite", "xtb_python"),
    "GFN-FF": ("xtb_python",),
    "Morse": ("morse",),
    "sGDML": ("sgdml",),
}

# those of PRIORS that are fitted to reference labels of each molecule, in an environment of their own -> its name
FITTED = {"sGDML": "sgdml"}

# methods that several libraries offer
TIGHT_BINDING = tuple(method for method, modules in PRIORS.items() if len(modules) > 1)

# setting prior.engine -> module of prior.engines
LIBRARIES = {
    "tblite": "tblite",
    "xtb": "xtb_python",
}

# modules of data.readers, in the order in which they are asked whether a file is theirs; ASE takes what is left
READERS = (
    "asedb",
    "oc20",
    "npz",
    "dataset",
    "spice",
    "ani1x",
    "qm7x",
    "mptrj",
    "sdf",
    "extxyz",
    "ase",
)

# key family of the registry, module of external.families
FAMILIES = (
    "mlipshift",
    "mace",
    "chgnet",
    "sevennet",
    "aimnet2",
    "torchani",
    "so3lr",
    "jmp",
    "ase",
)

# those of FAMILIES with a module of external.differentiable
DIFFERENTIABLE = (
    "mace",
    "aimnet2",
)

# those of FAMILIES whose neighbour list can end at another radius
REWIRED = (
    "mace",
    "chgnet",
    "sevennet",
)


def engine_of(method: str, library: str = "") -> str:
    """Module of prior.engines that labels with a method of PRIORS: that of `library` where there is a choice."""
    modules = PRIORS[method]
    return LIBRARIES[library] if LIBRARIES.get(library) in modules else modules[0]

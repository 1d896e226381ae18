# What the rules of many cutoffs share: networks of section radius, their radii and envelopes.


def check_networks():
    """One line for what section radius names and cannot be made."""
    for name, entry in NETWORKS.items():
        where = f"radius.networks.{name}"
        backbone = entry["backbone"] or config["model"]["backbone"]
        if entry["forces"] and "forces" not in config["model"][backbone]:
            refuse(
                f"{where}.forces: the backbone {backbone} has no other forces; leave it out"
            )
        low, high = entry["range_A"] or (0, entry["cutoff_A"])
        if not low <= entry["cutoff_A"] <= high or low == high:
            refuse(
                f"{where}: cutoff_A {entry['cutoff_A']:g} is not in range_A {low:g} to {high:g}; give an ascending"
                " range around it"
            )
    if list(RADII) != sorted(RADII):
        refuse(f"radius.radii_A is {RADII}; give the radii in ascending order")
    for name in RADIUS["models"]:
        if name not in DIAGNOSED:
            refuse(
                f"radius.models: {name} is none of the models of section models; name it there, too"
            )
        family = model_entry(name)["family"]
        if family not in components.REWIRED:
            refuse(
                f"radius.models: the radius of {name} cannot be set, only that of the families"
                f" {', '.join(components.REWIRED)}"
            )
    motion = RADIUS["motion"]
    for section in ("motion", "adapt"):
        for name in RADIUS[section]["networks"]:
            if name not in NETWORKS:
                refuse(
                    f"radius.{section}.networks: {name} is no network of radius.networks"
                )
    for group in motion["groups"]:
        if motion["networks"] and group not in config["data"]["files"]:
            refuse(f"radius.motion.groups: {group} is no group of data.files")
    for chosen in (*RADIUS["adapt"]["rules"], motion["chosen_by"]):
        if NETWORKS and chosen not in RADIUS_RULES:
            refuse(
                f"section radius: {chosen} is no rule of radius.rules; name one of {', '.join(RADIUS_RULES)}"
            )


def reach(entry):
    """Largest radius that a network has been trained with."""
    return entry["range_A"][1] if entry["range_A"] else entry["cutoff_A"]


def backbone_of(wildcards):
    """Backbone of a network of section radius."""
    return NETWORKS[wildcards.network]["backbone"] or config["model"]["backbone"]


def network_backbone(wildcards):
    """Input function: the modules of its backbone."""
    return modules(f"learn/backbones/{backbone_of(wildcards)}")


def network_environment(wildcards):
    """Conda environment that can import its backbone."""
    return environment_of(backbone_of(wildcards))


def network_interpreter(wildcards):
    """Param function: the Python of that environment."""
    return interpreter(home_of(backbone_of(wildcards)))


def architecture_of(wildcards):
    """Param function: the network of section radius, as one line of JSON."""
    entry, backbone = NETWORKS[wildcards.network], backbone_of(wildcards)
    own = {"forces": entry["forces"]} if entry["forces"] else {}
    sizes = {"backbone": backbone, "cutoff": reach(entry)}
    return as_json(sizes | config["model"][backbone] | own)


def settings_of_network(wildcards):
    """Param function: its training, as one line of JSON."""
    entry = NETWORKS[wildcards.network]
    own = {"cutoffs": entry["range_A"]} if entry["range_A"] else {}
    own |= {"steps": entry["steps"]} if entry["steps"] else {}
    return as_json(config["training"][KINDS[wildcards.strategy].recipe] | own)


def envelopes(name):
    """Where the envelope may end: a network that was trained with many radii has no trained envelope."""
    return ["rescaled"] if NETWORKS[name]["range_A"] else ["trained", "rescaled"]


def in_its_range(name):
    """Candidate radii of a network: those that it was trained with, if it was trained with many."""
    low, high = NETWORKS[name]["range_A"] or (0, float("inf"))
    return [radius for radius in RADII if low <= radius <= high]


def adapted_here(name, envelope):
    """Whether a network is adapted on refined graphs, which is done for one envelope."""
    return name in RADIUS["adapt"]["networks"] and envelope == envelopes(name)[0]


def network_entries():
    """What evaluate_radii looks at: an entry per network, strategy and envelope, and per model of the registry."""
    entries = []
    for name in NETWORKS:
        for strategy in RADIUS["strategies"]:
            for envelope in envelopes(name):
                folder = f"{RESULTS}/radius/{name}/{strategy}/seed{{seed}}"
                timing = f"{RESULTS}/timings/radius/{name}_{strategy}_{{seed}}_{envelope}.json"
                entries.append(
                    {
                        "network": name,
                        "strategy": strategy,
                        "envelope": envelope,
                        "radii": in_its_range(name),
                        "choices": f"{RESULTS}/radius/{name}/choices.csv",
                        "choose_timing": f"{RESULTS}/timings/radius/{name}_choices.json",
                        "scans": expand(
                            f"{folder}/scan_{envelope}.h5", seed=RADIUS_SEEDS
                        ),
                        "timings": expand(timing, seed=RADIUS_SEEDS),
                        "adapted": {
                            chosen: expand(
                                f"{folder}/ttt_{envelope}_{chosen}.h5",
                                seed=RADIUS_SEEDS,
                            )
                            for chosen in ("nothing", *RADIUS["adapt"]["rules"])
                            if strategy == "joint" and adapted_here(name, envelope)
                        },
                    }
                )
    for name in RADIUS["models"]:
        folder = f"{RESULTS}/models/external/{name}"
        entries.append(
            {
                "network": name,
                "strategy": "public",
                "envelope": "trained",
                "radii": RADII,
                "choices": f"{folder}/radii.csv",
                "choose_timing": f"{RESULTS}/timings/models/{name}_radii.json",
                "scans": [f"{folder}/radii.h5"],
                "timings": [f"{RESULTS}/timings/models/{name}_test.json"],
                "adapted": {},
            }
        )
    return entries


def files_of_networks(*keys):
    """Files of all entries under some keys."""
    found = []
    for entry in network_entries():
        for key in keys:
            value = entry[key]
            if isinstance(value, dict):
                found += [path for paths in value.values() for path in paths]
            else:
                found += value if isinstance(value, list) else [value]
    return list(dict.fromkeys(found))

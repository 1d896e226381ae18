# Published datasets, filtered; each is a file that data.files can name.


def imported(path):
    """Whether the rule below makes a path."""
    return Path(path) in {
        Path(RESULTS, "import", f"{name}.h5") for name in config["import"]
    }


def sources_of(name):
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


rule import_dataset:
    input:
        **code("import_dataset"),
        files=lambda wildcards: sources_of(wildcards.name),
    output:
        dataset="<results>/import/{name}.h5",
        counts="<results>/import/{name}_counts.csv",
        failures="<results>/import/{name}_failures.csv",
    log:
        "<logs>/import/{name}.log",
    benchmark:
        "<benchmarks>/import/{name}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing("12h"),
    params:
        recipe=lambda wildcards: as_json(config["import"][wildcards.name]),
        settings=as_json(
            {
                key: config["data"][key]
                for key in ("units", "keys", "bad_structures", "trust_pickles")
            }
        ),
    message:
        "Filter the files of import.{wildcards.name} and count what every step leaves."
    shell:
        "python {input.script} --name {wildcards.name} --recipe {params.recipe:q}"
        " --settings {params.settings:q} --output {output.dataset} --counts {output.counts}"
        " --failures {output.failures} --log {log}"

# Published datasets, filtered; each is a file that data.files can name.


rule import_dataset:
    input:
        **code("import_dataset"),
        files=lambda wildcards: import_files(wildcards.name),
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

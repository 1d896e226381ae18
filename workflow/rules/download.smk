# Public datasets and checkpoints: downloaded, checked, unpacked, filtered. `snakemake retrieve`, `snakemake check_sources`.

import os

# an environment variable and no param: where a file comes from does not change it, and another mirror must not
# download it again
os.environ.update(MLIPSHIFT_RETRIEVE=as_json(config["retrieve"]))

FROM_MANIFEST = {
    "name": alternatives(manifest.entries),
    "version": alternatives(entry.version for entry in manifest.entries.values()),
    "archive": "[^/]+",
}


rule retrieve_file:
    input:
        **settled(**code("retrieve_file")),
        **settled(**MANIFEST),
    output:
        "data/{name}/{version}/{path}",
    log:
        "<logs>/retrieve/{name}/{version}/{path}.log",
    wildcard_constraints:
        name=FROM_MANIFEST["name"],
        version=FROM_MANIFEST["version"],
        path="(?!unpacked/|members/).+",
    localrule: True  # a login node has the network
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime="48h",
    params:
        expected=lambda wildcards: as_json(described(wildcards).expected),
    message:
        "Download {wildcards.path} of {wildcards.name} {wildcards.version}."
    shell:
        "python {input.script:q} --manifest {input.manifest:q} --schema {input.schema:q}"
        " --name {wildcards.name} --version {wildcards.version} --file {wildcards.path:q}"
        ' --settings "$MLIPSHIFT_RETRIEVE" --output {output:q} --log {log:q} >> {log:q} 2>&1'


rule unpack:
    input:
        **code("unpack"),
        archive="data/{name}/{version}/{archive}",
    output:
        directory("data/{name}/{version}/unpacked/{archive}"),
    log:
        "<logs>/unpack/{name}/{version}/{archive}.log",
    wildcard_constraints:
        **FROM_MANIFEST,
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing("6h"),
    params:
        member="",
        limit=lambda wildcards: limit_option(described(wildcards)),
    message:
        "Unpack {wildcards.archive} of {wildcards.name} {wildcards.version}."
    shell:
        "python {input.script:q} --archive {input.archive:q} {params.member} {params.limit}"
        " --output {output:q} --log {log:q} >> {log:q} 2>&1"


use rule unpack as unpack_member with:
    output:
        "data/{name}/{version}/members/{archive}/{member}",
    log:
        "<logs>/unpack/{name}/{version}/{archive}/{member}.log",
    wildcard_constraints:
        **FROM_MANIFEST,
        member=".+",
    params:
        member=lambda wildcards: options(member=wildcards.member),
    message:
        "Take {wildcards.member} out of {wildcards.archive} of {wildcards.name} {wildcards.version}."


rule ask_sources:
    input:
        **code("ask_sources"),
        **MANIFEST,
    output:
        "<results>/tables/sources.csv",
    log:
        "<logs>/check_sources.log",
    localrule: True
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime="1h",
    message:
        "Ask every address of the manifest whether it answers."
    shell:
        "python {input.script:q} --manifest {input.manifest:q} --schema {input.schema:q}"
        ' --settings "$MLIPSHIFT_RETRIEVE" --output {output:q} --log {log:q} >> {log:q} 2>&1'


rule import_dataset:
    input:
        **code("import_dataset", *READERS),
        files=lambda wildcards: [
            by_content(path, f"{RESULTS}/import/{wildcards.name}.h5")
            for path in import_files(wildcards.name)
        ],
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
        recipe=lambda wildcards: as_json(recipe_of(wildcards.name)),
        settings=as_json(
            {
                key: config["data"][key]
                for key in ("units", "keys", "bad_structures", "trust_pickles")
            }
        ),
    message:
        "Filter the files of import.{wildcards.name} and count what every step leaves."
    shell:
        "python {input.script:q} --name {wildcards.name} --recipe /dev/stdin"
        " --settings {params.settings:q} --output {output.dataset:q} --counts {output.counts:q}"
        " --failures {output.failures:q} --log {log:q} >> {log:q} 2>&1 <<< {params.recipe:q}"

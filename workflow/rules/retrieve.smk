# Public datasets and checkpoints: downloaded, checked, unpacked. `snakemake retrieve`, `snakemake check_sources`.

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
        "python {input.script} --manifest {input.manifest} --schema {input.schema}"
        " --name {wildcards.name} --version {wildcards.version} --file {wildcards.path:q}"
        ' --settings "$MLIPSHIFT_RETRIEVE" --output {output:q} --log {log:q}'


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
        limit=lambda wildcards: limit_option(described(wildcards)),
    message:
        "Unpack {wildcards.archive} of {wildcards.name} {wildcards.version}."
    shell:
        "python {input.script} --archive {input.archive:q} {params.limit} --output {output:q} --log {log:q}"


rule unpack_member:
    input:
        **code("unpack"),
        archive="data/{name}/{version}/{archive}",
    output:
        "data/{name}/{version}/members/{archive}/{member}",
    log:
        "<logs>/unpack/{name}/{version}/{archive}/{member}.log",
    wildcard_constraints:
        **FROM_MANIFEST,
        member=".+",
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing("6h"),
    params:
        limit=lambda wildcards: limit_option(described(wildcards)),
    message:
        "Take {wildcards.member} out of {wildcards.archive} of {wildcards.name} {wildcards.version}."
    shell:
        "python {input.script} --archive {input.archive:q} --member {wildcards.member:q} {params.limit}"
        " --output {output:q} --log {log:q}"


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
        "python {input.script} --manifest {input.manifest} --schema {input.schema}"
        ' --settings "$MLIPSHIFT_RETRIEVE" --output {output} --log {log}'

# A benchmark in which the connectivity of radius graphs varies, labelled with tight binding. Its files are made when
# data.files names them, as config/radius.yaml does, or when they are asked for by name.

TRUTH = (
    f"prior/engines/{components.engine_of(config['connectivity']['method'], 'tblite')}"
)

if config["connectivity"]["method"] == config["prior"]["method"] and any(
    path in CONNECTIVITY for paths in config["data"]["files"].values() for path in paths
):
    refuse(
        f"connectivity.method and prior.method are both {config['prior']['method']}, and the prior would be the truth;"
        " set prior.method to another one, such as GFN1-xTB"
    )


rule sample_connectivity:
    input:
        **code("sample_connectivity"),
        molecules=own("resources/connectivity/molecules.csv"),
    output:
        frames="<results>/connectivity/frames.h5",
    log:
        "<logs>/connectivity/sample_connectivity.log",
    benchmark:
        "<benchmarks>/connectivity/sample_connectivity.tsv"
    conda:
        "../../envs/reference.yaml"
    threads: 2
    resources:
        mem_mb=growing(2000),
        runtime=growing("30m"),
    params:
        structures=as_json(config["connectivity"]["structures"]),
        seed=config["connectivity"]["seed"],
    message:
        "Sample molecules, chains, cages, macrocycles, dimers and clusters in a force field."
    shell:
        "python {input.script:q} --molecules {input.molecules:q} --structures {params.structures:q}"
        " --seed {params.seed} --threads {threads} --output {output.frames:q} --log {log:q} >> {log:q} 2>&1"


use rule label_prior as label_connectivity with:
    input:
        **code("label_prior", TRUTH),
        frames=rules.sample_connectivity.output.frames,
    output:
        labels="<results>/connectivity/shards/{scatteritem}.h5",
        failures="<results>/connectivity/shards/{scatteritem}.csv",
        timing="<results>/connectivity/shards/{scatteritem}.json",
    log:
        "<logs>/connectivity/label_connectivity_{scatteritem}.log",
    benchmark:
        "<benchmarks>/connectivity/label_connectivity_{scatteritem}.tsv"
    conda:
        "../../envs/xtb.yaml"
    params:
        python=lambda wildcards: interpreter(None),
        fitted="",
        method=config["connectivity"]["method"],
        shard=lambda wildcards: wildcards.scatteritem,
        engine="tblite",
        accuracy=config["connectivity"]["accuracy"],
    message:
        "Label shard {params.shard} of the connectivity benchmark with {params.method}."


use rule gather_prior as gather_connectivity with:
    input:
        **code("gather_prior", TRUTH),
        frames=rules.sample_connectivity.output.frames,
        shards=gather.connectivity("<results>/connectivity/shards/{scatteritem}.h5"),
        failures=gather.connectivity("<results>/connectivity/shards/{scatteritem}.csv"),
        timings=gather.connectivity("<results>/connectivity/shards/{scatteritem}.json"),
    output:
        labels="<results>/connectivity/labels.h5",
        failures="<results>/connectivity/unlabelled.csv",
        timing="<results>/timings/connectivity.json",
    log:
        "<logs>/connectivity/gather_connectivity.log",
    benchmark:
        "<benchmarks>/connectivity/gather_connectivity.tsv"
    params:
        method=config["connectivity"]["method"],
        engine="tblite",
    message:
        "Put the labels of all shards of the connectivity benchmark into the order of its structures."


rule assemble_connectivity:
    input:
        **code("assemble_connectivity"),
        frames=rules.sample_connectivity.output.frames,
        labels=rules.gather_connectivity.output.labels,
        failures=rules.gather_connectivity.output.failures,
        molecules=own("resources/connectivity/molecules.csv"),
    output:
        groups=CONNECTIVITY,
        sums="<results>/connectivity/SHA256SUMS",
        failures="<results>/failures/connectivity.csv",
    log:
        "<logs>/connectivity/assemble_connectivity.log",
    benchmark:
        "<benchmarks>/connectivity/assemble_connectivity.tsv"
    conda:
        "../../envs/reference.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing("10m"),
    params:
        directory=subpath(output.sums, parent=True),
        largest=config["connectivity"]["largest_force_eV_per_A"],
    message:
        "Write the connectivity benchmark, one file per group; without label or with too large a force is left out."
    shell:
        "python {input.script:q} --frames {input.frames:q} --labels {input.labels:q}"
        " --label-failures {input.failures:q} --molecules {input.molecules:q} --largest-force {params.largest}"
        " --output {params.directory:q} --failures {output.failures:q} --log {log:q} >> {log:q} 2>&1"

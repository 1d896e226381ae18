"""Write config/config.yaml and config/README.md from the schema, the one place where settings are defined."""

from pathlib import Path

import yaml

from mlipshift.catalogue.schema import read_schema
from mlipshift.run import cli
from mlipshift.run.configuration import expected, fill, resolve

HEAD = """\
# Settings of the reproduction, all at their defaults. Generated from workflow/schemas/config.schema.yaml
# by `make config`; config/README.md is the manual. For a run of your own, put only the keys that differ
# into another file and give it with --configfile.
"""
MANUAL = """\
# Parameter manual

Generated from `workflow/schemas/config.schema.yaml` by `make config`; a test fails when it is stale.

`config/config.yaml` holds every setting at its default. For a run of your own, write only the keys that
differ into another file; it is merged over the defaults, key by key, and lists are replaced whole:

```sh
snakemake --cores 4 --configfile my.yaml
```

`config/smoke.yaml` is an example: the whole pipeline at its smallest. An unknown key, a wrong type or an
impossible value ends the run before it starts, with one line that names the file, the key and the mend. A
changed setting re-runs the rules that use it and nothing else.

| to | write |
|---|---|
| run one rule, and what it needs | `snakemake --cores 4 diagnose`, or the path of a file: `snakemake --cores 4 results/prior/test.h5` |
| run it again | `snakemake --cores 4 --forcerun evaluate` |
| keep the runs of several data sets side by side | `run: mine` in the file of each |
| use your own files | `data: {files: {train: [mine/train.extxyz], ood_hot: [mine/hot.extxyz]}}`, with `data.keys` and `data.units` |
| use published files | paths below `data/`, as in `config/acac.yaml`; `resources/manifest.yaml` lists them |
| take them from a disk or a server nearby | `retrieve: {mirror: /mnt/data}` or `retrieve: {mirror: "http://server/data"}` |
| work without a network | `retrieve: {offline: true}`, with a mirror for what is not there yet |
| run on a cluster | `snakemake --workflow-profile profiles/slurm`; see `profiles/README.md` |
"""


def leaves(node, schema, path=(), default=None):
    """Yield (path, schema node, default) of every key in order; of sections the default is None.

    In a section whose keys the user names, NAME stands for one, and the defaults are those of its own keys.
    """
    node = resolve(node, schema)
    for key, child in node["properties"].items():
        child = resolve(child, schema)
        here = (*path, key)
        if "properties" in child:
            yield here, child, None
            yield from leaves(child, schema, here, default[key])
        else:
            yield here, child, default[key]
            for named in child.get("patternProperties", {}).values():
                if "properties" not in resolve(named, schema):
                    continue
                yield from leaves(named, schema, (*here, "NAME"), fill(named, {}, schema))


def scalar(value):
    """YAML of a scalar or a flat list in one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6).removesuffix("...\n")
    return text.strip().replace("1.0e-0", "1.0e-")


def own_values(node, default, schema):
    """{name: its values that differ from those of any new entry} of a section whose keys the user names; else None."""
    named = next(iter(node.get("patternProperties", {}).values()), None)
    if named is None or "properties" in node or not default:
        return None
    common = fill(named, {}, schema)
    return {
        name: {key: value for key, value in entry.items() if value != common.get(key)}
        for name, entry in default.items()
    }


def sentence(node):
    """Description with its unit."""
    return node["description"] + (f" Unit: {node['unit']}." if "unit" in node else "")


def wrap(text, width):
    """Lines of at most `width` characters."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) + 1 > width and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def default_config(schema, values):
    """Text of the commented configuration file."""
    lines = [HEAD]
    for path, node, default in leaves(schema, schema, (), values):
        if "NAME" in path:
            continue
        indent = "  " * (len(path) - 1)
        if len(path) == 1:
            lines.append("")
        lines += [f"{indent}# {line}" for line in wrap(sentence(node), 100 - len(indent))]
        entries = own_values(node, default, schema)
        if entries is None:
            lines.append(f"{indent}{path[-1]}:" + ("" if "properties" in node else f" {scalar(default)}"))
        else:
            lines.append(f"{indent}{path[-1]}:")
            lines += [f"{indent}  {name}: {scalar(entry)}" for name, entry in entries.items()]
    return "\n".join(lines) + "\n"


def manual(schema, values):
    """Text of the parameter manual: one table per section."""
    lines = [MANUAL]
    header = ["| key | meaning | unit | accepted | default |", "|---|---|---|---|---|"]
    section = None
    for path, node, default in leaves(schema, schema, (), values):
        is_section = "properties" in node or "patternProperties" in node
        if len(path) == 1 and is_section:
            section = path[0]
            lines += [f"\n## `{section}`\n", node["description"], "", *header]
        elif len(path) == 1 and section is not None:
            raise ValueError(f"{path[0]}: settings outside a section come first in the schema")
        elif is_section:
            lines.append(f"| **`{'.'.join(path)}`** | **{node['description']}** | | | |")
        entries = own_values(node, default, schema) if is_section else None
        if entries:
            lines += [
                f"| `{'.'.join(path)}.{name}` | a default entry | | | `{scalar(e)}` |" for name, e in entries.items()
            ]
        if is_section:
            continue
        if len(lines) == 1:
            lines += ["## Outside the sections\n", *header]
        row = (
            f"`{'.'.join(path)}`",
            node["description"],
            node.get("unit", ""),
            expected(node),
            f"`{scalar(default)}`" if "default" in node else "to be given",
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
    return "\n".join(lines) + "\n"


def main(args):
    schema = read_schema(args.schema)
    values = fill(schema, {}, schema)
    args.config.write_text(default_config(schema, values), encoding="utf-8")
    args.manual.write_text(manual(schema, values), encoding="utf-8")


if __name__ == "__main__":
    cli.run(
        main,
        __doc__,
        {
            "schema": {"type": Path, "help": "JSON Schema of the settings, as YAML"},
            "config": {"type": Path, "help": "commented default configuration to write"},
            "manual": {"type": Path, "help": "parameter manual to write"},
        },
    )

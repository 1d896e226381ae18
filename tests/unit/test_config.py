"""Settings: defaults, one clear line for every mistake, generated files up to date."""

import ast
import copy
import datetime
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from mlipshift.base.errors import UserError
from mlipshift.catalogue import schema as catalogue
from mlipshift.catalogue.schema import read_schema
from mlipshift.catalogue.strategies import STRATEGIES
from mlipshift.data.manifest import Manifest
from mlipshift.external.registry import Registry
from mlipshift.run.configuration import load, read, resolve, typed

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"


def nodes(node, schema, path=()):
    """(path, resolved node) of every key below a schema node."""
    for key, child in node.get("properties", {}).items():
        child = resolve(child, schema)
        yield (*path, key), child
        yield from nodes(child, schema, (*path, key))


def message(config, sources=()):
    with pytest.raises(UserError) as caught:
        load(config, SCHEMA, sources)
    text = str(caught.value)
    assert "\n" not in text
    return text


def nested(path, value):
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def test_the_schema_is_valid_and_documents_every_key():
    schema = read_schema(SCHEMA)
    Draft202012Validator.check_schema(schema)
    for path, node in [((), schema), *nodes(schema, schema)]:
        if "properties" in node:
            assert node["additionalProperties"] is False, path
        else:
            assert "default" in node, path
            assert "enum" in node or "type" in node, path
        assert not path or node["description"].endswith("."), path
        if path and path[-1].endswith("_A"):
            units = {"_meV_per_A": "meV/Å", "_eV_per_A": "eV/Å", "_A": "Å"}
            assert node["unit"] == next(u for ending, u in units.items() if path[-1].endswith(ending)), path


def test_the_defaults_satisfy_the_schema_and_are_config_yaml():
    # entries of sections whose keys the user names stand there as far as they differ from a new one
    assert load({}, SCHEMA) == load(read(ROOT / "config" / "config.yaml"), SCHEMA)


def test_defaults_fill_what_is_not_given_and_leave_the_input_alone():
    given = {"training": {"pretrain": {"batch": 3}}}
    before = copy.deepcopy(given)
    settings = load(given, SCHEMA)
    default = load({}, SCHEMA)
    assert given == before
    assert settings["training"]["pretrain"] == {**default["training"]["pretrain"], "batch": 3}
    assert settings["ttt"] == default["ttt"]


def test_the_level_of_the_default_files_is_claimed_for_no_others():
    default = read(ROOT / "config" / "config.yaml")
    level = lambda own: load(default | {"data": default["data"] | own}, SCHEMA, [("d", default), ("o", {"data": own})])
    files = {"files": {"train": ["mine.extxyz"]}}
    assert level({"bad_structures": "record"})["data"]["level"] == default["data"]["level"]
    assert level(files)["data"]["level"] is None
    assert level(files | {"level": "PBE/def2-SVP"})["data"]["level"] == "PBE/def2-SVP"


def test_smoke_only_overrides_and_differs_from_the_defaults():
    smoke, default = read(ROOT / "config" / "smoke.yaml"), load({}, SCHEMA)
    assert load(smoke, SCHEMA) != default

    def differs(part, whole):
        for key, value in part.items():
            if isinstance(value, dict):
                differs(value, whole[key])
            else:
                assert value != whole[key], f"{key} repeats the default"

    differs(smoke, default)


def test_generated_files_are_up_to_date(tmp_path):
    made = {"config": tmp_path / "config.yaml", "manual": tmp_path / "README.md"}
    subprocess.run(
        [sys.executable, ROOT / "workflow/scripts/document_config.py", "--schema", SCHEMA]
        + [str(x) for name, path in made.items() for x in (f"--{name}", path)],
        check=True,
        capture_output=True,
        env={"PYTHONPATH": str(ROOT / "workflow")},
    )
    for name, path in made.items():
        kept = ROOT / "config" / path.name
        assert path.read_bytes() == kept.read_bytes(), f"{kept.name} ({name}) is stale; run make config"


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        ("trainin", {}, ["unknown key 'trainin'", "did you mean 'training'?"]),
        ("ttt.learnig_rate", 1.0, ["unknown key 'ttt.learnig_rate'", "'learning_rate'"]),
        ("zzz", 1, ["unknown key 'zzz'", "remove it", "training"]),
        ("conformers.schemes.mine", {"strategy": "joint", "interpolation": 1.5}, ["interpolation' is 1.5", "most 1"]),
        ("data.files.my_group", ["a.xyz"], ["unknown key 'data.files.my_group'", "id_test"]),
        ("training.pretrain.steps", -5, ["'training.pretrain.steps' is -5", "whole number of at least 1"]),
        ("ttt.steps", -1, ["'ttt.steps' is -1", "at least 0"]),
        ("ttt.steps", 2.5, ["'ttt.steps' is 2.5", "whole number"]),
        ("training.seeds", [], ["'training.seeds' is empty"]),
        ("training.seeds", [1, 1], ["'training.seeds'", "twice", "every entry once"]),
        ("training.seeds", 3, ["'training.seeds' is 3", "give a list"]),
        ("training.seeds", [0, "a"], ["'training.seeds[1]'", "whole number"]),
        ("training", None, ["'training' is null", "mapping"]),
        ("ttt.learning_rate", "1e-4", ["reads this one as text", "write 0.0001"]),
        ("ttt.learning_rate", "1e-5", ["reads this one as text", "write 1.0e-05"]),
        ("ttt.optimiser", "adamw", ["'ttt.optimiser' is \"adamw\"", "one of adam, sgd"]),
        ("data.units.energy", "ev", ["'data.units.energy' is \"ev\"", "one of eV, Hartree, kcal/mol"]),
        ("data.files.train", "a.xyz", ["'data.files.train' is \"a.xyz\"", "give a list"]),
        ("refine.radii_A", [3.0, 0.0], ["'refine.radii_A[1]' is 0.0", "above 0"]),
        ("model.cutoff_A", -5.0, ["'model.cutoff_A' is -5.0", "(Å)", "above 0"]),
        ("prior.shards", True, ["'prior.shards' is true", "whole number"]),
        ("correction.weight", 2.5, ["'correction.weight' is 2.5", "a number of at least 0 and of at most 2"]),
        ("correction.weight", -0.1, ["'correction.weight' is -0.1", "at least 0"]),
        ("correction.strategies", ["delta"], ["'correction.strategies[0]' is \"delta\"", "one of freeze, joint"]),
        ("correction.placebo", ["supervised"], ["'correction.placebo[0]'", "one of freeze, joint"]),
        ("correction.wieght", 1, ["unknown key 'correction.wieght'", "did you mean 'weight'?"]),
        (
            "conformers.schemes.mine",
            {"strategy": "joint", "teacher": "joint"},
            ['teacher\' is "joint"', "one of delta, "],
        ),
        ("ttt.momentum", 1.0, ["'ttt.momentum' is 1.0", "below 1"]),
    ],
)
def test_a_mistake_is_one_line_with_key_and_mend(path, value, parts):
    text = message(nested(path, value))
    assert all(part in text for part in parts), text


def test_the_source_that_sets_the_key_is_named():
    sources = [
        ("config/config.yaml", {"ttt": {"steps": 50}}),
        ("my.yaml", {"ttt": {"steps": -1}}),
        ("--config", {"prior": {"shards": 2}}),
    ]
    assert message({"ttt": {"steps": -1}, "prior": {"shards": 2}}, sources).startswith("my.yaml: 'ttt.steps'")


def test_text_from_the_command_line_is_read_as_yaml():
    given = {"ttt": {"steps": "3", "record": ["1", "2"]}, "data": {"checksums": "null"}, "prior": {"seed": 4}}
    read_again = typed(given)
    assert read_again == {"ttt": {"steps": 3, "record": [1, 2]}, "data": {"checksums": None}, "prior": {"seed": 4}}
    assert load(read_again, SCHEMA)["ttt"]["steps"] == 3


def test_several_mistakes_are_counted():
    assert "(2 more to mend after this one)" in message(
        {"ttt": {"steps": -1}, "prior": {"shards": 0}, "model": {"blocks": 0}}
    )


def test_a_date_of_yaml_is_text():
    assert load({"run": datetime.date(2026, 1, 2)}, SCHEMA)["run"] == "2026-01-02"


# the one reader of YAML

KINDS = {
    "settings": (read, "ttt: {steps: 3}\nmodel: {}\nttt: {steps: 4}\n", "'ttt'", 3),
    "schema of the settings": (read_schema, "type: object\nproperties:\n  a: {}\n  a: {}\n", "'a'", 4),
    "registry": (lambda path: Registry(path, MODELS), "m: {title: a}\n\nm: {title: b}\n", "'m'", 3),
    "schema of the registry": (lambda path: Registry(SHIPPED, path), "type: object\ntype: array\n", "'type'", 2),
    "manifest": (lambda path: Manifest(path, DOWNLOADS), "x:\n  kind: dataset\n  kind: model\n", "'kind'", 3),
    "schema of the manifest": (lambda path: Manifest(FILES, path), "type: object\ntype: array\n", "'type'", 2),
}
SHIPPED, MODELS = ROOT / "config/models.yaml", ROOT / "workflow/schemas/models.schema.yaml"
FILES, DOWNLOADS = ROOT / "resources/manifest.yaml", ROOT / "workflow/schemas/manifest.schema.yaml"


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_with_a_key_twice_or_that_is_none_is_one_line(tmp_path, kind):
    reads, content, key, line = KINDS[kind]
    path = tmp_path / "my.yaml"
    for text, parts in [
        (content, [f"{path}: key {key} stands twice, again in line {line}; keep one"]),
        ("a: [1\n", [f"{path}, line 2: not YAML"]),
        ("? [1, 2]\n: 3\n", [str(path)]),
        ("&a [*a]", [str(path)]),
        (None, [f"{path}: cannot be read (No such file or directory)"]),
    ]:
        path.write_text(text) if text else path.unlink()
        with pytest.raises(UserError) as caught:
            reads(path)
        assert all(part in str(caught.value) for part in parts), caught.value


def test_a_key_twice_on_the_command_line_and_what_merging_brings_in(tmp_path):
    with pytest.raises(UserError, match="--config: key 'steps' stands twice"):
        typed({"ttt": "{steps: 3, steps: 4}"})
    # a key of a mapping that is merged may stand again beside the merge
    path = tmp_path / "my.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: &b\n  <<: *a\n  x: 3\nc:\n  <<: *b\n  y: 4\n")
    assert read(path) == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 3, "y": 4}}


def test_nothing_else_reads_yaml():
    readers = []
    for path in (p for folder in ("workflow", "benchmarks") for p in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and "load" in node.attr and ast.unparse(node.value) == "yaml":
                readers.append(path.relative_to(ROOT / "workflow" / "mlipshift").as_posix())
    assert readers == ["base/yaml.py"]


# what the schema takes from the catalogue


def test_the_catalogue_defines_what_the_schema_names(tmp_path):
    path = tmp_path / "schema.yaml"
    path.write_text(
        "properties:\n"
        "  a: {description: Heads., catalogue: heads or null, default: null}\n"
        "  b: {items: {catalogue: levels, enum: [max]}}\n"
        "  catalogue: {type: string}\n"
    )
    assert read_schema(path)["properties"] == {
        "a": {"description": "Heads.", "enum": ["reference", "prior", None], "default": None},
        "b": {"items": {"enum": ["max"]}},
        "catalogue": {"type": "string"},
    }
    path.write_text("{catalogue: head}")
    with pytest.raises(ValueError, match="'head' is not defined in the catalogue; did you mean 'heads'"):
        read_schema(path)


def test_every_strategy_can_be_asked_for_but_those_that_train_a_prior_head_alone():
    names = catalogue.definition("strategies")["enum"]
    assert set(STRATEGIES) - set(names) == {"pretrain", "pretrain_broad", "pretrain_transductive"}
    assert set(catalogue.definition("adaptable strategies")["enum"]) < set(names)

"""Settings: defaults, one clear line for every mistake, generated files up to date."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from mlipshift.base.errors import UserError
from mlipshift.run.configuration import load, resolve, typed

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"


def read(path):
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


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
    schema = read(SCHEMA)
    Draft202012Validator.check_schema(schema)
    for path, node in [((), schema), *nodes(schema, schema)]:
        if "properties" in node:
            assert node["additionalProperties"] is False, path
        else:
            assert "default" in node, path
            assert "enum" in node or "type" in node, path
        assert not path or node["description"].endswith("."), path
        if path and path[-1].endswith("_A"):
            assert node["unit"] == ("eV/Å" if path[-1].endswith("_eV_per_A") else "Å"), path


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
        ("data.files.train", [], ["'data.files.train' is empty"]),
        ("data.files.train", "a.xyz", ["'data.files.train' is \"a.xyz\"", "give a list"]),
        ("refine.radii_A", [3.0, 0.0], ["'refine.radii_A[1]' is 0.0", "above 0"]),
        ("model.cutoff_A", -5.0, ["'model.cutoff_A' is -5.0", "(Å)", "above 0"]),
        ("prior.shards", True, ["'prior.shards' is true", "whole number"]),
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

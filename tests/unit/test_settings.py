"""Settings of an adaptation stand once: the sections of the configuration take them from the data class."""

from dataclasses import fields
from pathlib import Path

from mlipshift.catalogue.adaptation import MODES, Settings, json_schema
from mlipshift.catalogue.schema import read_schema
from mlipshift.run.configuration import fill

SCHEMA = read_schema(Path(__file__).parents[2] / "workflow" / "schemas" / "config.schema.yaml")


def test_every_setting_can_be_configured():
    ttt = SCHEMA["properties"]["ttt"]["properties"]
    variant, scheme = (set(SCHEMA["$defs"][name]["properties"]) for name in ("variant", "scheme"))
    assert list(ttt)[-len(json_schema(False)) :] == list(json_schema(False))
    assert {field.name for field in fields(Settings)} <= {*ttt, *variant, *scheme}
    assert {"steps", "level", "interpolation", "skip_below_eV_per_A"} <= set(ttt) & variant & scheme


def test_what_the_configuration_leaves_open_are_the_defaults():
    filled = fill(SCHEMA, {}, SCHEMA)["ttt"]
    own = {name: filled[name] for name in json_schema(False) if name != "record"}
    assert Settings.of(own | {"heads": tuple(own["heads"])}) == Settings()
    modes = SCHEMA["$defs"]["variant"]["properties"]["mode"]["enum"]
    assert modes == list(MODES)

"""Settings of an adaptation stand once: the schema of the configuration says the same, section by section."""

from pathlib import Path

import pytest
import yaml

from mlipshift.catalogue.adaptation import MODES, Settings, json_schema
from mlipshift.run.configuration import fill, resolve

PATH = Path(__file__).parents[2] / "workflow" / "schemas" / "config.schema.yaml"
SCHEMA = yaml.safe_load(PATH.read_text(encoding="utf-8"))
PLACES = {
    "ttt": (SCHEMA["properties"]["ttt"], {"strategies", "placebo", "held_out_copies"}),
    "variant": (SCHEMA["$defs"]["variant"], {"strategy", "mode", "preset"}),
    "scheme": (SCHEMA["$defs"]["scheme"], {"strategy", "preset"}),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_schema_of_the_configuration_says_the_same(place):
    node, others = PLACES[place]
    found = {name: resolve(child, SCHEMA) for name, child in node["properties"].items() if name not in others}
    made = json_schema(place != "ttt", found)
    assert made == found and list(made) == list(found)
    assert place != "ttt" or list(json_schema(False)) == list(found), "all settings of the section, in its order"


def test_what_the_configuration_leaves_open_are_the_defaults():
    filled = fill(SCHEMA, {}, SCHEMA)["ttt"]
    own = {name: filled[name] for name in json_schema(False) if name != "record"}
    assert Settings.of(own | {"heads": tuple(own["heads"])}) == Settings()
    modes = SCHEMA["$defs"]["variant"]["properties"]["mode"]["enum"]
    assert modes == list(MODES)

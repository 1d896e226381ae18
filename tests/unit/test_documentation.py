"""What the documentation names exists: settings, targets, files."""

import re
from pathlib import Path

import pytest
import yaml

from mlipshift.run.configuration import read_schema, resolve

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "config/README.md", "profiles/README.md"]
SCHEMA = read_schema(ROOT / "workflow/schemas/config.schema.yaml")


def code(page):
    """What stands in backticks or in code blocks."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.S)
    return blocks + re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S))


def known(path):
    """Whether a dotted setting is in the schema."""
    node = SCHEMA
    for part in path.split("."):
        node = resolve(node, SCHEMA)
        patterns = [child for pattern, child in node.get("patternProperties", {}).items() if re.search(pattern, part)]
        node = next(iter([node.get("properties", {})[part]] if part in node.get("properties", {}) else patterns), None)
        if node is None:
            return False
    return True


@pytest.mark.parametrize("page", PAGES)
def test_settings_exist(page):
    named = {m for text in code(page) for m in re.findall(r"(?<![\w./-])([a-z]\w*(?:\.[a-z]\w*)+)(?![\w/*(=-])", text)}
    sections = {name for name in named if name.split(".")[0] in SCHEMA["properties"]}
    assert [name for name in sorted(sections) if not known(name)] == []
    assert sections or page != "README.md"


@pytest.mark.parametrize("page", PAGES)
def test_targets_exist(page):
    rules = {
        name
        for path in [ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]
        for name in re.findall(r"^rule (\w+):", path.read_text(), re.M)
    }
    figures = set(re.findall(r'"(fig_\w+)":', (ROOT / "workflow/rules/evaluate.smk").read_text()))
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for text in code(page):
        for line in text.splitlines():
            words = line.split("#")[0].split()
            if words[:1] == ["make"] and len(words) > 1:
                assert words[1] in made | {"venv-run", "..."}, line
            if words and words[0].endswith("snakemake") and len(words) == 2 and re.fullmatch(r"[a-z]\w+", words[1]):
                assert words[1] in rules | figures, line


@pytest.mark.parametrize("page", PAGES)
def test_links_and_files_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []
    file = r"(?<![\w/.<-])((?:config|envs|resources|workflow)/[\w/.-]*\w)"
    named = [name for text in code(page) for name in re.findall(file, text)]
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_licence_of_every_dataset_and_checkpoint_is_told():
    entries = yaml.safe_load((ROOT / "resources/manifest.yaml").read_text(encoding="utf-8"))
    assert all(entry["licence"].strip() for entry in entries.values())


def test_the_catalog_file():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["software-stack-deployment"] == {"conda": True} and usage["report"] is True

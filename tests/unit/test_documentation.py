"""What the documentation names exists, links lead somewhere, and nothing is said twice."""

import ast
import re
import subprocess
import tomllib
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from mlipshift.catalogue.schema import read_schema
from mlipshift.run.configuration import resolve

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "workflow" / "mlipshift"
GUIDES = sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))
PAGES = ["README.md", "CONTRIBUTING.md", "config/README.md", "profiles/README.md", *GUIDES]
# says what was, too: names in it need not exist any more
HISTORY = "CHANGELOG.md"
SCHEMA = read_schema(ROOT / "workflow/schemas/config.schema.yaml")
FOLDERS = "config|envs|resources|workflow|docs|tests|benchmarks|profiles"
PACKAGES = "|".join(sorted(path.name for path in LIBRARY.iterdir() if path.is_dir()))
FILE = re.compile(r"\.(csv|h5|html|json|pt|py|yaml)$")
PLACEHOLDER = re.compile(r"[A-Z]{4,}|profiles/generic|\.\.\.")
LONGEST_README, LARGEST_IMAGE = 8000, 200_000  # bytes
SAME = 80  # characters from which two equal sentences or rows are one said twice


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page):
    """(language, content) of every code block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", read(page), re.S | re.M)


def prose(page):
    """The page without its code blocks."""
    return re.sub(r"^```\w*\n.*?^```$", "", read(page), flags=re.S | re.M)


def code(page):
    """What stands in backticks or in code blocks."""
    return [content for _, content in blocks(page)] + re.findall(r"`([^`\n]+)`", prose(page))


def headings(page):
    """Anchors of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


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
    sections = {name for name in named if name.split(".")[0] in SCHEMA["properties"] and not FILE.search(name)}
    assert [name for name in sorted(sections) if not known(name)] == []


def rules():
    """Names of all rules and of the figures, which are targets as well."""
    files = [ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    catalogue = "\n".join(path.read_text(encoding="utf-8") for path in (LIBRARY / "catalogue").glob("*.py"))
    named = re.findall(r"^rule (\w+):", text, re.M) + re.findall(r"^use rule \w+ as (\w+)", text, re.M)
    return {*named, *re.findall(r'"((?:fig|table)_\w+)"', text + catalogue)}


def targets(line):
    """What a command line of Snakemake asks for by name."""
    words, found = iter(line.split("#")[0].split()), []
    if not next(words, "").endswith("snakemake"):
        return []
    for word in words:
        if word in ("--configfile", "--config", "--set-resources"):
            break  # these take all words that follow
        if word.startswith("--") and word != "--lint":
            next(words, None)
        elif re.fullmatch(r"[a-z]\w+", word) and not PLACEHOLDER.search(word):
            found.append(word)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_targets_exist(page):
    made = set(re.findall(r"^([a-z][a-z0-9 -]*):", read("Makefile"), re.M))
    made = {name for line in made for name in line.split()}
    lines = [line for text in code(page) for line in text.splitlines()]
    assert [line for line in lines if not set(targets(line)) <= rules()] == []
    asked = [(line.split("#")[0].split(), line) for line in lines]
    assert [line for words, line in asked if words[:1] == ["make"] and not {*words[1:2]} <= made | {"..."}] == []


def test_every_named_target_has_its_row():
    targets_file = (ROOT / "workflow/rules/targets.smk").read_text(encoding="utf-8")
    told = {name for text in code("docs/architecture.md") for name in targets(text)}
    assert set(re.findall(r"^rule (\w+):", targets_file, re.M)) - told == set()


@pytest.mark.parametrize("page", [*PAGES, HISTORY])
def test_links_lead_somewhere(page):
    """Files and anchors; addresses of the web are not asked."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        exists = target.exists() and target.is_relative_to(ROOT)
        if not exists or (anchor and anchor not in headings(target.relative_to(ROOT))):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES)
def test_files_exist(page):
    """From the root, or modules from the root of the library."""
    missing = []
    for text in code(page):
        named = re.findall(rf"(?<![\w/.<-])((?:{FOLDERS})/[\w/.-]*\w)", text)
        modules = re.findall(rf"(?<![\w/.<-])((?:{PACKAGES})/[\w/]+\.py)", text)
        paths = [ROOT / name for name in named] + [LIBRARY / name for name in modules]
        missing += [str(p) for p in paths if not (PLACEHOLDER.search(str(p.relative_to(ROOT))) or p.exists())]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_code_blocks_parse(page):
    for language, content in blocks(page):
        assert language in {"sh", "yaml", "json", "python", "snakemake", "text"}, f"{page}: {content}"
        if language == "sh":
            done = subprocess.run(["bash", "-n"], input=content, capture_output=True, text=True)
            assert done.returncode == 0, f"{content}\n{done.stderr}"
        elif language in ("yaml", "json"):
            yaml.safe_load(content)
        elif language == "python":
            ast.parse(content)


def said(page):
    """Sentences and rows of tables, without what formats them."""
    rows, paragraphs = [], []
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:- |#|\|))", prose(page)):
        (rows if paragraph.lstrip().startswith("|") else paragraphs).append(paragraph)
    sentences = [s for p in paragraphs for s in re.split(r"(?<=[.:;?!])\s", " ".join(p.split()))]
    plain = [re.sub(r"[^\w]+", " ", text.lower()).strip() for text in [*rows, *sentences]]
    return {text for text in plain if len(text) >= SAME}


def test_nothing_is_said_twice():
    places = defaultdict(list)
    for page in [*PAGES, HISTORY]:
        for text in said(page):
            places[text].append(page)
    assert {text: pages for text, pages in places.items() if len(pages) > 1} == {}


def test_the_first_page_is_one_page_and_leads_to_all_others():
    text = read("README.md")
    assert len(text.encode()) <= LONGEST_README
    assert [page for page in GUIDES if f"]({page}" not in text] == []


def test_images_are_shown_small_and_whole():
    images = sorted((ROOT / "docs/images").iterdir())
    shown = "\n".join(read(page) for page in PAGES)
    for path in images:
        assert path.stat().st_size <= LARGEST_IMAGE and f"images/{path.name}" in shown, path.name
        if path.suffix == ".svg":
            ElementTree.parse(path)
    texts = re.findall(r"!\[([^\]]*)\]\(", shown)
    assert texts and all(len(text) > 20 for text in texts), "an image without words for those who do not see it"


def test_the_packages_are_those_of_the_library():
    """Their order and what they import, as the test of the architecture has it."""
    module = ast.parse(read("tests/unit/test_architecture.py"))
    named = (node for node in module.body if isinstance(node, ast.Assign) and node.targets[0].id == "ALLOWED")
    allowed = ast.literal_eval(next(named).value)
    table = re.search(r"\| package \|.*?\n\n", read("docs/architecture.md"), re.S)[0]
    rows = [row.split("|")[1:4] for row in table.strip().splitlines()[2:]]
    told = {name.strip(" `"): " ".join(re.findall(r"`(\w+)`", imports)) for name, _, imports in rows}
    assert list(told.items()) == list(allowed.items())


def test_the_messages_of_troubleshooting_are_those_of_the_code():
    files = [*(ROOT / "workflow").rglob("*.py"), *(ROOT / "workflow").rglob("*.smk"), ROOT / "Makefile"]
    source = "\n".join(path.read_text(encoding="utf-8") for path in files)
    source = re.sub(r'"\s*\n?\s*f?"', "", source)  # texts in several pieces
    rows = [line.split("|") for line in prose("docs/troubleshooting.md").splitlines() if line.startswith("|")]
    quoted = [text for row in rows for text in re.findall(r"`([^`]+)`", row[1]) if " " in text]
    quoted = [text for text in quoted if not re.match(r"(make|snakemake|--) ?", text)]
    pieces = [piece.strip(" ;,") for text in quoted for piece in text.split("…")]
    assert len(quoted) > 25
    assert [piece for piece in pieces if piece not in source] == []


def test_the_licence_of_every_dataset_and_checkpoint_is_told():
    entries = yaml.safe_load(read("resources/manifest.yaml"))
    assert all(entry["licence"].strip() for entry in entries.values())


def test_the_catalog_file():
    usage = yaml.safe_load(read(".snakemake-workflow-catalog.yml"))["usage"]
    assert usage["software-stack-deployment"] == {"conda": True} and usage["report"] is True


def test_the_version_stands_in_one_place():
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    citation = yaml.safe_load(read("CITATION.cff"))
    released = re.search(r"^## (\d[\w.]*) \((\d{4}-\d\d-\d\d)\)$", read(HISTORY), re.M)
    assert (version, str(citation["date-released"])) == released.groups() and citation["version"] == version


def test_formatters_before_a_commit_are_those_of_the_lock():
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)$", read("envs/lock/test.txt"), re.M))
    hooks = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    versions = {repo["repo"].rsplit("/", 1)[1].removesuffix("-pre-commit"): repo["rev"] for repo in hooks}
    assert versions == {name: f"v{locked[name]}" for name in ("ruff", "snakefmt")}
    assert {hook["id"] for repo in hooks for hook in repo["hooks"]} == {"ruff-check", "ruff-format", "snakefmt"}


def test_continuous_integration():
    """Every environment is built, both versions of Python are tested, and actions have exact versions."""
    jobs = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]
    matrices = {name: job["strategy"]["matrix"] for name, job in jobs.items() if "strategy" in job}
    assert matrices["environments"]["environment"] == sorted(path.stem for path in (ROOT / "envs").glob("*.yaml"))
    assert matrices["test"]["python"] == ["3.11", "3.12"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    assert {"make test", "make lint"} <= {step.get("run") for step in steps}
    used = [step["uses"] for step in steps if "uses" in step]
    assert used and all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+\.\d+\.\d+", name) for name in used)


def test_issue_forms_ask_for_what_a_run_says_of_itself():
    forms = [path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config"]
    assert len(forms) == 3
    for path in forms:
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert {"name", "description", "body"} <= set(form)
        asked = [part["attributes"] for part in form["body"] if part.get("id") == "run_info"]
        assert len(asked) == 1 and "run_info.json" in asked[0]["description"], path.name

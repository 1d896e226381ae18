"""The manifest of downloads: valid, complete, and clear about what it does not know."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from mlipshift.base.errors import UserError
from mlipshift.data.manifest import Manifest, alternatives

ROOT = Path(__file__).parents[2]
PATH, SCHEMA = ROOT / "resources/manifest.yaml", ROOT / "workflow/schemas/manifest.schema.yaml"
MIRRORED = ROOT.parent / "shared" / "data" / "MANIFEST.tsv"
MANIFEST = Manifest(PATH, SCHEMA)
FILES = [pytest.param(e, f, id=f"{e.name}/{f.path}") for e in MANIFEST.entries.values() for f in e.files.values()]


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def nodes(node):
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield value
        yield from nodes(value)


def test_the_schema_is_valid_strict_and_described():
    schema = read(SCHEMA)
    Draft202012Validator.check_schema(schema)
    entry = schema["additionalProperties"]
    for node in (entry, entry["properties"]["files"]["items"], entry["properties"]["index"]):
        assert node["additionalProperties"] is False
        assert all(child["description"].endswith(".") for child in node["properties"].values())


@pytest.mark.parametrize(("entry", "file"), FILES)
def test_a_file_has_a_licence_and_https_addresses(entry, file):
    assert len(entry.licence) >= 3 and entry.citation
    assert file.urls and all(url.startswith("https://") for url in file.urls)
    if file.verified is True:
        assert file.bytes > 0 and len(file.sha256) == 64
    else:
        assert isinstance(file.verified, str)


def test_conditions_of_use_are_stated_where_they_bind():
    assert "no commercial use" in MANIFEST.entry("mace_off23").licence
    assert MANIFEST.entry("rmd17-npz").licence == "CC0-1.0"


@pytest.mark.skipif(not MIRRORED.exists(), reason="no mirror beside the repository")
def test_the_mirrored_files_are_those_of_the_mirror():
    listed = [line.split("\t") for line in MIRRORED.read_text().splitlines()[1:]]
    assert len(listed) == 13
    for path, size, sha256, url, licence in listed:
        name, file = path.split("/")
        found = MANIFEST.entry(name).file(file)
        assert (found.bytes, found.sha256, found.urls) == (int(size), sha256, (url,))
        assert MANIFEST.entry(name).licence == licence and found.verified is True


@pytest.mark.parametrize(
    ("edit", "part"),
    [
        (lambda e: e.pop("licence"), "licence"),
        (lambda e: e.update(licens="MIT"), "licens"),
        (lambda e: e["files"][0].update(urls=["http://a.org/x"]), "http://a.org/x"),
        (lambda e: e["files"][0].update(sha256="abc"), "abc"),
        (lambda e: e["files"][0].update(path="../x"), "../x"),
        (lambda e: e["files"][0].update(path="/x"), "/x"),
        (lambda e: e["files"][0].update(path="unpacked/x"), "unpacked/x"),
        (lambda e: e["files"][0].update(path="a/../x"), "a/../x"),
        (lambda e: e["files"][0].update(verified=False), "files.0.verified"),
        (lambda e: e["files"][0].pop("sha256"), "sha256"),
        (lambda e: e["files"].append(e["files"][0]), "same path twice"),
        (lambda e: e.update(kind="model"), "model"),
        (lambda e: e.pop("files"), "top|x"),
    ],
)
def test_a_wrong_manifest_is_one_line(tmp_path, edit, part):
    content = read(PATH)
    entry = content["botnet_acac"]
    edit(entry)
    path = tmp_path / "manifest.yaml"
    path.write_text(yaml.safe_dump({"x": entry}, default_flow_style=None))
    with pytest.raises(UserError) as caught:
        Manifest(path, SCHEMA)
    text = str(caught.value)
    assert "\n" not in text and str(path) in text and any(p in text for p in part.split("|"))


def message(path):
    with pytest.raises(UserError) as caught:
        MANIFEST.locate(path)
    return str(caught.value)


def test_places():
    place = MANIFEST.locate("data/rmd17-npz/4f6bb0a/rmd17_uracil_test_01.npz")
    assert place.entry.name == "rmd17-npz" and place.file.bytes == 889794 and place.archive is None
    place = MANIFEST.locate("data/rmd17/v3/members/rmd17.tar.bz2/rmd17/npz_data/rmd17_aspirin.npz")
    assert place.archive.path == "rmd17.tar.bz2" and place.file.path == "rmd17/npz_data/rmd17_aspirin.npz"
    place = MANIFEST.locate("data/oc20_val_ood_both/2020/unpacked/s2ef_val_ood_both.tar")
    assert place.archive.archive
    place = MANIFEST.locate("data/mlff_distribution_shifts/main/md22/a b.xyz")
    assert place.file.urls[0].endswith("/resolve/main/md22/a%20b.xyz") and place.file.sha256 is None


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("data/rmd17-npx/4f6bb0a/rmd17_uracil_test_01.npz", "did you mean 'rmd17-npz'?"),
        ("data/zzzzzz/1/a.npz", "known: rmd17-npz, botnet_acac"),
        ("data/rmd17-npz/4f6bb0a/rmd17_uracil_test_1.npz", "did you mean 'rmd17_uracil_test_01.npz'?"),
        ("data/rmd17-npz/1/rmd17_uracil_test_01.npz", "has the version '4f6bb0a', not '1'"),
        ("data/rmd17_uracil_test_01.npz", "data/NAME/VERSION/FILE"),
        ("data/rmd17-npz/rmd17_uracil_test_01.npz", "did you mean data/rmd17-npz/4f6bb0a/rmd17_uracil_test_01.npz?"),
        ("data/mlff_distribution_shifts/main/../../x", "without .."),
        ("data/rmd17/v3/unpacked/other.tar", "archives of rmd17: rmd17.tar.bz2"),
        ("data/rmd17/v3/members/rmd17.tar.bz2", "members/ARCHIVE/FILE"),
        ("data/spice1/1.1.4/members/SPICE-1.1.4.hdf5/x", "archives of spice1: none"),
    ],
)
def test_what_the_manifest_does_not_know_is_one_line_with_a_mend(path, part):
    text = message(path)
    assert part in text and path in text and "\n" not in text


def test_alternatives_prefer_the_longer_word():
    assert alternatives(["rmd17", "rmd17-npz", "a.b"]) == r"rmd17\-npz|rmd17|a\.b"


@pytest.mark.parametrize(
    ("files", "part"),
    [
        (["data/rmd17-npx/4f6bb0a/rmd17_uracil_test_01.npz"], "did you mean 'rmd17-npz'?"),
        (["data/rmd17-npz/4f6bb0a/rmd17_uracil_test_1.npz"], "did you mean 'rmd17_uracil_test_01.npz'?"),
    ],
)
def test_the_workflow_says_so_too(files, part):
    settings = "data=" + json.dumps({"files": {"train": files}})
    snakemake = [sys.executable, "-m", "snakemake", "--workflow-profile", "none", "-n", "--quiet", "--config", settings]
    done = subprocess.run([*snakemake, "--", "retrieve"], cwd=ROOT, capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode and len(lines) == 1 and part in lines[0], done.stderr
    assert "Traceback" not in done.stderr

"""Real public files arrive through the download rules, checked, and are diagnosed; a mirror stands for the network."""

import functools
import http.server
import json
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clone import ROOT, copy_repository, snakemake
from mlipshift.base.frames import Frames

MIRROR = ROOT.parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not MIRROR.is_dir(), reason="no copies of the public files beside the repository")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, without a line on every request."""

    def log_message(self, *arguments):
        pass


@pytest.fixture
def address():
    """Address of an HTTP server on the folder of copies."""
    handler = functools.partial(Quiet, directory=str(MIRROR))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def with_mirror(place):
    return ["--config", f"retrieve={json.dumps({'mirror': str(place), 'offline': True})}"]


def downloaded(directory, dataset):
    return sorted(path.name for path in (directory / "data" / dataset).rglob("*") if path.is_file())


def test_acetylacetone_from_a_server(address, tmp_path):
    """Curated, labelled and diagnosed: hotter geometries have larger forces and the same graphs."""
    directory = copy_repository(tmp_path / "clone")
    snakemake(directory, "diagnose", "--configfile", "config/acac.yaml", *with_mirror(address))
    assert downloaded(directory, "botnet_acac") == ["test_MD_300K.xyz", "test_MD_600K.xyz", "train_300K.xyz"]
    table = pd.read_csv(directory / "results/acac/tables/shift_summary.csv").set_index(["criterion", "group"])
    assert table.loc[("n_atoms", "train"), "n_structures"] == 500
    outside = table["fraction_outside"]["prior_force_norm_eV_per_A"]
    assert outside["ood_600k"] > 0.7 and outside["id_test"] < 0.45
    assert table["fraction_outside"]["unseen_element_fraction"].max() == 0

    # the level of theory of the labels, against which that of a model is judged
    lines = "results/acac/models/external/chgnet/capability.txt"
    snakemake(directory, lines, "--configfile", "config/acac.yaml", *with_mirror(address))
    assert "it learned PBE(+U), VASP, periodic, the labels are PBE/def2-SVP;" in (directory / lines).read_text()

    # another mirror is no reason to download again
    again = snakemake(directory, "-n", "retrieve", "--configfile", "config/acac.yaml", *with_mirror(MIRROR))
    assert "Nothing to be done" in again.stdout + again.stderr


def test_revised_md17_from_a_folder(tmp_path):
    directory = copy_repository(tmp_path / "clone")
    store = "results/rmd17/frames/train.h5"
    snakemake(directory, store, "--configfile", "config/rmd17.yaml", *with_mirror(MIRROR))
    assert len(downloaded(directory, "rmd17-npz")) == 8
    for path in (directory / "data/rmd17-npz").rglob("*.npz"):
        assert path.read_bytes() == (MIRROR / "rmd17-npz" / path.name).read_bytes()
    frames = Frames.load(directory / store)
    # 200 of each file, and so of each molecule
    assert sorted(np.unique(frames.molecule, return_counts=True)[1]) == [200] * 3


def test_a_damaged_mirror_is_refused(tmp_path):
    directory, mirror = copy_repository(tmp_path / "clone"), tmp_path / "mirror" / "botnet_acac"
    mirror.mkdir(parents=True)
    for path in (MIRROR / "botnet_acac").glob("*.xyz"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        Path(mirror / path.name).write_bytes(data)
    done = snakemake(
        directory, "retrieve", "--configfile", "config/acac.yaml", *with_mirror(mirror.parent), check=False
    )
    assert done.returncode != 0
    assert "sha256" in done.stderr and "Traceback" not in done.stderr
    assert downloaded(directory, "botnet_acac") == []

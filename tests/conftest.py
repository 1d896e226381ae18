"""Fixtures that several folders of tests share."""

import os

import pytest

from clone import SMOKE, copy_repository, snakemake

# before torch is imported: a process forked off one whose OpenMP threads have run waits for them for ever
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=3, help="how often the run is killed (make hard-times: 50)")
    parser.addoption("--examples", type=int, default=8, help="files per format in round trips (make hard-times: 300)")


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory):
    """Directory of a finished smoke run."""
    directory = copy_repository(tmp_path_factory.mktemp("smoke"))
    snakemake(directory, *SMOKE)
    return directory

"""The first hour of a practitioner and of a deployer, from a wheel in clean environments, as the benchmark has it."""

import csv
import re
from importlib.metadata import PackageNotFoundError

import pytest

from benchmarks.robustness import first_hour

pytestmark = pytest.mark.tensorflow_only


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    try:
        return first_hour.first_hour(tmp_path_factory.mktemp("hour"))
    except PackageNotFoundError as error:
        pytest.skip(f"{error.name} is not installed here")


def test_every_step_ends_well_and_finds_what_it_should(rows):
    found = {(row["who"], row["step"]): row["found"] for row in rows}
    assert found[("practitioner", "verify")] == found[("deployer", "verify")] == "passed"
    assert found[("deployer", "open the file in Python")] == "no TensorFlow, no Keras; classes loop, no_loop"
    tuned = found[("practitioner", "load, predict, fine-tune on images and on a CSV, save")]
    loaded, images, table = map(float, re.findall(r"\d\.\d{4}", tuned))
    assert loaded > 0.95 and images > 0.95 and table > 0.9
    assert found[("practitioner", "load in another process, export")] == f"accuracy {images:.4f}"
    assert found[("deployer", "predict a folder of images")] == f"accuracy {images:.4f}"


def test_the_base_install_is_the_smaller_one(rows):
    sizes = {row["who"]: row["bytes"] for row in rows if row["step"].startswith("install")}
    assert sizes["deployer"] < sizes["practitioner"] / 3


def test_the_committed_table_has_these_steps(rows):
    with first_hour.TABLE.open(newline="", encoding="utf-8") as file:
        kept = [(row["who"], row["step"]) for row in csv.DictReader(file)]
    assert kept == [(row["who"], row["step"]) for row in rows]

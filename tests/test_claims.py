"""Every number of the pages that a table or a preset holds is read again; a wrong cell is found."""

import csv
import shutil

import pytest

from benchmarks.claims import Source, problem, problems, read_claims
from benchmarks.common import ROOT

pytestmark = pytest.mark.tensorflow_only
CLAIMS = list(read_claims())


def test_all_claims_hold():
    assert problems() == []


def test_there_are_many_and_each_page_with_measurements_has_some():
    assert len(CLAIMS) >= 150
    pages = {
        f"docs/{name}.md" for name in ("analysis", "choosing", "presets", "reproduction", "step_sizes", "training")
    }
    assert {claim.page for claim in CLAIMS} >= pages | {"README.md"}


@pytest.fixture
def copy(tmp_path):
    """The pages and tables in a folder where they may be changed; presets by a link."""
    for path in [*ROOT.glob("benchmarks/**/*.csv"), *ROOT.glob("docs/*.md"), ROOT / "README.md"]:
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    (tmp_path / "models").symlink_to(ROOT / "models")
    return tmp_path


@pytest.mark.parametrize(
    ("table", "column", "change", "where"),
    [
        ("science/paper/figure1", "residual_inside", 1.5, {"effective_depth": "12"}),
        ("science/bottleneck_rank", "narrowest", 2.0, {"k": "8", "seed": "3"}),
        ("science/mnist_rank", "accuracy", 0.99, {"recipe": "peak_2e-2", "seed": "1"}),
        ("science/step_sizes/results", "test_error", 1.1, {"schedule": "learnable", "task": "teacher_resnet"}),
        ("science/convergence_time", "ratio", 1.2, {"method": "plain", "seed": "0"}),
        ("speed/audit_cost", "value", 1.1, {}),
    ],
)
def test_a_deliberately_wrong_cell_is_found(copy, table, column, change, where):
    path = copy / "benchmarks" / f"{table}.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if where.items() <= row.items():
            row[column] = str(float(row[column]) * change)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    found = problems(Source(copy))
    assert found and all("says" in words or "cannot" in words for words in found)


def test_a_sentence_that_changed_is_found(copy):
    page = copy / "docs" / "choosing.md"
    page.write_text(page.read_text().replace("0.40 points", "0.38 points"))
    (words,) = (words for words in problems(Source(copy)) if "choosing" in words)
    assert "stands there 0 times" in words


@pytest.mark.parametrize("expression", ["__import__('os')", "cells.root", "lambda: 1", "open('x')", "[1 for _ in x]"])
def test_expressions_hold_nothing_but_what_is_listed(expression):
    claim = next(iter(CLAIMS))
    assert "cannot be read again" in problem(type(claim)(claim.page, claim.text, claim.written, expression), Source())

"""One data set in many dresses: the same task, classes and numbers, or a question."""

import pytest

from benchmarks.common import read_table
from benchmarks.robustness.data_formats import TABLE, outcome, ways

pytestmark = pytest.mark.tensorflow_only
WAYS = list(ways())


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.kind}: {way.name}")
def test_the_same_or_a_question(way, tmp_path):
    came, words = outcome(way, tmp_path)
    assert came == way.expected, words


def test_the_committed_table_is_of_these_ways():
    rows = {(row["kind"], row["given"]): row["came"] for row in read_table(TABLE)}
    assert rows == {(way.kind, way.name): way.expected for way in WAYS}
    assert len(WAYS) >= 60

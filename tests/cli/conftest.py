"""A command line in this process."""

import pytest

from leaky_zoo import cli


@pytest.fixture(scope="module", autouse=True)
def data_sets(data_read_once):
    """Read once for each file."""


@pytest.fixture
def line(monkeypatch, capsys):
    """Run a command line; returns (exit code, stdout, stderr)."""

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["leaky-zoo", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return stop.value.code or 0, captured.out, captured.err

    return call

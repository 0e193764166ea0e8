"""The errors this package raises on purpose, each with one clear sentence, and the exit code of the command line."""


class LeakyZooError(Exception):
    """Base of every error that a caller may want to catch as ours. Exit code 1."""

    exit_code = 1


class InvalidInputError(LeakyZooError, ValueError):
    """An argument, file or name that cannot be used; says what was received and what is accepted. Exit code 2."""

    exit_code = 2


class CheckFailedError(LeakyZooError):
    """A check ran to its end and its answer is no: a mismatch, a changed hash, a loss that is NaN. Exit code 1."""


class WriteFailedError(LeakyZooError, OSError):
    """A file could not be written: disk full, read-only folder. What was there before is intact. Exit code 1."""


class PeerLostError(LeakyZooError):
    """Another process of the cluster has gone; the run can go on from its last checkpoint. Exit code 75."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again


class Terminated(SystemExit):
    """SIGTERM asked the process to end, and a checkpoint was written. Exit code 143.

    Args:
        message: what was saved.
    """

    def __init__(self, message: str) -> None:
        super().__init__(143)
        self.message = message

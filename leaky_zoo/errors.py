"""The errors this package raises on purpose, each with one clear sentence."""


class LeakyZooError(Exception):
    """Base of every error that a caller may want to catch as ours."""


class InvalidInputError(LeakyZooError, ValueError):
    """An argument, file or name that cannot be used; the message says what was received and what is accepted."""


class CheckFailedError(LeakyZooError):
    """A check ran to its end and its answer is no: a mismatch, a changed hash, a failed comparison."""

"""The errors this package raises on purpose, each with one clear sentence, and the exit code of the command line."""

import contextlib
import os
from collections.abc import Iterator

# Which extra of the package brings a library that the base install does without.
EXTRAS = {
    "tensorflow": (
        "absl", "array_record", "filelock", "h5py", "importlib_resources", "jinja2", "keras", "matplotlib", "scipy",
        "skdim", "sklearn", "tensorflow", "tensorflow_datasets", "tf2onnx", "threadpoolctl",
    ),
    "jax": ("jax", "jaxlib"),
    "sweeps": ("dask", "distributed"),
    "pandas": ("pandas", "pyarrow"),
    "hub": ("huggingface_hub",),
    "serving": ("fastapi", "uvicorn"),
    "tensorboard": ("tensorboard",),
    "litert": ("ai_edge_litert",),
}  # fmt: skip


class LeakyZooError(Exception):
    """Base of every error that a caller may want to catch as ours. Exit code 1."""

    exit_code = 1


class InvalidInputError(LeakyZooError, ValueError):
    """An argument, file or name that cannot be used; says what was received and what is accepted. Exit code 2."""

    exit_code = 2


class MissingExtraError(InvalidInputError, ImportError):
    """A library is not installed that one of the package's extras brings; says how to install it. Exit code 2."""


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


@contextlib.contextmanager
def naming_extras() -> Iterator[None]:
    """Name the extra to install when an import in the block finds that a library is missing.

    Raises:
        MissingExtraError: in place of the `ModuleNotFoundError` of a library in `EXTRAS`.
        InvalidInputError: KERAS_BACKEND names a backend that this package does not run on.

    Example:
    >>> with naming_extras():
    ...     raise ModuleNotFoundError("No module named 'keras'", name="keras")
    Traceback (most recent call last):
        ...
    leaky_zoo.errors.MissingExtraError: keras is not installed: pip install 'leaky-zoo[tensorflow]'
    """
    backend = os.environ.get("KERAS_BACKEND")
    try:
        yield
    except ValueError as error:
        if "Unable to import backend" not in str(error):  # Keras's own words
            raise
        raise InvalidInputError(f"KERAS_BACKEND must be tensorflow or jax here. Received: {backend}") from error
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library == backend and backend not in ("tensorflow", "jax"):
            raise InvalidInputError(f"KERAS_BACKEND must be tensorflow or jax here. Received: {backend}") from error
        extra = next((extra for extra, libraries in EXTRAS.items() if library in libraries), None)
        if extra is None:
            raise
        why = f"KERAS_BACKEND is {library}, and " if backend == library else ""
        raise MissingExtraError(f"{why}{library} is not installed: pip install 'leaky-zoo[{extra}]'") from error

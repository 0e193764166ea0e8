"""Start TensorFlow without its remarks about GPUs that a machine does not have."""

import contextlib
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any

from rich.text import Text

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import shown_text
from leaky_zoo.processes.progress import err
from leaky_zoo.runtime.input_range import InputRangeWarning

BACKENDS = ("tensorflow", "jax")
# What Keras and TensorFlow import wherever it is installed, for their wrappers, data adapters, pictures and converters:
# no command uses those, and together they take nearly half of the start.
UNUSED = ("jax", "matplotlib", "pandas", "sklearn")

CHATTER = re.compile(
    r"^(WARNING: All log messages before absl|[IWE]0000 .*(port|cudart_stub|cuda_\w+|cpu_feature_guard)\.cc)"
)
CONTINUED = re.compile(r"^(To enable the following instructions|\s*$)")


def start_tensorflow() -> None:
    """Import TensorFlow and look at its devices, quietly.

    Raises:
        InvalidInputError: KERAS_BACKEND names what is no backend of ours.
    """
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend not in BACKENDS:
        raise InvalidInputError(f"KERAS_BACKEND must be one of {', '.join(BACKENDS)}. Received: {shown_text(backend)}")
    if "tensorflow" not in sys.modules:
        with quiet_start():
            import tensorflow  # noqa: F401


@contextlib.contextmanager
def closed_pipe_is_fine() -> Iterator[None]:
    """End with exit code 0, quietly, where the reader of our output has left, as `head` does."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # here, and not when the interpreter ends, where nobody can answer
    except BrokenPipeError:
        _drop_stdout()
    except SystemExit as stop:
        # Click and rich take a broken pipe for an error of the command, and end it with 1.
        if not isinstance(stop.__context__, BrokenPipeError):
            raise
        _drop_stdout()


@contextlib.contextmanager
def warnings_in_words() -> Iterator[None]:
    """Say what this package warns of as commands say things, without file and line; all else as Python does."""
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def say(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: Any = None,
            line: Any = None,
        ) -> None:
            if issubclass(category, InputRangeWarning):
                text = Text.assemble(("warning:", "yellow"), " ", shown_text(str(message), 1000))
                err.print(text, highlight=False, soft_wrap=True)
            else:
                shown(message, category, filename, lineno, file, line)

        warnings.showwarning = say
        yield


def _drop_stdout() -> None:
    with contextlib.suppress(OSError, ValueError):  # no file of its own: nothing will be flushed
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
    raise SystemExit(0)


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
    """Keep TensorFlow's known remarks from stderr, where it is imported in here; all else is passed on.

    TensorFlow writes them before any log level applies, on the file descriptor itself. Packages that it and Keras
    import and no command of ours needs are out of sight meanwhile.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        original = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            with _out_of_sight():
                yield
            if "tensorflow" in sys.modules:
                sys.modules["tensorflow"].config.list_physical_devices()
        finally:
            os.dup2(original, 2)
            os.close(original)
            kept.seek(0)
            for line in kept.read().decode(errors="replace").splitlines():
                if not CHATTER.match(line) and not CONTINUED.match(line):
                    print(line, file=sys.stderr)


@contextlib.contextmanager
def _out_of_sight() -> Iterator[None]:
    """While this lasts, unused packages that are not imported yet seem not to be installed; then they are back."""
    names = [name for name in UNUSED if name not in sys.modules and name != os.environ.get("KERAS_BACKEND")]
    if "tensorflow" in sys.modules or "keras" in sys.modules:
        names = []
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in names:
            sys.modules.pop(name, None)

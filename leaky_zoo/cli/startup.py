"""Start TensorFlow without its remarks about GPUs that a machine does not have."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import shown_text

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
        raise InvalidInputError(f"KERAS_BACKEND is one of {', '.join(BACKENDS)}. Received: {shown_text(backend)}")
    if "tensorflow" not in sys.modules:
        with quiet_start():
            import tensorflow  # noqa: F401


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

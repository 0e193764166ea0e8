"""ONNX Runtime sessions as this room opens them. Needs numpy and onnxruntime, nothing else."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as states

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import shown

# ONNX Runtime's errors share no base class of their own.
RUNTIME_ERRORS = (
    states.EPFail,
    states.Fail,
    states.InvalidArgument,
    states.InvalidGraph,
    states.InvalidProtobuf,
    states.NoModel,
    states.NoSuchFile,
    states.NotImplemented,
    states.RuntimeException,
    UnicodeDecodeError,  # a damaged file's texts, or a message that quotes them
)
CHECK_BATCHES = (1, 2, 257)
CHECK_NUMBERS = 2**22  # of the inputs of a batch: a net for photographs holds hundreds of times as many while it runs


def check_batches(inputs: Mapping[str, np.ndarray]) -> tuple[int, ...]:
    """Batch sizes that a file is tried at: 1, 2 and 257, or as many samples as hold 4 million numbers, at least 3.

    Args:
        inputs: samples by input.

    Example:
    >>> check_batches({"inputs": np.zeros((4, 28, 28, 1))}), check_batches({"inputs": np.zeros((4, 224, 224, 3))})
    ((1, 2, 257), (1, 2, 27))
    """
    sample = sum(values[:1].size for values in inputs.values())
    return (*CHECK_BATCHES[:2], min(CHECK_BATCHES[2], max(3, CHECK_NUMBERS // max(1, sample))))


def open_session(
    source: str | bytes, threads: int | None = None, providers: str | Sequence[Any] = ("CPUExecutionProvider",)
) -> onnxruntime.InferenceSession:
    """Open a session on a file's path or a serialised model.

    Args:
        source: path, or bytes.
        threads: threads of one operator, at least 1. Default None: ONNX Runtime's choice.
        providers: as ONNX Runtime takes them, or the name of one. Default: the CPU.

    Raises:
        InvalidInputError: a provider that ONNX Runtime does not have.
        One of `RUNTIME_ERRORS`: it cannot be loaded.
    """
    chosen = [providers] if isinstance(providers, str) else list(providers)
    named = [each[0] if isinstance(each, tuple) and each else each for each in chosen]
    unknown = [each for each in named if each not in onnxruntime.get_all_providers()]
    if unknown:
        known = ", ".join(onnxruntime.get_available_providers())
        raise InvalidInputError(f"`providers` must be among {known} here. Received: {shown(unknown[0])}")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised, and told once
    if threads is not None:
        options.intra_op_num_threads = threads
    # Without the fallback a file that cannot be loaded is tried once and nothing is printed.
    return onnxruntime.InferenceSession(source, options, providers=chosen, enable_fallback=False)


def run_options() -> onnxruntime.RunOptions:
    """Those of a run that computes what is asked for alone: a file that watches for drift has more outputs."""
    options = onnxruntime.RunOptions()
    options.only_execute_path_to_fetches = True
    return options


def run_named(
    session: onnxruntime.InferenceSession,
    inputs: Mapping[str, np.ndarray],
    outputs: Sequence[str],
    seconds: float | None = None,
) -> dict[str, np.ndarray]:
    """Compute outputs by name.

    Args:
        session: the graph.
        inputs: rows by the name of the input.
        outputs: their names.
        seconds: the run is ended after so long: a graph can loop. Default None: no limit.

    Raises:
        One of `RUNTIME_ERRORS`: it cannot be run, or takes too long.
    """
    options = run_options()
    options.log_severity_level = 4
    watch = threading.Timer(seconds or 0, setattr, (options, "terminate", True))
    watch.daemon = True
    if seconds is not None:
        watch.start()
    try:
        return dict(zip(outputs, session.run(list(outputs), dict(inputs), options), strict=True))
    finally:
        watch.cancel()


def run_rows(session: onnxruntime.InferenceSession, inputs: np.ndarray, seconds: float | None = None) -> np.ndarray:
    """Compute the first output for these rows of the first input; as `run_named`."""
    output = session.get_outputs()[0].name
    return run_named(session, {session.get_inputs()[0].name: inputs}, [output], seconds)[output]


def take_rows(values: np.ndarray, count: int) -> np.ndarray:
    """`count` rows, starting again from the first when there are fewer."""
    return values[np.arange(count) % len(values)]


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """`max |found - expected| / max |expected|`; infinite where shapes differ or a number is not finite.

    An absolute tolerance would pass on a dead graph when outputs are tiny.

    Example:
    >>> relative_error(np.array([1.0, 2.1]), np.array([1.0, 2.0]))
    0.05
    """
    found, expected = np.asarray(found, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if found.shape != expected.shape or not (np.isfinite(found).all() and np.isfinite(expected).all()):
        return float("inf")
    difference, scale = float(np.max(np.abs(found - expected))), float(np.max(np.abs(expected)))
    if scale == 0:
        return 0.0 if difference == 0 else float("inf")
    return round(difference / scale, 12)

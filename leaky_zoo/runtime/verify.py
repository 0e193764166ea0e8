"""Checking an exported file again, anywhere: onnx and onnxruntime, no TensorFlow."""

import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leaky_zoo.arguments import naming_the_nearest, number
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.runtime.metadata import PREFIX, REQUIRED_KEYS, SCHEMA_VERSIONS, parse_properties
from leaky_zoo.runtime.onnx_file import external_locations, first_line, properties, read_model
from leaky_zoo.runtime.several import check_external_data, unpack_pairs

if TYPE_CHECKING:
    import onnx

DEFAULT_TOLERANCE = 1e-5
MAX_SECONDS = 60.0  # of one run
MAX_SAMPLE = 10_000_000  # numbers


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: `checker`, `self_contained`, `metadata`, `loads`, `batches`, `golden` or `audit`.
        passed: whether it passed; a check that could not be made has not.
        detail: what was found, one sentence.
    """

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class VerifyReport:
    """All checks of one file, in the order in which they were made."""

    path: str
    checks: list[Check]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: `{"path", "passed", "checks": [{"name", "passed", "detail"}]}`."""
        return {"path": self.path, "passed": self.passed, "checks": [asdict(check) for check in self.checks]}


class _FailedError(Exception):
    """A check's answer is no; the message is its detail."""


@naming_the_nearest
def verify_onnx(path: str | os.PathLike[str], *, tolerance: float | None = None) -> VerifyReport:
    """Check an exported file with nothing but what it carries.

    Checks: ONNX's own full check; no tensors outside the file, or in one beside it whose hash it names; metadata of a
    known schema; ONNX Runtime loads it; batches of 1, 2 and 257 (fewer of large samples) run and give each row the
    same; the golden pairs are reproduced; the audit is there and speaks of the weights that the file names. An audit or
    samples that were left out when it was exported are not missed. This project.

    Args:
        path: an `.onnx` file.
        tolerance: largest relative error `max |d| / max |ref|`. Default None: the one the file was exported with.

    Returns:
        The report; a failed check is in it, not raised.

    Raises:
        InvalidInputError: no such file, or not a whole ONNX model.

    Example:
    >>> verify_onnx("digits.onnx").passed  # doctest: +SKIP
    True
    """
    tolerance = None if tolerance is None else number("tolerance", tolerance)
    if tolerance is not None and not 0 < tolerance < 1:
        raise InvalidInputError(f"`tolerance` must be in (0, 1), or None. Received: tolerance={tolerance}")
    model = read_model(path)
    file = _File(Path(path), model, tolerance)
    steps: dict[str, Callable[[], str]] = {
        "checker": file.check_graph,
        "self_contained": file.check_self_contained,
        "metadata": file.check_metadata,
        "loads": file.check_loads,
        "batches": file.check_batches,
        "golden": file.check_golden,
        "audit": file.check_audit,
    }
    checks = []
    for name, step in steps.items():
        try:
            checks.append(Check(name, True, step()))
        except _FailedError as failure:
            checks.append(Check(name, False, str(failure)))
    return VerifyReport(str(path), checks)


class _File:
    """A parsed file and what its checks found so far. Each `check_` returns its detail or raises `_FailedError`."""

    def __init__(self, path: Path, model: "onnx.ModelProto", tolerance: float | None) -> None:
        self.path, self.model = path, model
        self.external = external_locations(model)
        self.tolerance = tolerance or DEFAULT_TOLERANCE
        self.session: Any = None
        self.trusted = not self.external  # no tensor comes from a file that may have changed
        self.inputs: dict[str, list[Any]] = {}
        self.outputs: list[str] = []
        try:
            self.metadata, self.damage = parse_properties(properties(model)), ""
        except InvalidInputError as error:
            self.metadata, self.damage = {}, str(error)
        stated = self._part("check").get("tolerance")
        if tolerance is None and isinstance(stated, float) and 0 < stated < 1:
            self.tolerance = stated

    def check_graph(self) -> str:
        import onnx

        try:
            onnx.checker.check_model(str(self.path) if self.external else self.model, full_check=True)
        except (
            onnx.checker.ValidationError,
            onnx.shape_inference.InferenceError,
            RuntimeError,  # this and the next come from damaged files
            ValueError,
        ) as error:
            raise _FailedError(first_line(error)) from error
        versions = ", ".join(f"{entry.domain or 'ai.onnx'} {entry.version}" for entry in self.model.opset_import)
        return f"Valid ONNX: IR {self.model.ir_version}, opset {versions}."

    def check_self_contained(self) -> str:
        if not self.external:
            return "Every tensor is in the file."
        try:
            found = check_external_data(self.path, self.external, self.metadata.get(PREFIX + "external_data"))
        except InvalidInputError as error:
            raise _FailedError(str(error)) from error
        self.trusted = True
        return found

    def check_metadata(self) -> str:
        if self.damage:
            raise _FailedError(self.damage)
        missing = [PREFIX + key for key in REQUIRED_KEYS if PREFIX + key not in self.metadata]
        if missing:
            raise _FailedError(f"Missing: {', '.join(missing)}.")
        version = self.metadata[PREFIX + "schema_version"]
        if version not in SCHEMA_VERSIONS:
            raise _FailedError(f"Schema {version!r} is not known; this version reads {', '.join(SCHEMA_VERSIONS)}.")
        return f"{len(self.metadata)} properties of schema {version}."

    def check_loads(self) -> str:
        from leaky_zoo.runtime.session import RUNTIME_ERRORS, open_session

        if not self.trusted:
            raise _FailedError("Not loaded: it names files outside.")
        try:
            session = open_session(str(self.path), threads=1)
            inputs = [(value.name, value.type, value.shape) for value in session.get_inputs()]
            outputs = [value.name for value in session.get_outputs()]
        except RUNTIME_ERRORS as error:
            raise _FailedError(first_line(error)) from error
        if not inputs or any(kind != "tensor(float)" or not shape for _, kind, shape in inputs):
            raise _FailedError(f"Float32 inputs with a batch axis are expected. Found: {inputs}.")
        self.session, self.inputs = session, {name: shape for name, _, shape in inputs}
        stated = self.metadata.get(PREFIX + "outputs")
        named = [each.get("name") for each in stated if isinstance(each, dict)] if isinstance(stated, list) else []
        self.outputs = [name for name in outputs if name in named] or outputs[:1]
        words = ", ".join(f"{name} {shape}" for name, shape in self.inputs.items())
        return f"ONNX Runtime: {words} to {', '.join(self.outputs)}."

    def check_batches(self) -> str:
        from leaky_zoo.runtime.session import check_batches, relative_error, take_rows

        inputs = self._sample_inputs()
        count = len(next(iter(inputs.values())))
        errors = []
        single = [self._run({name: rows[row : row + 1] for name, rows in inputs.items()}) for row in range(count)]
        whole = {name: np.concatenate([each[name] for each in single]) for name in self.outputs}
        batches = check_batches(inputs)
        for batch in batches:
            found = self._run({name: take_rows(rows, batch) for name, rows in inputs.items()})
            errors += [relative_error(found[name], take_rows(whole[name], batch)) for name in self.outputs]
        return self._within(max(errors), f"Batches of {', '.join(map(str, batches))} give each row the same")

    def check_golden(self) -> str:
        from leaky_zoo.runtime.session import relative_error

        if PREFIX + "golden" not in self.metadata and self._part("check").get("samples_kept") == 0:
            return "No samples were kept, as exported."
        inputs, outputs = self._golden()
        found = self._run(inputs)
        error = max(relative_error(found[name], values) for name, values in outputs.items())
        return self._within(error, f"{len(next(iter(inputs.values())))} golden pairs")

    def check_audit(self) -> str:
        key = "audit" if PREFIX + "audit" in self.metadata else "audit_summary"
        if PREFIX + key not in self.metadata and self._part("check").get("audit") is False:
            return "No audit, as exported."
        if PREFIX + key not in self.metadata:
            raise _FailedError("The file carries no audit.")
        about = self._part(key).get("model")
        audited = about.get("weights_sha256") if isinstance(about, dict) else None
        # A compressed net carries the audit of the net it was made from.
        source = self._part("compression").get("source")
        named = source.get("weights_sha256") if isinstance(source, dict) else None
        named = named or self.metadata.get(PREFIX + "weights_sha256")
        if audited is None:
            raise _FailedError("The audit does not say of which weights it is.")
        if audited != named:
            raise _FailedError(f"The audit is of other weights ({audited}) than the file names ({named}).")
        words = "Of the file's weights" if source is None else "Of the weights before compression"
        return f"{words}, sha256 {named[:12]}..." + (" (summary)" if key == "audit_summary" else "")

    def _part(self, key: str) -> dict[str, Any]:
        value = self.metadata.get(PREFIX + key)
        return value if isinstance(value, dict) else {}

    def _golden(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        if PREFIX + "golden" not in self.metadata:
            raise _FailedError("The file carries no golden pairs.")
        if self.session is None:
            raise _FailedError("Not run: the file does not load.")
        try:
            return unpack_pairs(self.metadata[PREFIX + "golden"], list(self.inputs), self.outputs)
        except InvalidInputError as error:
            raise _FailedError(str(error)) from error

    def _sample_inputs(self) -> dict[str, np.ndarray]:
        """Give the golden inputs; standard normal ones where the file carries none."""
        if self.session is None:
            raise _FailedError("Not run: the file does not load.")
        if PREFIX + "golden" in self.metadata:
            return self._golden()[0]
        random = np.random.default_rng(0)
        for shape in self.inputs.values():
            if not all(isinstance(side, int) for side in shape[1:]):
                raise _FailedError(f"Not run: samples of shape {shape[1:]} are not fully known.")
            if math.prod(shape[1:]) > MAX_SAMPLE:
                raise _FailedError(f"Not run: samples of shape {shape[1:]} have more than {MAX_SAMPLE:,} numbers.")
        whole = self._part("check").get("whole_numbers") is True  # of 0 and 1: tokens and the like
        return {
            name: (random.integers(0, 2, (4, *shape[1:])) if whole else random.normal(size=(4, *shape[1:]))).astype(
                "f4"
            )
            for name, shape in self.inputs.items()
        }

    def _run(self, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        from leaky_zoo.runtime.session import RUNTIME_ERRORS, run_named

        if self.session is None:
            raise _FailedError("Not run: the file does not load.")
        try:
            found = run_named(self.session, rows, self.outputs, MAX_SECONDS)
        except (*RUNTIME_ERRORS, ValueError) as error:
            count = len(next(iter(rows.values())))
            raise _FailedError(f"{count} samples cannot be run: {first_line(error)}") from error
        for array in found.values():
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "buif" or not array.ndim:
                raise _FailedError("An output is not an array of numbers.")
        return found

    def _within(self, error: float, sentence: str) -> str:
        detail = f"{sentence}: relative error {error:.2g}, tolerance {self.tolerance:.2g}."
        if not error <= self.tolerance:
            raise _FailedError(detail)
        return detail

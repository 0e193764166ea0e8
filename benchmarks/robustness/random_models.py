"""Keras models made at random, each through save, load, analyze, export and verify: what ends how.

python -m benchmarks.robustness.random_models [--models 300] [--backends tensorflow,jax] [--workers 1] [--again]
writes random_models.csv. Rows are kept in build/random_models.jsonl as they come, so that a stopped run goes on;
`--again` starts anew. `export_onnx` refuses a model of the JAX backend in a sentence; its file is then exported as that
sentence says.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from benchmarks.common import BUILD, ROOT, options, read_table, write_table

TABLE = Path(__file__).with_suffix(".csv")
ROWS, FILES = BUILD / "random_models.jsonl", BUILD / "random_models"
NUMBERS = (
    "cost_of_identity", "out_of_image_fraction", "stable_rank", "nuclear_norm_rank", "participation_ratio",
    "two_nn_dimension", "mle_dimension", "cka_with_previous", "negative_share",
)  # fmt: skip
COLUMNS = (
    "seed", "backend", "form", "kind", "layout", "policy", "weights", "save", "load", "analyze", "rows", "measured",
    "layout_difference", "layout_difference_float64", "export", "relative_error", "verify", "backend_difference",
)  # fmt: skip
HAVE_LAYOUTS = ("image", "volume")
SUBSAMPLE = 1000
PART = 25  # models to a process


def run(seed: int) -> dict[str, Any]:
    """One row: what became of the model of this seed. Each step is "ok", "refused: ..." or "traceback: ..."."""
    import keras

    from benchmarks.robustness.keras_models import make
    from benchmarks.robustness.random_layouts import layout_difference, layout_difference_float64
    from leaky_zoo.analysis import analyze
    from leaky_zoo.deploy import export_onnx
    from leaky_zoo.zoo import load_model

    backend = keras.backend.backend()
    made = make(seed)
    row = dict.fromkeys(COLUMNS) | {"seed": seed, "backend": backend, "form": made.form, "kind": made.kind}
    row |= {"layout": made.layout, "policy": made.policy, "weights": made.model.count_params()}
    with tempfile.TemporaryDirectory() as place:
        file, graph = Path(place) / "m.keras", Path(place) / "m.onnx"
        row["save"] = _outcome(lambda: made.model.save(file))
        row["load"] = _outcome(lambda: _load_twice(load_model, file, made))
        audits: list[Any] = []
        row["analyze"] = _outcome(lambda: audits.append(_checked(analyze(made.model, made.x, subsample=SUBSAMPLE))))
        if audits:
            row |= {"rows": len(audits[0].layers), "measured": sum(each.reason is None for each in audits[0].layers)}
        if made.kind in HAVE_LAYOUTS and made.policy == "float32":
            row["layout_difference"] = layout_difference(seed)
        if made.kind in HAVE_LAYOUTS and backend == "jax":
            row["layout_difference_float64"] = layout_difference_float64(seed)
        if backend == "tensorflow":
            return row | _exported(made.model, made.x, graph)
        row["export"] = _outcome(lambda: export_onnx(made.model, graph, check_inputs=made.x))
        if row["export"].startswith("refused: A model that is not ours is converted from TensorFlow: save it"):
            FILES.mkdir(parents=True, exist_ok=True)
            outputs = keras.tree.flatten(made.model(made.x, training=False))
            np.savez(FILES / f"{seed}.npz", *(np.asarray(keras.ops.convert_to_numpy(y), "float32") for y in outputs))
            file.replace(FILES / f"{seed}.keras")
    return row


def run_saved(seed: int) -> dict[str, Any]:
    """The last columns of a row of the JAX backend: its file exported from TensorFlow, beside the outputs of JAX."""
    import keras

    from benchmarks.robustness.keras_models import make
    from leaky_zoo.runtime.model import OnnxModel
    from leaky_zoo.zoo import load_model

    made = make(seed)
    with tempfile.TemporaryDirectory() as place, np.load(FILES / f"{seed}.npz") as outputs:
        graph = Path(place) / "m.onnx"
        loaded: list[Any] = []
        row = {"seed": seed, "export": _outcome(lambda: loaded.append(load_model(FILES / f"{seed}.keras")))}
        if not loaded:
            return row
        row |= _exported(loaded[0], made.x, graph)
        if row["export"] == "ok" and made.policy == "float32":
            found = keras.tree.flatten(OnnxModel(graph).predict_by_name(made.x))
            row["backend_difference"] = max(_difference(*pair) for pair in zip(found, outputs.values(), strict=True))
    return row


def _exported(model: Any, x: Any, graph: Path) -> dict[str, Any]:
    from leaky_zoo.deploy import export_onnx
    from leaky_zoo.runtime.verify import verify_onnx

    reports: list[Any] = []
    row: dict[str, Any] = {"export": _outcome(lambda: reports.append(export_onnx(model, graph, check_inputs=x)))}
    if reports:
        row["relative_error"] = max(reports[0].relative_errors.values())
        failed = [check.name for check in verify_onnx(graph).checks if not check.passed]
        row["verify"] = f"failed: {', '.join(failed)}" if failed else "ok"
    return row


def _outcome(step: Callable[[], Any]) -> str:
    from leaky_zoo.errors import LeakyZooError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            step()
    except LeakyZooError as error:
        text = str(error)
        return f"refused: {text[:160]}" if "\n" not in text else f"traceback: several lines: {text[:80]}"
    except Exception as error:
        return f"traceback: {type(error).__name__}: {str(error)[:160]}"
    return "ok"


def _load_twice(load: Any, file: Path, made: Any) -> None:
    """One hash, and the outputs of Keras's own load of the file (which can lose a dtype policy that the model had)."""
    import keras

    from leaky_zoo.flow import weights_sha256

    one, other = load(file), load(file)
    assert weights_sha256(one) == weights_sha256(other) == weights_sha256(made.model)
    expected = keras.models.load_model(file)
    try:
        outputs = keras.tree.flatten(expected(made.x, training=False))
    except Exception:  # TensorFlow has no such operator in this dtype on a CPU; `analyze` and `export` say so
        return
    for first, second in zip(outputs, keras.tree.flatten(one(made.x, training=False)), strict=True):
        assert _difference(*(np.asarray(keras.ops.convert_to_numpy(y), "float64") for y in (second, first))) <= 1e-5


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / max(1e-30, np.abs(expected).max()))


def _checked(audit: Any) -> Any:
    for row in audit.layers:
        values = [value for name in NUMBERS if (value := getattr(row, name)) is not None]
        assert all(math.isfinite(value) for value in values), row
        assert row.reason or row.cost_of_identity is not None, row
    return audit


def summary(rows: list[dict[str, str]]) -> str:
    """What the table says, in a few lines."""
    steps = ("save", "load", "analyze", "export", "verify")
    lines = [f"{len(rows)} models: " + ", ".join(f"{k} {v}" for k, v in Counter(r["form"] for r in rows).items())]
    for step in steps:
        kinds = Counter(row[step].partition(":")[0] or "not reached" for row in rows)
        lines.append(f"{step}: " + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()))
    for column in ("layout_difference", "layout_difference_float64", "backend_difference"):
        found = [float(row[column]) for row in rows if row[column]]
        lines.append(f"{column}: {len(found)}, largest {max(found, default=0):.2g}")
    errors = [float(row["relative_error"]) for row in rows if row["relative_error"]]
    lines.append(f"exports: {len(errors)}, largest relative error {max(errors, default=0):.2g}")
    return "\n".join(lines)


def missing(models: int, backends: tuple[str, ...], done: Iterable[int]) -> list[tuple[str, range]]:
    """The seeds that have no row yet, in parts for one process each.

    >>> missing(6, ("tensorflow", "jax"), [0, 4])
    [('tensorflow', range(1, 3)), ('jax', range(3, 4)), ('jax', range(5, 6))]
    """
    parts: list[tuple[str, range]] = []
    share, seen = -(-models // len(backends)), set(done)
    for seed in (seed for seed in range(models) if seed not in seen):
        backend = backends[seed // share]
        last = parts[-1] if parts else None
        if last and last[0] == backend and last[1].stop == seed and len(last[1]) < PART:
            parts[-1] = (backend, range(last[1].start, seed + 1))
        else:
            parts.append((backend, range(seed, seed + 1)))
    return parts


def in_a_process(backend: str, option: str, seeds: range, keep: Callable[[str], None]) -> None:
    """Rows of some seeds by a process of this backend, as they come; one that ends the process has a row that says so.

    Args:
        backend: of the process.
        option: "--seeds" for `run`, "--saved" for `run_saved`.
        seeds: of the models.
        keep: takes each row as JSON.
    """
    words = [option, f"{seeds.start}-{seeds.stop - 1}"]
    command = [sys.executable, "-m", "benchmarks.robustness.random_models", *words]
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}
    left = list(seeds)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        for line in process.stdout or ():
            if line.startswith("row "):
                keep(line[4:])
                left.pop(0)
    if process.returncode and left:
        step = {"--seeds": "save", "--saved": "export"}[option]
        row = {"seed": left[0], step: f"traceback: the process ended with {process.returncode}"}
        keep(json.dumps(dict.fromkeys(COLUMNS) | row | {"backend": backend} if option == "--seeds" else row))
        if left[1:]:
            in_a_process(backend, option, range(left[1], seeds.stop), keep)


def rows_so_far() -> dict[int, dict[str, Any]]:
    """By seed; a second line of a seed adds to the first."""
    rows: dict[int, dict[str, Any]] = {}
    for line in ROWS.read_text(encoding="utf-8").splitlines() if ROWS.exists() else ():
        row = json.loads(line)
        rows[row["seed"]] = rows.get(row["seed"], {}) | row
    return rows


def main(models: int, backends: tuple[str, ...], workers: int, again: bool) -> None:
    """Run all that have no row yet, in processes of their own, and write the table."""
    if again:
        ROWS.unlink(missing_ok=True)
    ROWS.parent.mkdir(parents=True, exist_ok=True)
    lock = Lock()

    def keep(line: str) -> None:
        with lock, ROWS.open("a", encoding="utf-8") as file:
            file.write(line.strip() + "\n")

    def finish(option: str, parts: list[tuple[str, range]]) -> None:
        with ThreadPoolExecutor(workers) as pool:
            for done in [pool.submit(in_a_process, backend, option, seeds, keep) for backend, seeds in parts]:
                done.result()

    finish("--seeds", missing(models, backends, rows_so_far()))
    saved = {seed for seed, row in rows_so_far().items() if (FILES / f"{seed}.npz").exists() and not row["verify"]}
    finish("--saved", missing(models, ("tensorflow",), set(range(models)) - saved))
    done = [row for seed, row in sorted(rows_so_far().items()) if seed < models]
    write_table(TABLE, done, samples=40, models=f"{len(done)} of {models}")
    print(summary(read_table(TABLE)))


if __name__ == "__main__":
    defaults = {"models": 300, "backends": ("tensorflow", "jax"), "workers": 1, "again": False}
    chosen = options(__doc__, **defaults, _seeds=str, _saved=str)
    for step, text in ((run, chosen.seeds), (run_saved, chosen.saved)):
        start, _, stop = (text or "").partition("-")
        for number in range(int(start), int(stop) + 1) if start else ():
            print("row " + json.dumps(step(number)), flush=True)
    if not (chosen.seeds or chosen.saved):
        main(chosen.models, chosen.backends, chosen.workers, chosen.again)

"""Keras models made at random, each through save, load, analyze, export and verify: what ends how.

python -m benchmarks.robustness.random_models [--models 300] [--backends tensorflow,jax]    writes random_models.csv
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, options, read_table, write_table

TABLE = Path(__file__).with_suffix(".csv")
NUMBERS = (
    "cost_of_identity", "out_of_image_fraction", "stable_rank", "nuclear_norm_rank", "participation_ratio",
    "two_nn_dimension", "mle_dimension", "cka_with_previous", "negative_share",
)  # fmt: skip
SUBSAMPLE = 1000
COMPARED = ("cost_of_identity", "stable_rank", "nuclear_norm_rank", "participation_ratio")


def run(seed: int) -> dict[str, Any]:
    """One row: what became of the model of this seed. Each step is "ok", "refused: ..." or "traceback: ..."."""
    import keras

    from benchmarks.robustness.keras_models import make
    from leaky_zoo.analysis import analyze
    from leaky_zoo.deploy import export_onnx
    from leaky_zoo.runtime.verify import verify_onnx
    from leaky_zoo.zoo import load_model

    backend = keras.backend.backend()
    made = make(seed, policy="float64" if backend == "jax" and seed % 2 and _in_images(seed) else None)
    row = {"seed": seed, "backend": backend, "form": made.form, "kind": made.kind, "layout": made.layout}
    row |= {
        "policy": made.policy,
        "weights": made.model.count_params(),
        "save": "",
        "load": "",
        "analyze": "",
        "rows": 0,
    }
    row |= {"measured": 0, "layout_difference": None, "export": "", "relative_error": None, "verify": ""}
    with tempfile.TemporaryDirectory() as place:
        file, graph = Path(place) / "m.keras", Path(place) / "m.onnx"
        row["save"] = _outcome(lambda: made.model.save(file))
        row["load"] = _outcome(lambda: _load_twice(load_model, file, made))
        audits: list[Any] = []
        row["analyze"] = _outcome(lambda: audits.append(_checked(analyze(made.model, made.x, subsample=SUBSAMPLE))))
        if audits:
            row |= {"rows": len(audits[0].layers), "measured": sum(each.reason is None for each in audits[0].layers)}
            row["layout_difference"] = _layout_difference(seed, made, audits[0], analyze)
        reports: list[Any] = []
        row["export"] = _outcome(lambda: reports.append(export_onnx(made.model, graph, check_inputs=made.x)))
        if reports:
            row["relative_error"] = max(reports[0].relative_errors.values())
            failed = [check.name for check in verify_onnx(graph).checks if not check.passed]
            row["verify"] = f"failed: {', '.join(failed)}" if failed else "ok"
    return row


def _in_images(seed: int) -> bool:
    return seed // 5 % 5 in (2, 3)


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
    import keras
    import numpy as np

    from leaky_zoo.flow import weights_sha256

    one, other = load(file), load(file)
    assert weights_sha256(one) == weights_sha256(other) == weights_sha256(made.model)
    try:
        expected = keras.tree.flatten(made.model(made.x, training=False))
    except Exception:  # TensorFlow has no such operator in this dtype on a CPU; `analyze` and `export` say so
        return
    found = keras.tree.flatten(one(made.x, training=False))
    for first, second in zip(expected, found, strict=True):
        first, second = (keras.ops.convert_to_numpy(each).astype("float64") for each in (first, second))
        np.testing.assert_allclose(second, first, rtol=0, atol=1e-5 * max(1e-30, np.abs(first).max()))


def _checked(audit: Any) -> Any:
    for row in audit.layers:
        values = [value for name in NUMBERS if (value := getattr(row, name)) is not None]
        assert all(math.isfinite(value) for value in values), row
        assert row.reason or row.cost_of_identity is not None, row
    return audit


def _layout_difference(seed: int, made: Any, audit: Any, analyze: Any) -> float | None:
    """Largest relative difference between the numbers of the same function in the two layouts, where both run."""
    from benchmarks.robustness.keras_models import channels_moved, make

    if made.kind not in ("image", "volume") or made.policy not in ("float32", "float64"):
        return None
    other = "channels_first" if made.layout == "channels_last" else "channels_last"
    twin = make(seed, other, made.policy)
    weights = [w.reshape(-1) for w in made.model.get_weights()]
    shapes = [w.shape for w in twin.model.get_weights()]
    if [math.prod(shape) for shape in shapes] != [w.size for w in weights]:
        return None
    twin.model.set_weights([w.reshape(shape) for w, shape in zip(weights, shapes, strict=True)])
    moved = analyze(twin.model, channels_moved(made.x, made.kind, other), subsample=SUBSAMPLE)
    worst = 0.0
    for one, two in zip(audit.layers, moved.layers, strict=True):
        if one.kind in ("Flatten", "Reshape", "PReLU") or one.reason or two.reason:
            continue
        for name in COMPARED:
            first, second = getattr(one, name), getattr(two, name)
            worst = max(worst, abs(first - second) / max(abs(first), 1e-12))
    return worst


def summary(rows: list[dict[str, str]]) -> str:
    """What the table says, in a few lines."""
    steps = ("save", "load", "analyze", "export", "verify")
    lines = [f"{len(rows)} models: " + ", ".join(f"{k} {v}" for k, v in Counter(r["form"] for r in rows).items())]
    for step in steps:
        kinds = Counter(row[step].partition(":")[0] or "not reached" for row in rows)
        lines.append(f"{step}: " + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()))
    for policy in ("float32", "float64"):
        found = [float(r["layout_difference"]) for r in rows if r["layout_difference"] and r["policy"] == policy]
        if found:
            lines.append(f"layout, {policy}: {len(found)} pairs, largest difference {max(found):.2g}")
    errors = [float(row["relative_error"]) for row in rows if row["relative_error"]]
    lines.append(f"exports: {len(errors)}, largest relative error {max(errors, default=0):.2g}")
    return "\n".join(lines)


def main(models: int, backends: tuple[str, ...], seeds: range | None) -> None:
    """Run all in a process for each backend, or (in such a process) some of them."""
    if seeds is not None:
        for seed in seeds:
            print("row " + json.dumps(run(seed)), flush=True)
        return
    rows: list[dict[str, Any]] = []
    share = -(-models // len(backends))
    for place, backend in enumerate(backends):
        first, last = place * share, min(models, (place + 1) * share) - 1
        command = [sys.executable, "-m", "benchmarks.robustness.random_models", "--seeds", f"{first}-{last}"]
        environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            for line in process.stdout or ():
                if line.startswith("row "):
                    rows.append(json.loads(line[4:]))
        if process.returncode:
            raise SystemExit(f"{backend} ended with {process.returncode} after {len(rows)} models.")
        write_table(TABLE, rows, samples=40)
    print(summary(read_table(TABLE)))


if __name__ == "__main__":
    chosen = options(__doc__, models=300, backends=("tensorflow", "jax"), _seeds=str)
    start, _, stop = (chosen.seeds or "").partition("-")
    main(chosen.models, chosen.backends, range(int(start), int(stop) + 1) if start else None)

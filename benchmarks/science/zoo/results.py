"""What the presets reach, against what they cost: writes models/results.csv and models/RESULTS.md.

    python -m benchmarks.science.zoo.results measure [--quick]   results.csv: what is new or has other weights
    python -m benchmarks.science.zoo.results latency              its column of latencies; on a machine that is idle
    python -m benchmarks.science.zoo.results draw                RESULTS.md from it and from the tables of these studies

Metrics, seeds and verdicts are those of each preset's metadata and audit; multiply-adds are counted from the layers,
for one sample; the size is that of the ONNX file that `leaky-zoo export` makes, the latency its median time for one
sample in ONNX Runtime with one thread, all nets in turns. With `--quick` only those files that are shipped in export/
are looked at; the next call without it fills in the others.
"""

import math
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common import ROOT, interleaved, markdown, options, read_table, write_table
from benchmarks.science.zoo import (
    baselines,
    denoising,
    fine_tuning,
    fine_tuning_images,
    image_baselines,
    staged_energy,
    tables,
    verdicts,
)
from benchmarks.speed.onnx_latency import call_of
from leaky_zoo.io.files import write_text
from leaky_zoo.processes.progress import track
from leaky_zoo.zoo import Preset, list_presets, models_dir

TABLE, PAGE = models_dir() / "results.csv", models_dir() / "RESULTS.md"
LATENCY = {"runs": 40, "rounds": 9, "batch": 1, "threads": 1}

# What else stands on the page: its title, the module whose table it is, and what to know of it.
STUDIES = (
    (
        "The verdict where the dimension is known",
        verdicts,
        "The estimate and its interval. At L~ of 7 and more a teacher's code is found, or one more; at 1 and 3 the "
        "interval holds it, and without a leak there is no bottleneck. In three of those nine teachers the layers "
        "of the verdict have two numbers of directions, the estimate and one more. **The number of factors of the "
        "sprites is not found.** Our reading, which is not measured: the path holds linear directions, and the "
        "images of a shape that moves or turns lie on a curved surface, so that one factor may take several of "
        "them; a factor that changes few pixels may take none. One net each.",
    ),
    (
        "Tables against gradient boosting",
        tables,
        "Mean over five folds; ± is the 95% interval over three seeds, of the nets and of what boosting draws (its "
        "histogram form draws nothing on tables of this size). The nets are ahead of both on all three tables; "
        "on wine their lead over the histogram form is smaller than the interval.",
    ),
    (
        "Denoising",
        denoising,
        "Mean squares against the clean inputs over the variance: the losses of the tables above are of clean inputs.",
    ),
    (
        "Beside other nets",
        baselines,
        "The same stem, number and width of blocks, head, recipe and loop; 95% interval over seeds. **Where leaky nets "
        "lose**: accuracy with convolutions on `mnist1d`, by about a point to batch normalisation and a little less to "
        "a plain net; elsewhere in this table three seeds tell nothing apart. **Where they win**: the larger `L~`, "
        "the smaller they get without training ([effective depth](../docs/effective_depth.md)), and they are ahead"
        " of boosting on small tables (above).",
    ),
    (
        "CIFAR-10 (JPEG) beside ResNet-20",
        image_baselines,
        "Test accuracy by the same recipe; one seed. **Where leaky nets lose**: ResNet-20, with "
        "batch normalisation and a quarter of the numbers, is three points ahead.",
    ),
    ("Fine-tuning: MNIST to optical digits", fine_tuning, "Test accuracy, 95% interval over seeds."),
    (
        "Fine-tuning: eight classes of CIFAR-10 to two",
        fine_tuning_images,
        "Test accuracy, 95% interval over seeds.",
    ),
    (
        "The Hamiltonian of a staged net",
        staged_energy,
        "Along a stage it changes little, while the kinetic energy of the first falls from about 900 to 1.2; across "
        "the transition `H` jumps to another value. The largest criticality residual says how far from a critical "
        "point a stage still is.",
    ),
)


def multiply_adds(network: keras.Model) -> int:
    """Products of all linear maps for one sample; what adds, scales or rectifies is not counted."""
    total = 0
    for layer in network.layers:
        if getattr(layer, "kernel", None) is None:
            continue
        place = (
            layer.input
            if isinstance(layer, keras.layers.Conv2DTranspose | keras.layers.Conv1DTranspose)
            else layer.output
        )
        # A dense layer has no positions; channels come last in all of the zoo's presets.
        positions = math.prod(place.shape[1:-1])
        total += math.prod(layer.kernel.shape) * positions
    return total


def onnx_bytes(preset: Preset, quick: bool) -> int | None:
    """Size of the ONNX file: the one that is shipped, or one that is made for it; None where it is not to be made."""
    from leaky_zoo.deploy import export_model

    shipped = ROOT / "export" / preset.name / "model.onnx"
    if shipped.is_file():
        return shipped.stat().st_size
    if quick:
        return None
    with tempfile.TemporaryDirectory() as place:
        return export_model(preset, Path(place) / "net.onnx")["bytes"]


def row_of(preset: Preset, quick: bool) -> dict[str, Any]:
    """The row of one preset."""
    metadata = preset.metadata
    metric = "accuracy" if "accuracy" in metadata["metrics"].get("test", {}) else "loss"
    return {
        "preset": preset.name, "data": metadata["dataset"], "task": metadata["task"], "class": metadata["class"],
        "effective_depth": metadata["effective_depth"], "depth": sum(path.depth for path in preset.network.paths),
        "metric": metric, **_metrics(preset, metric),
        "parameters": metadata["parameters"], "multiply_adds": multiply_adds(preset.network),
        "onnx_bytes": onnx_bytes(preset, quick), "onnx_microseconds": None,
        **_of_the_audit(preset),
        "training_seconds": metadata.get("training_seconds"), "device": metadata.get("device"),
        "weights_sha256": metadata["sha256"]["model.weights.h5"][:16],
    }  # fmt: skip


def measure(quick: bool) -> None:
    """Rows of presets that are not in the table with these weights and figures; those that are gone leave it."""
    known = {row["preset"]: row for row in (read_table(TABLE) if TABLE.exists() else [])}
    rows = []
    for entry in track("presets")(list_presets()):
        keras.backend.clear_session()
        preset = Preset.open(entry["name"])
        old = known.get(preset.name, {})
        same = old.get("weights_sha256") == preset.metadata["sha256"]["model.weights.h5"][:16]
        complete = quick or bool(old.get("onnx_bytes"))
        rows.append(_renewed(old, preset) if same and complete else row_of(preset, quick))
    write_table(TABLE, rows, **LATENCY)


def _renewed(old: dict[str, str], preset: Preset) -> dict[str, Any]:
    """A known row; what its metadata may say anew after a refresh is taken from there."""
    renewed = {**_metrics(preset, old["metric"]), **_of_the_audit(preset)}
    shipped = onnx_bytes(preset, quick=True)
    return {"onnx_microseconds": None} | old | renewed | ({"onnx_bytes": shipped} if shipped else {})


def _of_the_audit(preset: Preset) -> dict[str, Any]:
    audit = preset.audit
    rank = audit.bottleneck_rank if audit else None
    nonlinear = (audit.summary.get("effective_nonlinear_depth") or {}) if audit else {}
    return {"bottleneck_rank": rank.estimate if rank else None, "nonlinear_layers": nonlinear.get("layers")}


def _metrics(preset: Preset, metric: str) -> dict[str, Any]:
    """With more digits than a table has, so that what is rounded for a page is rounded once."""
    seeds, test = preset.metadata.get("seeds"), preset.metadata["metrics"].get("test", {})
    found = [test.get(metric), *(seeds[key][metric] if seeds else None for key in ("mean", "std"))]
    test, mean, std = (None if each is None else f"{each:.9g}" for each in found)
    return {"test": test, "seeds": len(seeds["seeds"]) if seeds else 1, "mean": mean, "std": std}


def measure_latency() -> None:
    """The latencies of all rows, one against the other."""
    from leaky_zoo.deploy import export_model

    runs, rows = LATENCY["runs"], {row["preset"]: row for row in read_table(TABLE)}
    calls: dict[str, Callable[[], object]] = {}
    with tempfile.TemporaryDirectory() as place:
        for name in track("exporting")(rows):
            keras.backend.clear_session()
            preset, path = Preset.open(name), ROOT / "export" / name / "model.onnx"
            if not path.is_file():
                path = Path(place) / f"{name}.onnx"
                export_model(preset, path)
            call = call_of(path, preset.golden[0][:1].astype(np.float32))
            calls[name] = partial(_repeated, call, runs)
    for name, seconds in interleaved(calls, LATENCY["rounds"]).items():
        rows[name]["onnx_microseconds"] = f"{1e6 * np.median(seconds) / runs:.3g}"
    write_table(TABLE, rows.values(), **LATENCY)


def _repeated(call: Callable[[], object], runs: int) -> None:
    for _ in range(runs):
        call()


def results_table(rows: list[dict[str, str]]) -> str:
    """A table of presets of one pair of data and task."""
    lines = [
        (
            f"[{row['preset']}]({row['preset']}/README.md)", row["effective_depth"], row["depth"],
            _value(row["metric"], row["test"]), _spread(row),
            f"{int(row['parameters']):,}", f"{int(row['multiply_adds']):,}", _kibibytes(row["onnx_bytes"]),
            row.get("onnx_microseconds") or "-",
            row["bottleneck_rank"] or "-", row["nonlinear_layers"] or "-",
        )
        for row in sorted(rows, key=lambda row: (row["class"], float(row["effective_depth"]), row["preset"]))
    ]  # fmt: skip
    metric = "test accuracy" if rows[0]["metric"] == "accuracy" else "test loss"
    columns = (
        "preset", "L~", "layers", metric, "over seeds", "parameters", "multiply-adds", "ONNX, KiB", "ONNX, µs",
        "bottleneck rank", "nonlinear layers",
    )  # fmt: skip
    return markdown(columns, lines)


def page() -> str:
    """RESULTS.md."""
    pairs: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in read_table(TABLE):
        name = row["data"].replace("/fold_0", "")
        pairs.setdefault((name, row["task"]), []).append(row)
    count = sum(map(len, pairs.values()))
    kinds = {(data.partition("/")[0], task) for data, task in pairs}
    seconds = sum(float(row["training_seconds"] or 0) * int(row["seeds"]) for each in pairs.values() for row in each)
    depths = sorted({float(row["effective_depth"]) for rows in pairs.values() for row in rows})
    parts = [
        "# Results",
        f"Written by `python -m benchmarks.science.zoo.results draw` from `results.csv`: {count} presets, {len(kinds)} "
        "pairs of data set and task (one with several configurations, as the teachers, has a heading for each), "
        f"effective depths {', '.join(f'{depth:g}' for depth in depths)}. They took {seconds / 3600:.0f} hours to "
        "train, on the devices that their cards name, if further seeds took as long as the first. Test metrics are "
        "those of the preset itself; *over seeds* is the mean and standard deviation of its recipe over its seeds, "
        "where more than one was trained. The loss of a regression or an autoencoder is the mean squared error over "
        "the variance. *ONNX, µs* is the median time of one sample in ONNX Runtime on one thread of an idle machine "
        "(results.json), all nets in turns: for comparing them with each other. The bottleneck rank is the verdict of "
        "the audit, where there is one; *nonlinear layers* is how "
        "many ReLUs must stay for the outputs to stay ([analysis](../docs/analysis.md)). What the effective depth does "
        "where all else is the same: [its own page](../docs/effective_depth.md).",
    ]
    for (data, task), rows in sorted(pairs.items()):
        parts += [f"## {data}, {task}", results_table(rows)]
    for title, study, words in STUDIES:
        if study.TABLE.exists():
            said = (study.__doc__ or "").splitlines()[0]
            parts += [f"## {title}", f"{said} {words} (`python -m {study.__name__}`)", study.table()]
    return "\n\n".join(parts) + "\n"


def _value(metric: str, text: str) -> str:
    return f"{100 * float(text):.2f}%" if metric == "accuracy" else f"{float(text):.4f}"


def _kibibytes(text: str) -> str:
    return f"{int(text) / 1024:,.0f}" if text else "-"


def _spread(row: dict[str, str]) -> str:
    if not row["mean"]:
        return "-"
    mean = _value(row["metric"], row["mean"])
    spread = f"{100 * float(row['std']):.2f}" if row["metric"] == "accuracy" else f"{float(row['std']):.4f}"
    return f"{mean} ± {spread} ({row['seeds']})"


if __name__ == "__main__":
    chosen = options(__doc__, "measure", "latency", "draw", quick=False)
    if chosen.step == "measure":
        measure(chosen.quick)
    elif chosen.step == "latency":
        measure_latency()
    else:
        write_text(PAGE, page())

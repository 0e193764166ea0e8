"""The same budget spent by others on the same net: plain SVD, magnitude pruning, ONNX Runtime's int8, a small MLP.

    python -m benchmarks.science.compression_baselines --model NET.keras --compressed FILE.onnx [--epochs 15]
        writes compression_baselines.csv; NET.keras lies beside its recipe.yaml, FILE.onnx is what `leaky-zoo compress`
        made of it

Each gets as many numbers as the compressed file has (pruning: as many bytes, an index of 2 bytes with each number kept)
and, but for the quantiser, as many epochs of the same distillation; the small MLP is trained on the labels by the
net's own recipe. Bytes are of whole ONNX files of float32 weights without metadata, and of int8 where that is the
method. One net, one seed; the test split is looked at once for each row.
"""

import tempfile
from pathlib import Path

import keras
import numpy as np
import onnx
from onnxruntime.quantization import quantize_dynamic

from benchmarks.common import options, write_table
from leaky_zoo.compress import Compressed, split_for
from leaky_zoo.compress.chain import Map, build_model, maps_of, numbers_of, read_chain, read_maps
from leaky_zoo.compress.distill import distill
from leaky_zoo.compress.factors import InputMoments, factored, most_rank, spectrum_of
from leaky_zoo.compress.folding import normalization_folded
from leaky_zoo.compress.search import run_model
from leaky_zoo.data import load_data
from leaky_zoo.data.pipeline import training_pipeline
from leaky_zoo.deploy.build import build_onnx
from leaky_zoo.deploy.compressed import build_compressed
from leaky_zoo.runtime import inspect_onnx, load
from leaky_zoo.training.building import augmentation
from leaky_zoo.zoo import Recipe, load_network

TABLE = Path(__file__).with_suffix(".csv")
INDEX_BYTES = 2


class Study:
    """A net, its data and its recipe."""

    def __init__(self, model: str, epochs: int, data_dir: str | None) -> None:
        self.net, self.epochs = load_network(model), epochs
        self.recipe = Recipe.read(Path(model).with_name("recipe.yaml"))
        data = load_data(self.recipe.data.name, data_dir)
        self.parts, self.test = split_for(self.net, data), data.select("test")
        self.train = data.select(self.recipe.data.train)
        self.augmentation = augmentation(self.recipe, data)

    def accuracy(self, model, on=None) -> float:
        """In %; of the test split, unless another is given."""
        x, y = on or self.test
        return 100 * float(np.mean(run_model(model, np.asarray(x, np.float32)).argmax(-1) == y))

    def taught(self, model) -> float:
        """Test accuracy after distillation."""
        distill(model, self.net, self.parts.fit, lambda each: self.accuracy(each, self.parts.choose),
                epochs=self.epochs, augmentation=self.augmentation)  # fmt: skip
        return self.accuracy(model)


def file_bytes(links, model) -> int:
    """Of the ONNX file of a chain, without metadata."""
    return build_compressed(Compressed(model, links, "float32", None, {}), "logits").ByteSize()


def plain_svd(study: Study, numbers: int) -> dict[str, object]:
    """Each map cut to one rank for all, by its singular values alone."""
    links = read_chain(study.net)

    def cut(rank: int) -> list:
        result = []
        for link in links:
            if isinstance(link, Map) and rank <= most_rank(link):
                size = len(link.matrix)
                blind = InputMoments(np.zeros(size), np.eye(size), np.ones(size))
                link = factored(link, blind, spectrum_of(link, blind), rank)
            result.append(link)
        return result

    rank = max(rank for rank in range(1, 200) if rank == 1 or numbers_of(cut(rank)) <= numbers)
    low = cut(rank)
    model = build_model(low, study.net.config.input_shape, "plain_svd")
    before = study.accuracy(model)
    after = study.taught(model)
    chain = normalization_folded(read_maps(model, low))
    final = build_model(chain, study.net.config.input_shape, "plain_svd_final")
    return {"method": f"plain SVD, rank {rank} everywhere", "numbers": numbers_of(chain),
            "bytes": file_bytes(chain, final), "untrained": before, "accuracy": after}  # fmt: skip


def pruned(study: Study, budget: int) -> dict[str, object]:
    """The entries largest in size of all kernels together, each with an index, in so many bytes."""
    links = read_chain(study.net)
    model = build_model(links, study.net.config.input_shape, "pruned")
    kernels = [model.get_layer(name).kernels[0] for name in maps_of(links)]
    sizes = np.concatenate([np.abs(keras.ops.convert_to_numpy(kernel)).ravel() for kernel in kernels])
    biases = 4 * sum(link.bias.size for link in maps_of(links).values())
    kept = (budget - biases) // (4 + INDEX_BYTES)
    least = np.sort(sizes)[-kept]
    for kernel in kernels:
        mask = keras.ops.cast(keras.ops.abs(kernel) >= least, "float32")
        kernel.assign(kernel * mask)
        kernel.constraint = lambda value, mask=mask: value * mask
    before = study.accuracy(model)
    after = study.taught(model)
    return {"method": "magnitude pruning, all kernels together", "numbers": int(kept), "bytes": budget,
            "untrained": before, "accuracy": after}  # fmt: skip


def quantised(study: Study) -> dict[str, object]:
    """ONNX Runtime's dynamic quantisation of our own export."""
    with tempfile.TemporaryDirectory() as folder:
        whole, small = Path(folder) / "whole.onnx", Path(folder) / "small.onnx"
        onnx.save(build_onnx(study.net), whole)
        quantize_dynamic(whole, small)
        found = load(small).predict(np.asarray(study.test[0], np.float32))
        accuracy = 100 * float(np.mean(found.argmax(-1) == study.test[1]))
        return {"method": "ONNX Runtime, dynamic int8", "numbers": study.net.count_params(),
                "bytes": small.stat().st_size, "untrained": accuracy, "accuracy": accuracy}  # fmt: skip


def small_mlp(study: Study, numbers: int) -> dict[str, object]:
    """784 - h - h - 10 with ReLU and as many numbers, trained by the recipe on the labels."""
    size, classes = int(np.prod(study.net.config.input_shape)), study.net.config.output_size
    hidden = max(h for h in range(4, 512) if (size + 1) * h + (h + 1) * h + (h + 1) * classes <= numbers)
    keras.utils.set_random_seed(study.recipe.seed)
    config = study.net.config
    model = keras.Sequential([
        keras.Input(config.input_shape),
        keras.layers.Normalization(axis=None, mean=config.input_mean, variance=config.input_variance),
        keras.layers.Flatten(),
        keras.layers.Dense(hidden, activation="relu"), keras.layers.Dense(hidden, activation="relu"),
        keras.layers.Dense(classes),
    ])  # fmt: skip
    (x, y), part = study.train, study.recipe.data
    steps = -(-len(x) // 256)
    epochs = study.recipe.optimizer.epochs
    peak = study.recipe.optimizer.learning_rate
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps * epochs, warmup_target=peak, warmup_steps=steps)
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0), study.net.loss_function(), jit_compile=False)
    stream = training_pipeline(x, y, 256, study.recipe.seed, translation=part.translation)
    model.fit(stream, epochs=epochs, steps_per_epoch=steps, verbose=0, shuffle=False)
    count = (size + 1) * hidden + (hidden + 1) * hidden + (hidden + 1) * classes
    return {"method": f"ordinary MLP, 2 hidden layers of {hidden}", "numbers": count, "bytes": 4 * count,
            "untrained": "", "accuracy": study.accuracy(model)}  # fmt: skip


def ours(study: Study, compressed: str) -> dict[str, object]:
    """What `leaky-zoo compress` wrote."""
    found = load(compressed).predict(np.asarray(study.test[0], np.float32))
    record = inspect_onnx(compressed)["leaky_zoo.compression"]
    stripped = onnx.load(compressed)
    del stripped.metadata_props[:]
    return {"method": f"ours, {record['settings']['storage']}", "numbers": record["parameters"],
            "bytes": stripped.ByteSize(), "untrained": "",
            "accuracy": 100 * float(np.mean(found.argmax(-1) == study.test[1]))}  # fmt: skip


def main(model: str, compressed: str, epochs: int, data_dir: str | None) -> None:
    """Measure all, and write the table."""
    study = Study(model, epochs, data_dir)
    record = inspect_onnx(compressed)["leaky_zoo.compression"]
    numbers = record["parameters"]
    size = build_onnx(study.net).ByteSize()
    whole = {"method": "the whole net", "numbers": study.net.count_params(), "bytes": size, "untrained": "",
             "accuracy": study.accuracy(study.net)}  # fmt: skip
    rows = [whole, ours(study, compressed)]
    for method in (lambda: quantised(study), lambda: plain_svd(study, numbers), lambda: pruned(study, 4 * numbers),
                   lambda: small_mlp(study, numbers)):  # fmt: skip
        rows.append(method())
        print(*rows[-1].values(), flush=True)
    shown = [row | {name: f"{row[name]:.2f}" for name in ("untrained", "accuracy") if row[name] != ""} for row in rows]
    write_table(TABLE, shown, net=study.net.name, epochs=epochs, seeds=[study.recipe.seed])


if __name__ == "__main__":
    given = options(__doc__, model="", compressed="", epochs=15, data_dir=str)
    main(given.model, given.compressed, given.epochs, given.data_dir)

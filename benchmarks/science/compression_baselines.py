"""The same budget spent by others on the same net: plain SVD, magnitude pruning, ONNX Runtime's int8, a small net.

    python -m benchmarks.science.compression_baselines --model NET --compressed FILE.onnx [--methods int8,ordinary]
        writes compression_baselines.csv after each method, rows of other methods and nets stay; NET is a preset, or a
        .keras file beside its recipe.yaml; FILE.onnx is what `leaky-zoo compress` made of it

Plain SVD (one rank for all maps, blind to the data) and the ordinary net get as many numbers as the compressed file
has; pruning gets as many bytes, a number kept costs its value and an index of 2 bytes. All are kept in the bits of the
compressed file, by our own writer. Plain SVD and pruning are distilled for as many epochs as ours, from the same
outputs, under the same augmentation, the epoch kept by the same score; the ordinary net (an MLP of two hidden layers,
or a CNN of three convolutions) is trained on the labels with the recipe's data, augmentation, batches, epochs and peak
of the rate: by Adam with cosine decay, without weight decay; in a second row it is then distilled as well. Dynamic int8
is ONNX Runtime's `quantize_dynamic`, of our export and of tf2onnx's, whose products it can all reach. Bytes are of
whole ONNX files without metadata; latencies are medians on one thread, all files in turns, on a machine that does other
work as well. One net, one seed; the test split is looked at once for each row.
"""

import itertools
import tempfile
from pathlib import Path

import keras
import numpy as np
import onnx
from onnxruntime.quantization import quantize_dynamic

from benchmarks.common import interleaved, options, write_table
from benchmarks.speed.monitor_overhead import unwatched
from leaky_zoo.compress import Compressed, split_for
from leaky_zoo.compress.chain import Map, build_model, maps_of, numbers_of, read_chain, read_maps
from leaky_zoo.compress.data import Metric
from leaky_zoo.compress.distill import distill
from leaky_zoo.compress.factors import InputMoments, factored, most_rank, spectrum_of
from leaky_zoo.compress.folding import normalization_folded
from leaky_zoo.compress.smaller import epoch_score
from leaky_zoo.compress.storage import rounded
from leaky_zoo.data import load_data
from leaky_zoo.data.pipeline import training_pipeline
from leaky_zoo.deploy.build import build_onnx
from leaky_zoo.deploy.compressed_graph import build_compressed
from leaky_zoo.deploy.convert import convert_with_tf2onnx
from leaky_zoo.deploy.ports import Reference
from leaky_zoo.runtime import inspect_onnx
from leaky_zoo.runtime.session import open_session
from leaky_zoo.training.building import augmentation
from leaky_zoo.zoo import Preset, Recipe, load_network

TABLE = Path(__file__).with_suffix(".csv")
INDEX_BYTES = 2
BATCHES = (1, 256)


class Study:
    """A net, its data and its recipe, what it was compressed to, and a folder for the files of all methods.

    Attributes:
        rows: of the table, by the file that each is about.
        budget: bytes of our file.
    """

    def __init__(self, model: str, compressed: str, epochs: int, data_dir: str | None, folder: Path) -> None:
        preset = None if model.endswith(".keras") else Preset.open(model)
        self.net = preset.network if preset else load_network(model)
        self.recipe = preset.recipe if preset else Recipe.read(Path(model).with_name("recipe.yaml"))
        self.epochs, self.folder = epochs, folder
        data = load_data(self.recipe.data.name, data_dir)
        self.parts, self.test = split_for(self.net, data), data.select("test")
        self.train = data.select(self.recipe.data.train)
        self.augmentation = augmentation(self.recipe, data)
        self.record = inspect_onnx(compressed)["leaky_zoo.compression"]
        self.storage = self.record["settings"]["storage"]
        self.rows: dict[Path, dict[str, object]] = {}
        self.budget = 0

    def taught(self, model) -> None:
        """Distilled as ours is, the epoch kept by the same score."""
        score = epoch_score(self.net, Metric.of(self.net), self.parts, model, self.augmentation)
        distill(model, self.net, self.parts.fit, score, epochs=self.epochs, augmentation=self.augmentation)

    def add(
        self, method: str, numbers: int, graph: onnx.ModelProto | Path, size: int | None = None, about: str = ""
    ) -> None:
        """A row: write the file, without metadata, and measure its accuracy; `about` says what the method came to."""
        path = self.folder / f"{len(self.rows)}.onnx"
        model = onnx.load(graph) if isinstance(graph, Path) else graph
        del model.metadata_props[:]
        onnx.save(model, path)
        x, y = np.asarray(self.test[0], np.float32), self.test[1]
        session = open_session(str(path))
        names = [session.get_outputs()[0].name], session.get_inputs()[0].name
        found = np.concatenate([session.run(names[0], {names[1]: x[at : at + 500]})[0] for at in range(0, len(x), 500)])
        right = 100 * float(np.mean(found.argmax(-1) == y))
        self.rows[path] = {"method": method, "about": about, "numbers": numbers, "bytes": size or path.stat().st_size,
                           "accuracy": f"{right:.2f}"}  # fmt: skip
        print(*self.rows[path].values(), flush=True)

    def graph_of(self, links) -> onnx.ModelProto:
        """The file of a chain, in the bits of the compressed one."""
        links = rounded(normalization_folded(links), self.storage)
        model = build_model(links, self.net.config.input_shape, "baseline")
        return build_compressed(Compressed(model, links, self.storage, None, {}), "logits")


def plain_svd(study: Study) -> None:
    """Each map cut to one rank for all, by its singular values alone."""
    links, numbers = read_chain(study.net), study.record["parameters"]

    def cut(rank: int) -> list:
        result = []
        for link in links:
            if isinstance(link, Map) and rank <= most_rank(link):
                size = len(link.matrix)
                blind = InputMoments(np.zeros(size), np.eye(size), np.ones(size))
                link = factored(link, blind, spectrum_of(link, blind), rank)
            result.append(link)
        return result

    rank = 1
    while numbers_of(cut(rank + 1)) <= numbers:
        rank += 1
    low = cut(rank)
    model = build_model(low, study.net.config.input_shape, "plain_svd")
    study.taught(model)
    chain = read_maps(model, low)
    study.add("plain SVD", numbers_of(chain), study.graph_of(chain), about=f"rank {rank} everywhere")


def pruned(study: Study) -> None:
    """The entries largest in size of all kernels together, each with an index, in as many bytes as ours."""
    budget, links = study.budget, read_chain(study.net)
    model = build_model(links, study.net.config.input_shape, "pruned")
    kernels = [model.get_layer(name).kernels[0] for name in maps_of(links)]
    sizes = np.concatenate([np.abs(keras.ops.convert_to_numpy(kernel)).ravel() for kernel in kernels])
    value, bias = {"float32": (4, 4), "float16": (2, 2), "int8": (1, 2)}[study.storage]
    kept = (budget - bias * sum(link.bias.size for link in maps_of(links).values())) // (value + INDEX_BYTES)
    least = np.sort(sizes)[-kept]
    for kernel in kernels:
        mask = keras.ops.cast(keras.ops.abs(kernel) >= least, "float32")
        kernel.assign(kernel * mask)
        kernel.constraint = lambda value, mask=mask: value * mask
    study.taught(model)
    chain = read_maps(model, links)
    study.add(
        "magnitude pruning", int(kept), study.graph_of(chain), size=budget, about="all kernels together; weights kept"
    )


def quantised(study: Study) -> None:
    """ONNX Runtime's dynamic quantisation, of our own export and of tf2onnx's."""
    graphs = {
        "our export": build_onnx(study.net),
        "tf2onnx's export": convert_with_tf2onnx(Reference(study.net, "logits")),
    }
    for words, graph in graphs.items():
        whole, small = study.folder / "whole.onnx", study.folder / "small.onnx"
        onnx.save(graph, whole)
        quantize_dynamic(whole, small)
        study.add(f"ONNX Runtime, dynamic int8 of {words}", numbers_of(read_chain(study.net)), small)


def ordinary(study: Study) -> None:
    """An MLP of two hidden layers, or a CNN, with ReLU and as many numbers: trained on labels, then distilled too."""
    recipe, numbers = study.recipe, study.record["parameters"]
    images = study.net.family != "mlp"
    make = _small_cnn if images else _small_mlp
    sizes = itertools.takewhile(lambda h: make(study.net.config, h).count_params() <= numbers, itertools.count(4))
    *_, hidden = sizes
    keras.utils.set_random_seed(recipe.seed)
    model = make(study.net.config, hidden)
    x, y = study.train
    steps, epochs = -(-len(x) // recipe.data.batch_size), recipe.optimizer.epochs
    peak = recipe.optimizer.learning_rate
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps * epochs, warmup_target=peak, warmup_steps=steps)
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0), study.net.loss_function(), jit_compile=False)
    moves = {name: getattr(recipe.data, name) for name in ("translation", "rotation", "zoom")}
    stream = training_pipeline(x, y, recipe.data.batch_size, recipe.seed, **moves)
    model.fit(stream, epochs=epochs, steps_per_epoch=steps, verbose=0, shuffle=False)
    kind = "ordinary CNN" if images else "ordinary MLP"
    words = f"3 convolutions of {hidden} channels" if images else f"2 hidden layers of {hidden}"
    for how in ("", ", then distilled"):
        if how:
            study.taught(model)
        links = [_link_of(layer) for layer in model.layers]
        study.add(f"{kind}{how}", numbers_of(links), study.graph_of(links), about=words)


def _small_mlp(config, hidden: int) -> keras.Model:
    layers = [keras.layers.Dense(hidden), keras.layers.ReLU(), keras.layers.Dense(hidden), keras.layers.ReLU()]
    return _sequential(config, [keras.layers.Flatten(), *layers])


def _small_cnn(config, channels: int) -> keras.Model:
    """A stem as the leaky net has it, and two convolutions more; global mean."""
    layers = []
    for kernel, strides in ((5, 2), (3, 1), (3, 1)):
        layers += [keras.layers.Conv2D(channels, kernel, strides, padding="same"), keras.layers.ReLU()]
    return _sequential(config, [*layers, keras.layers.GlobalAveragePooling2D()])


def _sequential(config, layers: list) -> keras.Model:
    inputs = keras.layers.Normalization(axis=None, mean=config.input_mean, variance=config.input_variance)
    return keras.Sequential([keras.Input(config.input_shape), inputs, *layers, keras.layers.Dense(config.output_size)])


def _link_of(layer: keras.layers.Layer) -> Map | keras.layers.Layer:
    """The layer as a link of a chain."""
    if not isinstance(layer, keras.layers.Dense | keras.layers.Conv2D):
        return layer
    kernel, bias = (np.asarray(each, np.float64) for each in layer.get_weights())
    if kernel.ndim == 2:
        return Map(layer.name, (layer.name,), (kernel,), bias)
    return Map(layer.name, (layer.name,), (kernel,), bias, strides=layer.strides[0], data_format=layer.data_format)


def ours(study: Study, compressed: str) -> None:
    """What `leaky-zoo compress` wrote, without what watches for drift."""
    path = Path(compressed)
    graph = onnx.load(path)
    if len(graph.graph.output) > 1:
        graph = onnx.load(unwatched(path, study.folder / "unwatched.onnx"))
    study.add("ours", study.record["parameters"], graph)
    study.budget = list(study.rows)[-1].stat().st_size


def timed(study: Study, runs: int) -> list[dict[str, object]]:
    """The rows with latencies."""
    sessions = {path: open_session(str(path), threads=1) for path in study.rows}
    result = [dict(row) for row in study.rows.values()]
    for batch in BATCHES:
        x = np.asarray(study.test[0][:batch], np.float32)
        calls = {
            str(path): lambda session=session, x=x: session.run(None, {session.get_inputs()[0].name: x})
            for path, session in sessions.items()
        }
        seconds = interleaved(calls, runs, warm_up=20)
        whole = np.median(next(iter(seconds.values())))
        for row, each in zip(result, seconds.values(), strict=True):
            row[f"us_batch_{batch}"] = f"{1e6 * np.median(each):.1f}"
            row[f"times_faster_{batch}"] = f"{whole / np.median(each):.2f}"
    return result


METHODS = {"int8": quantised, "ordinary": ordinary, "svd": plain_svd, "pruning": pruned}


def main(model: str, compressed: str, methods: tuple[str, ...], epochs: int, runs: int, data_dir: str | None) -> None:
    """Measure these methods beside the whole net and ours, and write the table."""
    with tempfile.TemporaryDirectory() as folder:
        study = Study(model, compressed, epochs, data_dir, Path(folder))
        study.add("the whole net", numbers_of(read_chain(study.net)), build_onnx(study.net))
        ours(study, compressed)
        for name in methods:
            METHODS[name](study)
            rows = [{"net": study.net.name, "storage": study.storage, **row} for row in timed(study, runs)]
            write_table(TABLE, rows, keys=["net", "storage", "method"], epochs=epochs, seeds=[study.recipe.seed],
                        runs=runs, machine="shared with other work")  # fmt: skip


if __name__ == "__main__":
    given = options(__doc__, model="", compressed="", methods=tuple(METHODS), epochs=30, runs=200, data_dir=str)
    main(given.model, given.compressed, given.methods, given.epochs, given.runs, given.data_dir)

"""Several paths: representations and momenta through a transition against Keras, and the audit of all of them."""

import jsonschema
import keras
import numpy as np
import pytest
from keras import ops

from leaky_zoo.analysis import Audit, AuditPart, analyze, analyze_part, merge_parts
from leaky_zoo.analysis.schema import audit_schema
from leaky_zoo.figures import PANELS, plot_panel, write_report
from leaky_zoo.figures.plots import panels_of
from leaky_zoo.flow import collect
from leaky_zoo.flow.steps import PathSteps
from leaky_zoo.layers import LeakyConv2D, LeakyDense, StepSizes, get_schedule
from leaky_zoo.networks import LeakyNetwork, LeakyPath, LeakyResNet, NetworkConfig

BACKEND = keras.backend.backend()
ABOUT = {"name": "d", "split": "train"}


class TwoPaths(LeakyNetwork):
    """Units or images, two paths of other width and `L~`: stem, 3 steps, a transition, 4 steps, head."""

    def __init__(self, images=False, effective_depths=(1.0, 2.0), dtype="float64", weight_decay=1e-2, **about):
        self.images, decay = images, weight_decay
        shape, widths = ((6, 6, 2), (3, 5)) if images else ((4,), (5, 7))
        inputs = keras.Input(shape, dtype=dtype)
        current, paths, everything, before = inputs, [], [], inputs
        for index, (width, depth) in enumerate(zip(widths, (3, 4), strict=True)):
            if images:
                entry = keras.layers.Conv2D(width, 3, index + 1, "same", activation=("linear", "relu")[index],
                                            data_format="channels_last", dtype=dtype)  # fmt: skip
            else:
                entry = keras.layers.Dense(width, activation=("linear", "relu")[index], dtype=dtype)
            representations = [entry(current)]
            steps = StepSizes(depth, effective_depths[index], get_schedule("irregular"), dtype=dtype, name=f"s{index}")
            blocks = []
            for layer, step in enumerate(steps(inputs)):
                make = LeakyConv2D if images else LeakyDense
                extra = {"data_format": "channels_last"} if images else {}
                blocks.append(make(effective_depths[index], weight_decay=decay, dtype=dtype,
                                   name=f"{'ab'[index]}_{layer}", **extra))  # fmt: skip
                representations.append(blocks[-1](representations[-1], step_size=step))
            paths.append(LeakyPath("ab"[index], before, representations, blocks, steps))
            everything += representations
            before = current = representations[-1]
        if images:
            current = keras.layers.Flatten(dtype=dtype)(current)  # a mean is in float32 on JAX, as tanh is
        outputs = keras.layers.Dense(3, dtype=dtype)(current)
        super(LeakyNetwork, self).__init__(inputs=inputs, outputs=outputs, name="two_paths")
        self.dtype_policy = keras.dtype_policies.get(dtype)
        self._paths, self._representations = tuple(paths), everything
        self.config = NetworkConfig.model_construct(
            input_shape=shape, output_size=3, width=widths[-1], depth=7, effective_depth=sum(effective_depths),
            schedule={"name": "irregular"}, weight_decay=decay, io_weight_decay=decay,
            dataset={"name": "d", "split": "train"}, **about,
        )  # fmt: skip
        self._arguments = {"images": images, "effective_depths": effective_depths, "weight_decay": decay, **about}

    def astype(self, dtype):
        twin = TwoPaths(**self._arguments, dtype=dtype)
        twin.set_weights(self.get_weights())
        return twin


@pytest.fixture(params=[False, True], ids=["units", "images"])
def network(request):
    keras.utils.set_random_seed(0)
    return TwoPaths(request.param)


def samples(network, count=23):
    random = np.random.default_rng(0)
    return random.normal(size=(count, *network.input_shape[1:])), random.integers(0, 3, count)


def gradients_of_the_loss(network, representations, y):
    """`dC/dA_l` for every `A_l`, by automatic differentiation of Keras's own layers from there on."""
    found = []
    for index, path in enumerate(network.paths):
        for layer in range(path.depth + 1):

            def loss(a, index=index, layer=layer):
                for number, later in enumerate(network.paths[index:], start=index):
                    a = later.entry(a) if number > index else a
                    begin = layer if number == index else 0
                    for block, rho in list(later.steps)[begin:]:
                        a = block(a, step_size=ops.convert_to_tensor(rho, block.variable_dtype))
                return ops.sum(network.loss_function().call(y, network.head(a))) / len(y)

            start = ops.convert_to_tensor(representations[len(found)], "float64")
            if BACKEND == "jax":
                import jax

                slope = jax.grad(loss)(start)
            else:
                import tensorflow as tf

                with tf.GradientTape() as tape:
                    tape.watch(start)
                    value = loss(start)
                slope = tape.gradient(value, start)
            found.append(np.asarray(slope))
    return found


def resnet(**about):
    """Two stages of other `L~`."""
    fields = {"widths": (3, 4), "depths": (3, 4), "effective_depths": (1.0, 2.0), "data_format": "channels_last"}
    common = {"input_shape": (6, 6, 2), "output_size": 3, "weight_decay": 1e-2, "dtype": "float64"}
    return LeakyResNet(**common | fields | about)


def momenta_agree(network, tolerance=1e-9):
    x, y = samples(network)
    y = network.task.targets(x, y)
    representations = [np.asarray(a) for a in network.representations(x)]
    slopes = gradients_of_the_loss(network, representations, y)
    for batch in (23, 6):
        momenta, first = collect(network, x, y, batch).momenta(1e-2), 0
        for path, found in zip(network.paths, momenta, strict=True):
            for layer, (block, ours) in enumerate(zip(path.blocks, found, strict=True)):
                gradient = -block.columns(slopes[first + layer + 1]) / 1e-2
                before = representations[first + layer]
                expected = gradient.T @ block.features(before)
                np.testing.assert_allclose(
                    ours.features, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max()
                )
                assert ours.trace == pytest.approx(np.vdot(gradient, block.columns(before)), rel=tolerance)
                assert ours.norm_squared == pytest.approx(np.vdot(gradient, gradient), rel=tolerance)
            first += path.depth + 1


@pytest.mark.tensorflow_only
def test_momenta_through_a_transition_are_those_of_automatic_differentiation(network):
    momenta_agree(network)


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("shape", [(6, 6, 2), (8, 2)])
def test_momenta_of_a_resnet_are_those_of_automatic_differentiation(shape):
    keras.utils.set_random_seed(0)
    momenta_agree(resnet(input_shape=shape))


@pytest.mark.skipif(BACKEND != "jax", reason="the same in JAX's float64")
@pytest.mark.parametrize("images", [False, True])
def test_momenta_through_a_transition_on_jax(images):
    import jax

    jax.config.update("jax_enable_x64", True)  # for all threads
    try:
        keras.utils.set_random_seed(0)
        momenta_agree(TwoPaths(images))
        if images:  # its head has a mean, which Keras takes in float32 on JAX
            momenta_agree(resnet(), 1e-6)
    finally:
        jax.config.update("jax_enable_x64", False)


def test_the_paths_in_numpy_are_those_of_keras():
    network = TwoPaths(dtype="float32")
    x, _ = samples(network)
    expected, current = [ops.convert_to_numpy(a) for a in network.representations(x)], x
    for path in network.paths:
        walk = list(PathSteps(path, "float32").walk(ops.convert_to_numpy(path.entry(current))))
        for ours in (*(before for before, _, _ in walk), walk[-1][2]):
            np.testing.assert_allclose(ours, expected.pop(0), rtol=1e-4, atol=1e-5)
        current = walk[-1][2]
    assert not expected


def test_the_audit_has_every_layer_and_speaks_of_each_path(tmp_path):
    network = TwoPaths(dtype="float32")
    x, y = samples(network, 80)
    audit = analyze(network, x, y, data=ABOUT)
    assert [(layer.layer, layer.path) for layer in audit.layers] == [
        (number, "a" if number < 4 else "b") for number in range(1, 8)
    ]
    assert [layer.name for layer in audit.layers] == [block.name for block in network.blocks]
    assert [layer.width for layer in audit.layers] == [5] * 3 + [7] * 4
    assert [layer.position for layer in audit.layers if layer.layer in (3, 7)] == pytest.approx([1.0, 1.0])
    first, second = audit.per_path()
    assert (first.first_layer, first.last_layer, second.first_layer, second.last_layer) == (1, 3, 4, 7)
    assert (first.effective_depth, second.effective_depth) == (1.0, 2.0)
    lengths = [path.summary["path_length"] for path in (first, second)]
    assert audit.summary["path_length"] == pytest.approx(sum(lengths)) and audit.bounds is None and first.bounds
    assert audit.bottleneck_rank.verdict.startswith("a: ") and "; b: " in audit.bottleneck_rank.verdict
    assert (
        len(second.projection["coordinates"]) == 5 and audit.projection is None and "paths" in audit.undefined["bounds"]
    )
    audit.save(tmp_path / "audit.json")
    assert Audit.load(tmp_path / "audit.json") == audit
    jsonschema.validate(audit.to_dict(), audit_schema())


def test_shards_of_a_network_with_two_paths_merge(tmp_path):
    network = TwoPaths(dtype="float32")
    x, y = samples(network, 40)
    for number in (1, 2):
        analyze_part(network, x, y, (number, 2), data=ABOUT).save(tmp_path / f"{number}.npz")
    merged = merge_parts([AuditPart.load(tmp_path / f"{number}.npz") for number in (2, 1)])
    whole = analyze(network, x, y, data=ABOUT)
    assert [path.name for path in merged.per_path()] == ["a", "b"]
    for one, two in zip(merged.layers, whole.layers, strict=True):
        assert one.hamiltonian == pytest.approx(two.hamiltonian, rel=1e-6, abs=1e-9)
        assert one.cost_of_identity == pytest.approx(two.cost_of_identity, rel=1e-6)


def test_two_paths_can_be_drawn(tmp_path):
    network = TwoPaths(dtype="float32")
    audit = analyze(network, *samples(network, 80), data=ABOUT)
    drawn = panels_of(audit)
    assert set(drawn) <= set(PANELS) and {"dimension", "energies", "projection", "criticality"} <= set(drawn)
    for panel in drawn:
        figure = plot_panel(audit, panel)
        axes = figure.axes[0]
        if axes.get_xlabel().startswith("p, position"):
            assert axes.get_xlim()[1] > 2
    write_report(audit, tmp_path / "audit.html")
    assert "a: " in (tmp_path / "audit.html").read_text()


@pytest.mark.parametrize("kind", ["units", "images"])
def test_the_negative_share_is_that_of_the_representations(kind):
    network = TwoPaths(kind == "images", dtype="float32")
    x, y = samples(network)
    audit = analyze(network, x, y)
    path = [ops.convert_to_numpy(a).astype(float) for a in network.representations(x)]
    expected = [np.sum(np.minimum(a, 0) ** 2) / np.sum(a**2) for a in path]
    assert audit.input["negative_share"] == pytest.approx(expected[0], rel=1e-4)
    assert [layer.negative_share for layer in audit.layers] == pytest.approx([*expected[1:4], *expected[5:]], rel=1e-4)

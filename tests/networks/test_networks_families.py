"""Every family, every task: build, save, load, compose, fine-tune, and refuse what cannot be built."""

import inspect
import json

import keras
import numpy as np
import pytest
from families import EXAMPLES, KINDS, samples
from keras import ops

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import TASKS, LeakyConvNet, LeakyMLP, StandardizedMeanSquaredError

random = np.random.default_rng(0)


def network(kind, task="classification", **changes):
    arguments = {"depth": 4, "weight_decay": 1e-2, "input_mean": 1.0, **changes}
    return EXAMPLES[kind].make(task, **arguments)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", KINDS)
def test_save_and_load_is_bit_identical(kind, task, tmp_path):
    net = network(kind, task, schedule={"name": "irregular", "amplitude": 1.0})
    x, _ = samples(net)
    net.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras", safe_mode=True)
    assert type(loaded) is EXAMPLES[kind].cls and loaded.config == net.config
    np.testing.assert_array_equal(ops.convert_to_numpy(loaded(x)), ops.convert_to_numpy(net(x)))
    json.dumps(net.get_config())


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", KINDS)
def test_representations_and_head_compose(kind, task):
    net = network(kind, task)
    x, _ = samples(net)
    found = [ops.convert_to_numpy(each) for each in net.representations(x)]
    assert len(found) == 5 * len(net.paths) and len(net.blocks) == 4 * len(net.paths)
    before = x
    for place, path in enumerate(net.paths):
        own = found[5 * place : 5 * place + 5]
        np.testing.assert_allclose(ops.convert_to_numpy(path.entry(before)), own[0], rtol=1e-5, atol=1e-6)
        for row, (block, step) in enumerate(path.steps):
            after = block(own[row], step_size=step)
            np.testing.assert_allclose(ops.convert_to_numpy(after), own[row + 1], rtol=1e-5, atol=1e-6)
        before = own[-1]
    np.testing.assert_allclose(
        ops.convert_to_numpy(net.head(before)), ops.convert_to_numpy(net(x)), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_objective_is_loss_plus_penalty(kind, task):
    net = network(kind, task, io_weight_decay=0.03)
    x, y = samples(net)
    loss = float(net.loss_function()(y, net(x)))
    steps = [step for path in net.paths for step in path.steps]
    norms = sum(rho * np.linalg.norm(block.weight_matrix) ** 2 for block, rho in steps)
    ends = sum(np.sum(np.square(w)) for layer in ends_of(net) for w in layer.get_weights())
    expected = 1e-2 / 2 * norms + 0.03 / 2 * ends
    assert float(net.penalty()) == pytest.approx(expected, rel=1e-5)
    net.compile("sgd", net.loss_function(), run_eagerly=True)
    assert net.evaluate(x, y, verbose=0) == pytest.approx(loss + expected, rel=1e-5)


def ends_of(net):
    """The layers of stem and head that have weights of their own."""
    steps = {path.step_size_layer.name for path in net.paths}
    inside = {"normalize", "denormalize", *steps, *(block.name for block in net.blocks)}
    return [layer for layer in net.layers if layer.weights and layer.name not in inside]


@pytest.mark.parametrize("kind", KINDS)
def test_training_lowers_the_objective(kind):
    keras.utils.set_random_seed(0)
    net = network(kind, "classification", schedule="learnable")
    x, y = samples(net, 32)
    compiled = keras.backend.backend() == "jax"  # as by default; op by op its compiler is called three times as long
    net.compile(keras.optimizers.Adam(0.01), net.loss_function(), jit_compile=compiled)
    rho = net.paths[0].step_sizes
    losses = net.fit(x, y, epochs=6, verbose=0).history["loss"]  # a batch each: of the weights before its step
    assert losses[-1] < losses[0]
    moved = net.paths[0].step_sizes
    assert not np.allclose(moved, rho) and moved.sum() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_new_head_keeps_the_path(kind, frozen):
    net = network(kind, "autoencoding")
    tuned = net.with_new_head(3, class_names=["a", "b", "c"], freeze_path=frozen)
    assert tuned.task.name == "classification" and tuned.output_shape == (None, 3)
    before = [block.weight_matrix for block in tuned.blocks]
    for old, new in zip(net.blocks, before, strict=True):
        np.testing.assert_array_equal(old.weight_matrix, new)
    x, _ = samples(net)
    tuned.compile("sgd", tuned.loss_function(), jit_compile=False)
    tuned.fit(x, random.integers(0, 3, len(x)), verbose=0)
    moved = [not np.array_equal(b.weight_matrix, old) for b, old in zip(tuned.blocks, before, strict=True)]
    assert not any(moved) if frozen else all(moved)


def test_raw_units_in_and_out():
    net = LeakyMLP((2,), 1, task="regression", width=3, depth=4, input_mean=[100.0, 0.0], input_variance=[25.0, 1e-4],
                   output_mean=50.0, output_variance=9.0)  # fmt: skip
    plain = LeakyMLP((2,), 1, task="regression", width=3, depth=4)
    plain.set_weights(net.get_weights())
    z = random.normal(size=(5, 2)).astype("float32")
    raw = np.array([100.0, 0.0]) + z * np.array([5.0, 0.01])
    np.testing.assert_allclose(net.predict(raw, verbose=0), 50 + 3 * plain.predict(z, verbose=0), rtol=1e-3, atol=1e-3)
    loss = StandardizedMeanSquaredError(9.0)
    assert float(loss(np.array([[50.0]]), np.array([[53.0]]))) == pytest.approx(1.0)


def test_mixed_precision_keeps_raw_inputs_and_logits_exact():
    net = network("mlp", dtype="mixed_bfloat16")
    assert keras.backend.standardize_dtype(net(samples(net)[0]).dtype) == "float32"
    assert net.get_layer("normalize").compute_dtype == "float32"
    assert net.blocks[0].compute_dtype == "bfloat16" and net.paths[0].step_sizes.sum() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.tensorflow_only
def test_astype_keeps_the_function():
    net = network("mlp", "regression")
    x, y = samples(net)
    twin = net.astype("float64")
    np.testing.assert_allclose(twin.predict(x, verbose=0), net.predict(x, verbose=0), rtol=1e-4, atol=1e-4)
    twin.compile("adam", twin.loss_function(), jit_compile=False)
    twin.fit(x, y, verbose=0)  # penalties in float64 beside a loss that Keras keeps in float32


def test_summary_names_the_blocks(capsys):
    network("mlp", "classification").summary(line_length=100)
    text = capsys.readouterr().out
    assert "block_4 (LeakyDense)" in text and "step_sizes (StepSizes)" in text


@pytest.mark.parametrize("kind", KINDS)
def test_golden_order_of_weights(kind):
    net = network(kind)
    names = [weight.path for weight in net.weights]
    prefixes = ["stage_1_", "stage_2_"] if kind == "resnet" else [""]
    blocks = [
        f"{prefix}block_{n}/{weight}"
        for prefix in prefixes
        for n in range(1, 5)
        for weight in ("kernel", "bias", "penalty_factor")
    ]
    steps = {f"{prefix}step_sizes/values" for prefix in prefixes}
    ends = {weight.path for layer in ends_of(net) for weight in layer.weights}
    assert {"stem/kernel", "stem/bias", "head/kernel", "head/bias"} <= ends
    assert {name for name in names if not name.startswith("normalize")} == {*steps, *blocks, *ends}
    order = [name for name in names if name in blocks]
    assert order == blocks


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "ranking"}, "ranking"),
        ({"output_size": None}, "output_size=None"),
        ({"output_size": 0}, "output_size=0"),
        ({"task": "autoencoding", "output_size": 5}, "output_size=5"),
        ({"width": 0}, "width=0"),
        ({"width": "64"}, "`width` must be a whole number. Received: width='64'"),
        ({"depth": 12.5}, "`depth` must be a whole number. Received: depth=12.5"),
        ({"input_shape": (4.5,)}, "input_shape"),
        ({"effective_depth": float("nan")}, "effective_depth=nan"),
        ({"effective_depth": "3"}, "effective_depth='3'"),
        ({"use_bias": "no"}, "use_bias='no'"),
        ({"input_mean": "much"}, "input_mean='much'"),
        ({"input_variance": [1.0, 2.0]}, "`input_variance` is a number, or 4"),
        ({"output_mean": 3.0}, "Logits have no units"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0"),
        ({"depth": 3, "effective_depth": 7.0}, "depth >= 8"),
        ({"class_names": ["one"]}, "class_names"),
        ({"step_size_trace": [{"step": 1, "step_sizes": [0.5, 0.5], "accepted": True}]}, "6 `step_sizes`"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        LeakyMLP(**{"input_shape": (4,), "output_size": 3, "width": 4, "depth": 6, "effective_depth": 1.0, **arguments})


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: LeakyMLP((4,), 3, widht=256),
        lambda: LeakyMLP((4,), 3, kernel_size=3),
        lambda: LeakyConvNet((6, 6, 1), 3, stem_sise=3),
        lambda: LeakyMLP((4,), 3).with_new_head(5, freze_path=True),
        lambda: LeakyMLP.from_config({**LeakyMLP((4,), 3).get_config(), "dept": 3}),
    ],
)
def test_arguments_that_do_not_exist_are_refused(wrong):
    with pytest.raises(TypeError, match=r"takes no argument '(widht|kernel_size|stem_sise|freze_path|dept)'"):
        wrong()


def test_the_nearest_argument_is_named_and_all_are_in_the_signature():
    with pytest.raises(TypeError, match="did you mean 'width'"):
        LeakyMLP((4,), 3, widht=256)
    with pytest.raises(TypeError, match="did you mean 'freeze_path'"):
        LeakyMLP((4,), 3).with_new_head(5, freze_path=True)
    assert {"stem_size", "width", "task", "dtype"} <= set(inspect.signature(LeakyConvNet).parameters)


def test_numbers_of_numpy_are_numbers():
    net = LeakyMLP((np.int64(4),), np.int32(3), width=np.int64(5), effective_depth=np.float32(2), input_mean=np.ones(4))
    assert json.loads(json.dumps(net.get_config()))["width"] == 5 and net.config.input_shape == (4,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": (4,)}, "an image of 3 axes or a signal of 2"),
        ({"stem_stride": 0}, "stem_stride=0"),
        ({"task": "autoencoding", "output_size": None, "stem_stride": 4}, "stem_stride=4"),
    ],
)
def test_bad_images_are_named(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        LeakyConvNet(**{"input_shape": (6, 6, 1), "output_size": 3, "data_format": "channels_last", **arguments})


@pytest.mark.parametrize("kind", KINDS)
def test_weights_files_are_byte_stable(kind, tmp_path):
    net = network(kind, "classification")
    net.save_weights(tmp_path / "a.weights.h5")
    twin = EXAMPLES[kind].cls.from_config(net.get_config())
    twin.load_weights(tmp_path / "a.weights.h5")
    twin.save_weights(tmp_path / "b.weights.h5")
    assert (tmp_path / "a.weights.h5").read_bytes() == (tmp_path / "b.weights.h5").read_bytes()

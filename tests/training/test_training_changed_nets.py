"""Training that goes on with a network whose layers were changed: frozen, of another dtype, with LoRA."""

import keras
import numpy as np
import pytest

from leaky_zoo.networks import LeakyConvNet, LeakyMLP
from leaky_zoo.training import StepCallback, train
from leaky_zoo.zoo import load_model

pytestmark = pytest.mark.tensorflow_only


class FreezeAt(StepCallback):
    """Freezes some layers as training begins, and ends the process at a step."""

    def __init__(self, cut=None):
        super().__init__()
        self.at = cut

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self.model.get_layer("stem").trainable = False
        self.model.blocks[1].trainable = False
        self.model.blocks[2].name = "mine"

    def next_stop(self, step):
        return self.at if self.at is not None and step < self.at else None

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if self.step == self.at:
            raise SystemExit


def test_a_run_whose_net_is_changed_resumes_to_the_same_bits(tmp_path, recipe, assert_same_run):
    plan = recipe(checkpoint_every=4)
    train(plan, tmp_path / "whole", callbacks=[FreezeAt()])
    for step in (6, 17):
        with pytest.raises(SystemExit):
            train(plan, tmp_path / "cut", resume=True, callbacks=[FreezeAt(step)])
    network, _ = train(plan, tmp_path / "cut", resume=True, callbacks=[FreezeAt()])
    assert_same_run(tmp_path / "whole", tmp_path / "cut")
    for found in (network, load_model(tmp_path / "cut/model.keras"), train(plan, tmp_path / "cut", resume=True)[0]):
        assert [layer.name for layer in found.blocks if not layer.trainable] == ["block_2"]
        assert not found.get_layer("stem").trainable and found.blocks[2].name == "mine"


def frozen(net):
    net.blocks[0].trainable = False
    net.get_layer("stem").trainable = False


def of_other_dtypes(net):
    net.blocks[1].dtype_policy = "mixed_bfloat16"
    net.blocks[2].dtype_policy = "bfloat16"


def with_lora(net):
    net.get_layer("head").enable_lora(2)
    frozen(net)


def new_head(net):
    return net.with_new_head(3, freeze_path=True)


@pytest.mark.parametrize(
    ("family", "change"),
    [(LeakyMLP, frozen), (LeakyMLP, of_other_dtypes), (LeakyConvNet, of_other_dtypes), (LeakyMLP, with_lora),
     (LeakyConvNet, new_head)],
)  # fmt: skip
def test_fit_goes_on_with_a_loaded_net_as_if_it_had_not_been_saved(family, change, tmp_path):
    keras.utils.set_random_seed(0)
    shape = (6, 6, 2) if family is LeakyConvNet else (6,)
    net = family(shape, 3, width=5, depth=4, effective_depth=1.0, weight_decay=1e-3)
    net = change(net) or net
    random = np.random.default_rng(0)
    x, y = random.normal(size=(24, *shape)).astype("float32"), random.integers(0, 3, 24)
    net.compile(keras.optimizers.Adam(0.01), net.loss_function(), metrics=["accuracy"], jit_compile=False)
    how = {"batch_size": 8, "shuffle": False, "verbose": 0}
    net.fit(x, y, epochs=1, **how)
    net.save(tmp_path / "half.keras")
    loaded = load_model(tmp_path / "half.keras", compile=True)
    assert len(loaded.trainable_weights) == len(net.trainable_weights)
    assert [layer.dtype_policy.name for layer in loaded.layers] == [layer.dtype_policy.name for layer in net.layers]
    if change is with_lora:  # Keras adds LoRA's product to the kernel when it saves, and starts a new one
        np.testing.assert_allclose(loaded(x), net(x), atol=1e-5)
        return
    whole, resumed = (each.fit(x, y, initial_epoch=1, epochs=2, **how).history["loss"] for each in (net, loaded))
    assert resumed == whole
    pairs = zip(loaded.variables + loaded.optimizer.variables, net.variables + net.optimizer.variables, strict=True)
    for one, other in pairs:
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other), one.path)

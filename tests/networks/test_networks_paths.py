"""Networks of several paths: what leads into each, updates of all of them, and one penalty."""

import keras
import numpy as np
import pytest

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.layers import LeakyDense, get_schedule
from leaky_zoo.networks import LeakyMLP, LeakyNetwork, NetworkConfig, PathPlan


class TwoPathsConfig(NetworkConfig):
    """Two paths of `depth` each."""

    @property
    def total_depth(self):
        return 2 * self.depth


class TwoPaths(LeakyNetwork):
    """Two dense paths, the second half as wide, joined by a dense layer."""

    config_class = TwoPathsConfig

    def _plans(self, schedule):
        return [PathPlan(self.config.depth, self.config.effective_depth, schedule, f"stage_{n}_") for n in (1, 2)]

    def _stem(self, inputs, arguments):
        return keras.layers.Dense(self.config.width, dtype=arguments.dtype, name="stem")(inputs)

    def _transition(self, inputs, place, arguments):
        return keras.layers.Dense(self.config.width // 2, dtype=arguments.dtype, name=f"transition_{place}")(inputs)

    def _block(self, **arguments):
        return LeakyDense(**arguments)

    def _head(self, inputs, arguments):
        return keras.layers.Dense(self.config.output_size, dtype=arguments.exact, name="head")(inputs)


@pytest.fixture
def network():
    keras.utils.set_random_seed(0)
    fields = {"schedule": {"name": "hamiltonian", "interval": 5, "keeps_function": True, "tolerance": 0.9}}
    return TwoPaths((5,), 3, width=8, depth=4, effective_depth=1.5, weight_decay=1e-2, **fields)


def test_every_path_has_its_entry_blocks_and_steps(network):
    first, second = network.paths
    assert (first.width, second.width, first.depth, second.depth) == (8, 4, 4, 4)
    assert [block.name for block in network.blocks] == [f"stage_{s}_block_{n}" for s in (1, 2) for n in range(1, 5)]
    x = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
    found = [keras.ops.convert_to_numpy(a) for a in network.representations(x)]
    assert [a.shape[-1] for a in found] == [8] * 5 + [4] * 5
    np.testing.assert_allclose(keras.ops.convert_to_numpy(first.entry(x)), found[0], rtol=1e-5)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(second.entry(found[4])), found[5], rtol=1e-5, atol=1e-6)
    head = keras.ops.convert_to_numpy(network.head(found[-1]))
    np.testing.assert_allclose(head, keras.ops.convert_to_numpy(network(x)), rtol=1e-5, atol=1e-6)


def test_the_penalty_is_the_sum_over_the_paths(network):
    norms = [rho * np.linalg.norm(block.weight_matrix) ** 2 for path in network.paths for block, rho in path.steps]
    assert len(norms) == 8 and float(network.penalty()) == pytest.approx(1e-2 / 2 * sum(norms), rel=1e-5)


@pytest.mark.tensorflow_only
def test_updates_move_every_path_and_keep_the_function(network):
    from leaky_zoo.training import StepSizeUpdate
    from leaky_zoo.training.step_size_update import measure_paths

    x = np.random.default_rng(0).normal(size=(60, 5)).astype("float32")
    expected = [keras.ops.convert_to_numpy(a) for a in network.representations(x)]
    measured = [a for path in measure_paths(network, x) for a in path.representations]
    for ours, theirs in zip(measured, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    before, old = network.predict(x, verbose=0), [path.step_sizes for path in network.paths]
    updates = StepSizeUpdate(x, 100)
    updates.set_model(network)
    updates.on_train_begin()
    assert updates.next_stop(3) == 5
    updates.update([True, False])
    np.testing.assert_array_equal(network.paths[1].step_sizes, old[1])
    updates.update()
    updates.on_train_end()
    assert all(not np.allclose(path.step_sizes, steps) for path, steps in zip(network.paths, old, strict=True))
    change = np.linalg.norm(network.predict(x, verbose=0) - before) / np.linalg.norm(before)
    assert change < 0.1 and all(entry["accepted"] for entry in updates.trace)
    assert [len(entry["step_sizes"]) for entry in updates.trace] == [8, 8]


def test_one_path_keeps_the_names_of_its_layers():
    (path,) = LeakyMLP((4,), 2, width=3, depth=5).paths
    assert (path.name, path.step_size_layer.name, path.blocks[0].name) == ("path", "step_sizes", "block_1")
    with pytest.raises(InvalidInputError, match="depth >= "):
        LeakyMLP((4,), 2, depth=2, effective_depth=7.0, schedule=get_schedule("equidistant"))

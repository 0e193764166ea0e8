"""Samples and labels of Python are read for a network as files are: in any form, in any container."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from leaky_zoo import analyze, evaluate_network, load_data
from leaky_zoo.data.for_network import labels_for, samples_for
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import LeakyMLP

pytestmark = pytest.mark.tensorflow_only  # containers of TensorFlow
RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(60, 8)).astype("float32"), RANDOM.integers(0, 3, 60)
NAMES = ["cat", "dog", "owl"]


def network(**changes):
    return LeakyMLP((8,), 3, width=6, depth=4, effective_depth=1.0, weight_decay=1e-3, **changes)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, place):
        return X[15 * place : 15 * place + 15], Y[15 * place : 15 * place + 15]


FORMS = {
    "a column": Y[:, None],
    "whole floats": Y.astype(float),
    "one-hot": np.eye(3)[Y],
    "one-hot bools": np.eye(3, dtype=bool)[Y],
    "names": np.array(NAMES)[Y],
    "names as objects": np.array(NAMES, object)[Y],
    "a list of names": [NAMES[label] for label in Y],
    "bytes": np.array(NAMES, "S")[Y],
    "a series of names": pd.Series(np.array(NAMES)[Y]),
    "a frame of one column": pd.DataFrame({"y": Y}),
    "a tensor": tf.constant(Y),
    "small integers": Y.astype("uint8"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_labels_in_any_form(form):
    net = network(class_names=NAMES)
    assert evaluate_network(net, X, form) == evaluate_network(net, X, Y)
    assert analyze(net, X, form).layers == analyze(net, X, Y).layers


def test_labels_that_are_called_numbers():
    """Integers from 0 to k - 1 are places, as `load_data` gives them; others are looked up among the names."""
    net = network(class_names=["1", "2", "3"])
    assert labels_for(net, Y).tolist() == Y.tolist()
    assert labels_for(net, Y + 1).tolist() == Y.tolist()
    with pytest.raises(InvalidInputError, match=r"not among the 3 classes \(1, 2, 3\)\. Received: 7, 8, 9"):
        labels_for(net, Y + 7)


CONTAINERS = {
    "batches": tf.data.Dataset.from_tensor_slices((X, Y)).batch(25),
    "batches of one size": tf.data.Dataset.from_tensor_slices((X, Y)).batch(15, drop_remainder=True),
    "single samples": tf.data.Dataset.from_tensor_slices((X, Y)),
    "names": tf.data.Dataset.from_tensor_slices((X, np.array(NAMES)[Y])).batch(25),
    "a mapping": tf.data.Dataset.from_tensor_slices({"x": X, "y": Y}).batch(25),
    "PyDataset": Batches(),
    "a pair": (X, Y),
    "a pair with a series": (pd.DataFrame(X), pd.Series(Y)),
}


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_samples_in_any_container(container):
    net = network(class_names=NAMES)
    assert evaluate_network(net, container) == evaluate_network(net, X, Y)
    assert analyze(net, container).layers == analyze(net, X, Y).layers


def test_a_regression_and_an_autoencoder():
    net = LeakyMLP((8,), 2, task="regression", width=6, depth=4, effective_depth=1.0)
    targets = X[:, :2]
    assert evaluate_network(net, X, targets.tolist()) == evaluate_network(net, X, targets)
    assert evaluate_network(net, pd.DataFrame(X), pd.DataFrame(targets)) == evaluate_network(net, X, targets)
    coder = LeakyMLP((8,), task="autoencoding", width=6, depth=4, effective_depth=1.0)
    pairs = tf.data.Dataset.from_tensor_slices((X, X))
    assert evaluate_network(coder, pairs) == evaluate_network(coder, X) == evaluate_network(coder, pairs.batch(20))


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (load_data((X, Y)), None, "A data set has splits"),
        (X, np.array(["cat", "wolf", "owl"])[Y], r"not among the 3 classes \(cat, dog, owl\)\. Received: wolf"),
        (X, np.eye(4)[Y], "one-hot over 4 classes; the network has 3"),
        (X, Y - 1, r"not among the 3 classes .*Received: -1$"),
        (X[:, :5], Y, r"samples of shape \(8,\)"),
        (X, Y[:9], "equally many"),
        (X.astype(str), Y, "array of numbers"),
    ],
)
def test_what_is_none_of_it_is_refused(x, y, words):
    with pytest.raises(InvalidInputError, match=words):
        samples_for(network(class_names=NAMES), x, y)


IMAGES, SIGNALS = np.zeros((6, 5, 5, 1)), np.zeros((6, 5, 2))
SHAPES = {
    "images alone": (IMAGES, 0, (6, 5, 5, 1)),
    "images alone, batched": (IMAGES, 3, (6, 5, 5, 1)),
    "signals with labels": ((SIGNALS, np.arange(6)), 0, (6, 5, 2)),
    "signals with labels, batched": ((SIGNALS, np.arange(6)), 3, (6, 5, 2)),
    "vectors with vectors": ((np.zeros((6, 5)), np.zeros((6, 5))), 0, (6, 5)),
    "images with images, batched": ((IMAGES, IMAGES), 3, (6, 5, 5, 1)),
}


@pytest.mark.parametrize(("arrays", "batch", "shape"), SHAPES.values(), ids=SHAPES)
def test_a_tf_dataset_is_read_as_it_is_batched(arrays, batch, shape):
    data = tf.data.Dataset.from_tensor_slices(arrays)
    data = data.batch(batch, drop_remainder=True) if batch else data
    assert load_data(data, task="autoencoding").splits["train"][0].shape[1:] == shape[1:]


def test_a_tf_dataset_that_could_be_either_is_a_question():
    data = tf.data.Dataset.from_tensor_slices((IMAGES, IMAGES))
    with pytest.raises(InvalidInputError, match="may be batches of 5 or single samples"):
        load_data(data)

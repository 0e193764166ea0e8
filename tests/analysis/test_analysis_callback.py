"""The callback: rows, events and the live table, from a real `fit`."""

import csv

import keras
import numpy as np
import pytest

from leaky_zoo.analysis import AuditCallback
from leaky_zoo.analysis.callback import FIELDS, live_table
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import LeakyMLP


@pytest.fixture
def net():
    keras.utils.set_random_seed(0)
    network = LeakyMLP((4,), 2, width=6, depth=5, effective_depth=2.0, weight_decay=1e-3)
    network.compile(keras.optimizers.Adam(1e-2), network.loss_function())
    return network


@pytest.fixture
def samples():
    random = np.random.default_rng(0)
    return random.normal(size=(64, 4)).astype("float32"), random.integers(0, 2, 64)


def test_rows_and_events_hold_the_audits(net, samples, tmp_path, capsys):
    watch = AuditCallback(*samples, every=2, csv=tmp_path / "energies.csv", tensorboard=tmp_path / "events", live=True)
    net.fit(*samples, epochs=4, verbose=0, callbacks=[watch])
    assert [epoch for epoch, _ in watch.audits] == [0, 2, 4]
    rows = list(csv.DictReader((tmp_path / "energies.csv").read_text().splitlines()))
    assert len(rows) == 3 * 5 and set(rows[0]) == {"epoch", "layer", *FIELDS}
    last = watch.audits[-1][1].layers[2]
    assert float(rows[-3]["cost_of_identity"]) == last.cost_of_identity
    assert float(rows[-3]["hamiltonian"]) == last.hamiltonian
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    tags = events.Tags()
    series = [tag for kind in ("scalars", "tensors") for tag in tags[kind]]
    assert "kinetic_energy/layer_03" in series and "criticality_residual/layer_05" in series
    read = events.Scalars if "kinetic_energy/layer_03" in tags["scalars"] else events.Tensors
    assert [event.step for event in read("kinetic_energy/layer_03")] == [0, 2, 4]
    shown = capsys.readouterr().out
    assert "epoch 4" in shown and "criticality" in shown


def test_without_targets_the_momenta_are_left_out(net, samples):
    watch = AuditCallback(samples[0])
    net.fit(*samples, epochs=1, verbose=0, callbacks=[watch])
    first = watch.audits[0][1].layers[0]
    assert first.hamiltonian is None and first.kinetic_energy > 0


def test_the_table_has_a_row_for_each_layer(net, samples):
    watch = AuditCallback(*samples)
    watch.set_model(net)
    table = live_table(3, watch.audit(3))
    assert table.row_count == 5 and "epoch 3" in table.title


def test_bad_input_is_named(samples):
    with pytest.raises(InvalidInputError, match="every=0"):
        AuditCallback(*samples, every=0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(InvalidInputError, match=r"AuditCallback needs a LeakyConvNet or .* Received: Sequential"):
        model.fit(samples[0], samples[0][:, :1], verbose=0, callbacks=[AuditCallback(*samples)])

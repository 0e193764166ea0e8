"""The drift monitor: its sums, its p-values, what it says."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest

from leaky_zoo.deploy.build import build_onnx
from leaky_zoo.deploy.reference import add_reference
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import LeakyConvNet
from leaky_zoo.runtime import DriftMonitor, describe_onnx, load, verify_onnx
from leaky_zoo.runtime.calibration import make_reference
from leaky_zoo.runtime.drift import BatchMoments, Reference, upper_tail


def test_the_extra_output_is_what_it_says(network, watching_file, samples):
    model, x = load(watching_file), samples(40, seed=9)
    outputs, rows = model.predict_with_bottleneck(x)
    np.testing.assert_array_equal(outputs, model.predict(x))
    reference = model.metadata["leaky_zoo.reference"]
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(watching_file).graph.initializer}
    mean, basis = (arrays[reference["initializers"][name]] for name in ("mean", "basis"))
    import keras

    block = network.blocks[reference["layer"] - 1]
    a = keras.Model(network.input, block.output).predict(x.astype("float32"), verbose=0) - mean
    np.testing.assert_allclose(rows[:, :-1], a @ basis, atol=1e-4 * np.abs(a).max())
    outside = ((a - a @ basis @ basis.T) ** 2).sum(-1)
    np.testing.assert_allclose(rows[:, -1], outside, rtol=1e-3, atol=1e-5 * (a**2).sum(-1).max())
    assert describe_onnx(watching_file)["outputs"]["bottleneck"] == ["batch", reference["directions"] + 1]
    assert verify_onnx(watching_file).passed


def test_moments_add_up_and_do_not_grow():
    rows = np.abs(np.random.default_rng(0).normal(size=(50, 4)))
    parts = [BatchMoments.of(rows[at : at + 7], 1e-9) for at in range(0, 50, 7)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    whole = BatchMoments.of(rows, 1e-9)
    assert total.count == whole.count == 50
    np.testing.assert_allclose(total.products, whole.products)
    assert total.products.shape == (3, 3)
    assert total.log_energy == pytest.approx(whole.log_energy)


def test_statistics_do_not_depend_on_the_coordinates_chosen():
    random = np.random.default_rng(1)
    rows = np.abs(random.normal(size=(400, 4))) + random.normal(size=4) ** 2
    change = random.normal(size=(3, 3))
    turned = np.concatenate([rows[:, :3] @ change + 5, rows[:, 3:]], axis=1)
    found = []
    for values in (rows, turned):
        reference = Reference.from_dict(make_reference(values[:200], "b", sizes=(1, 20)))
        found.append(reference.statistics(BatchMoments.of(values[:20], reference.scale.floor)))
    for name in ("shift", "spread"):
        assert found[0][name] == pytest.approx(found[1][name], rel=1e-4)


def test_p_values_of_clean_batches_are_uniform_and_small_on_drift(watching_file, samples):
    model = load(watching_file)
    for batch in (1, 30, 100):
        monitor = DriftMonitor(model, batch=batch)
        clean = monitor.watch(model.predict_with_bottleneck(samples(200 * batch, seed=11))[1])
        p = np.array([verdict.p_value for verdict in clean])
        assert len(p) == 200
        # Three standard deviations of a share of 200, and what 3,000 samples leave unknown.
        assert abs((p < 0.05).mean() - 0.05) < 0.06
        assert abs((p < 0.5).mean() - 0.5) < 0.15
    monitor = DriftMonitor(model, batch=30)
    moved = monitor.watch(model.predict_with_bottleneck(samples(300, seed=12, moved=1.0))[1])
    assert all(verdict.drift and verdict.p_value < 1e-3 for verdict in moved)
    assert monitor.summary()["drift"]


@pytest.mark.parametrize("level", [0.001, 0.003, 0.05, 0.2])
def test_one_batch_is_judged_by_itself(level, watching_file, samples):
    model = load(watching_file)
    for moved in (0.0, 2.0):
        monitor = DriftMonitor(model, batch=50, level=level)
        (verdict,) = monitor.watch(model.predict_with_bottleneck(samples(60, seed=12, moved=moved))[1])
        summary = monitor.summary()
        assert summary["drift"] == verdict.drift == (verdict.p_value < level)
        assert summary["p_value"] == verdict.p_value and summary["alarms"] == verdict.drift
        assert verdict.drift or moved == 0.0
    assert DriftMonitor(model, batch=50).summary()["p_value"] == 1.0


def test_batches_do_not_depend_on_how_samples_come(watching_file, samples):
    model, x = load(watching_file), samples(100, seed=4)
    whole, pieces = DriftMonitor(model, batch=40), DriftMonitor(model, batch=40)
    whole.predict(x)
    for at in range(0, 100, 7):
        pieces.predict(x[at : at + 7])
    assert whole.summary() == pieces.summary()
    assert whole.summary()["samples"] == 100
    assert whole.summary()["batches"] == 2
    assert whole.last.p_value == pytest.approx(pieces.last.p_value, rel=1e-3)


def test_threads_share_a_monitor(watching_file, samples):
    monitor = DriftMonitor(load(watching_file), batch=10)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda seed: monitor.predict(samples(7, seed=seed)), range(100)))
    assert monitor.summary()["samples"] == 700
    assert monitor.summary()["batches"] == 70


def test_prometheus_text_and_log_line(watching_file, samples):
    monitor = DriftMonitor(load(watching_file), batch=10, level=0.2)
    number = r"(NaN|[-+0-9.e]+)"
    lines = rf"(# (HELP|TYPE) leaky_zoo_monitor_\w+ .+\n|leaky_zoo_monitor_\w+ {number}\n)+"
    assert re.fullmatch(lines, monitor.prometheus_text())
    assert "leaky_zoo_monitor_p_value NaN\n" in monitor.prometheus_text()
    monitor.predict(samples(25))
    text = monitor.prometheus_text()
    assert re.fullmatch(lines, text)
    assert "leaky_zoo_monitor_samples_total 25\n" in text
    assert "leaky_zoo_monitor_batches_total 2\n" in text
    line = monitor.last.line()
    assert "\n" not in line
    assert re.match(
        r"(ok|DRIFT) batch=2 samples=10 p=\S+ distance=\S+ energy=\S+ p_shift=\S+ p_spread=\S+ p_energy=", line
    )


def test_images_have_a_reference_too(tmp_path):
    random = np.random.default_rng(0)
    network = LeakyConvNet((8, 8, 1), 3, width=6, depth=5, effective_depth=2.0)
    for variable in network.trainable_variables:
        variable.assign(variable.numpy() + 0.1 * random.normal(size=variable.shape))
    model = build_onnx(network)
    value = add_reference(model, random.normal(size=(400, 8, 8, 1)).astype("float32"), directions=3)
    assert value["directions"] == 3
    onnx.checker.check_model(model, full_check=True)
    assert model.graph.output[-1].name == "bottleneck"


def test_what_cannot_be_a_reference_is_refused(network, samples):
    model, data = build_onnx(network), samples(400).astype("float32")
    before = model.SerializeToString()
    for arguments in ({"directions": 0}, {"directions": 16}, {"directions": 2.5}, {"tensors": ["nowhere"]}):
        with pytest.raises(InvalidInputError, match="Received"):
            add_reference(model, data, **arguments)
    with pytest.raises(InvalidInputError, match="needs at least"):
        add_reference(model, data[:50], directions=2)
    with pytest.raises(InvalidInputError, match="needs samples"):
        add_reference(model, data[:3], directions=2)
    assert model.SerializeToString() == before
    flat = np.concatenate([np.repeat(np.arange(100.0)[:, None], 2, 1), np.ones((100, 1))], axis=1)
    with pytest.raises(InvalidInputError, match="span 2 dimensions"):
        make_reference(flat, "b")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda value: value.pop("mean"),
        lambda value: value["mean"].append(1.0),
        lambda value: value.update(directions=0),
        lambda value: value.update(directions=10**9),
        lambda value: value.update(covariance=[[-1.0] * len(value["mean"])] * len(value["mean"])),
        lambda value: value.update(output=3),
        lambda value: value["energy"].update(log_deviation=0),
        lambda value: value["energy"].update(mean=[1.0]),
        lambda value: value["calibration"].update(batches=[3, 2]),
        lambda value: value["calibration"].update(batches=[]),
        lambda value: value["calibration"]["quantiles"].pop("shift"),
        lambda value: value["calibration"]["quantiles"]["shift"][0].reverse(),
        lambda value: value.update(calibration=[]),
    ],
)
def test_a_damaged_reference_is_refused(spoil, watching_file, tmp_path):
    model = onnx.load(watching_file)
    entry = next(entry for entry in model.metadata_props if entry.key == "leaky_zoo.reference")
    value = json.loads(entry.value)
    spoil(value)
    entry.value = json.dumps(value)
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InvalidInputError, match="reference"):
        DriftMonitor(load(tmp_path / "net.onnx"))


def test_arguments_are_checked(plain_file, watching_file):
    model = load(watching_file)
    for arguments in ({"batch": 0}, {"batch": 2.0}, {"batch": True}, {"level": 0}, {"level": 1}, {"level": "a"}):
        with pytest.raises(InvalidInputError, match="Received"):
            DriftMonitor(model, **arguments)
    with pytest.raises(InvalidInputError, match="monitor_data"):
        DriftMonitor(load(plain_file))
    monitor = DriftMonitor(model)
    directions = model.metadata["leaky_zoo.reference"]["directions"]
    for rows in (np.zeros(3), np.zeros((2, directions)), np.full((1, directions + 1), np.nan), [["a"]]):
        with pytest.raises(InvalidInputError, match="rows"):
            monitor.watch(rows)
    assert monitor.watch(np.zeros((0, directions + 1))) == []


def test_the_tail_falls_on():
    quantiles = np.linspace(0, 19, 20)
    p = upper_tail(quantiles, np.array([-1.0, 0.0, 19.0, 25.0, 1e9]))
    assert p[0] == p[1] == 1
    assert 0 < p[4] < p[3] < p[2] <= 0.003


def test_one_number_at_a_time_gives_the_same_tail():
    random = np.random.default_rng(3)
    rows = np.abs(random.normal(size=(400, 3)))
    reference = Reference.from_dict(make_reference(rows, "b", sizes=(1, 20)))
    for count in (1, 7, 20, 500):
        calibration = reference.at(count)
        for name, (quantiles, _) in calibration.tables.items():
            values = np.concatenate([quantiles, random.normal(size=40) ** 2 * 30, [-1, 1e3, 1e9]])
            wanted = upper_tail(np.array(quantiles), values)
            np.testing.assert_allclose([calibration._tail(name, value) for value in values], wanted, rtol=1e-9)

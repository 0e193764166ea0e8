"""Files that watch for drift without being asked, and what their reference was measured on."""

import numpy as np
import pytest

from leaky_zoo.data import Dataset, load_data
from leaky_zoo.deploy import export_model
from leaky_zoo.deploy.build import build_onnx
from leaky_zoo.deploy.reference import add_reference
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import LeakyConvNet, LeakyMLP, LeakyResNet
from leaky_zoo.runtime import DriftMonitor, inspect_onnx, load, verify_onnx
from leaky_zoo.zoo.training_data import TrainingData, held_out

pytestmark = pytest.mark.tensorflow_only
PRESET = "leaky_mlp_optical_digits_l7_equidistant"


def test_a_file_watches_where_its_data_are_at_hand(tmp_path):
    plain, asked, named, refused = (tmp_path / f"{name}.onnx" for name in ("plain", "asked", "named", "refused"))
    assert export_model(PRESET, plain)["monitor"] is None
    assert "leaky_zoo.reference" not in inspect_onnx(plain)
    assert export_model(PRESET, asked, monitor=True)["monitor"] == "optical_digits/fold_0, test"
    assert export_model(PRESET, named, data="optical_digits")["monitor"] == "optical_digits/fold_0, test"
    assert export_model(PRESET, refused, data="optical_digits", monitor=False)["monitor"] is None
    assert asked.stat().st_size - plain.stat().st_size < 20_000

    assert verify_onnx(asked).passed
    model, x = load(asked), load_data("optical_digits").select("test")[0]
    monitor = DriftMonitor(model, batch=100)
    np.testing.assert_array_equal(monitor.predict(x), load(plain).predict(x))
    monitor.predict(np.random.default_rng(0).permuted(x, axis=1))
    assert monitor.last.p_value < 0.001
    reference = inspect_onnx(asked)["leaky_zoo.reference"]
    assert inspect_onnx(named)["leaky_zoo.reference"] == reference
    assert reference["samples"] == len(x) - len(x) // 3


def test_what_cannot_be_watched_is_refused_when_asked_and_left_when_not(tmp_path):
    net = LeakyMLP((4,), 3, width=6, depth=5)
    x, y = np.random.default_rng(0).normal(size=(100, 4)).astype("float32"), np.arange(100) % 3
    np.savez(tmp_path / "few.npz", x=x, y=y, x_test=x, y_test=y)
    net.save(tmp_path / "net.keras")
    given = {"model": tmp_path / "net.keras", "path": tmp_path / "net.onnx", "data": str(tmp_path / "few.npz")}
    assert export_model(**given)["monitor"] is None
    with pytest.raises(InvalidInputError, match="at least 360"):
        export_model(**given, monitor=True)
    with pytest.raises(InvalidInputError, match="monitor=False and monitor_data"):
        export_model(**given, monitor=False, monitor_data=tmp_path / "few.npz")
    with pytest.raises(InvalidInputError, match="leave `monitor` out"):
        export_model(**given, monitor=True, representations=True)


def test_held_out_samples_are_those_that_were_not_trained_on():
    x, y = np.arange(6000, dtype=np.float32)[:, None], np.arange(6000) % 3
    splits = {"train": (x, y), "test": (-x, y)}

    def of(split, splits=splits):
        net = LeakyMLP((1,), 3, width=4, depth=4, dataset={"name": "mine", "split": split})
        return held_out(net, TrainingData(Dataset("mine", None, "classification", splits), split))

    rest, words = of("train[:5000]")
    assert words == "train[5000:]" and rest.min() == 5000 and len(rest) == 1000
    tested, words = of("train")
    assert words == "test" and tested.max() <= 0 and len(tested) == 5000
    assert of("train[:5900]")[1] == "test"  # too few follow
    assert of("train", {"train": (x, y)}) is None
    assert of("train", splits | {"validation": (x + 0.5, y)})[1] == "validation"


@pytest.mark.parametrize(
    "net",
    [
        lambda: LeakyMLP((4,), 3, width=12, depth=5, effective_depth=2.0),
        lambda: LeakyConvNet((6, 4, 2), 3, width=5, depth=5, effective_depth=2.0),
        lambda: LeakyResNet((8, 8, 1), 3, widths=(4, 6), depths=(3, 3), effective_depth=1.0),
    ],
    ids=["mlp", "conv", "stages"],
)
def test_outputs_for_analysis_change_nothing_of_what_is_watched(net):
    network = net()
    data = np.random.default_rng(0).normal(size=(400, *network.config.input_shape)).astype("float32")
    found = []
    for representations in (False, True):
        reference = add_reference(build_onnx(network, representations=representations), data)
        found.append({key: reference[key] for key in ("layer", "gap", "directions", "samples")})
    assert found[0] == found[1] and 1 < found[0]["layer"] < len(network.blocks)


def test_a_path_of_one_direction_has_nothing_outside_of_it():
    network = LeakyMLP((4,), 3, width=1, depth=5, effective_depth=1.0)
    data = np.random.default_rng(0).normal(size=(400, 4)).astype("float32")
    with pytest.raises(InvalidInputError, match="two dimensions or more"):
        add_reference(build_onnx(network), data)


def test_a_reference_in_16_bits_is_measured_as_it_is_kept():
    net = LeakyMLP((4,), 3, width=12, depth=5, effective_depth=2.0)
    data = np.random.default_rng(0).normal(size=(400, 4)).astype("float32")
    found = {}
    for float16 in (False, True):
        model = build_onnx(net)
        value = add_reference(model, data, directions=2, float16=float16)
        held = {each.name: each for each in model.graph.initializer}
        found[float16] = value, sum(len(held[name].raw_data) for name in value["initializers"].values())
    assert found[True][1] * 2 == found[False][1]
    np.testing.assert_allclose(found[True][0]["mean"], found[False][0]["mean"], atol=2e-3)
    np.testing.assert_allclose(found[True][0]["covariance"], found[False][0]["covariance"], rtol=0.02, atol=1e-4)


@pytest.mark.parametrize(("stages", "least", "most"), [((3, 4), 1, 7), ((5,), 1, 5)])
def test_image_nets_are_watched_in_a_layer_that_audits_count_alike(stages, least, most):
    """A staged net has steps of the same name in every stage; the reference names one of them, and its layer."""
    net = LeakyResNet((8, 8, 1), 3, widths=(4,) * len(stages), depths=stages, effective_depth=1.0)
    model = build_onnx(net)
    data = np.random.default_rng(0).normal(size=(120, 8, 8, 1)).astype("float32")
    reference = add_reference(model, data, directions=2)
    blocks = [f"{block.name}/step" for block in net.blocks]
    assert reference["tensor"] == blocks[reference["layer"] - 1]
    assert least < reference["layer"] < most

"""What is misspelt or of another kind is refused, by every public function and class, and by recipes."""

import pickle

import numpy as np
import pytest

import leaky_zoo
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.layers import LeakyConv1D, LeakyConv2D, LeakyDense, StepSizes, get_schedule
from leaky_zoo.networks import LeakyMLP, resample
from leaky_zoo.training import StepSizeUpdate
from leaky_zoo.training.callbacks import PenaltyRamp
from leaky_zoo.zoo import Recipe

pytestmark = pytest.mark.tensorflow_only
NET = LeakyMLP((3,), 2, width=4, depth=4)

MISSPELT = {
    "from_preset": (lambda: leaky_zoo.from_preset("digits", expcted=LeakyMLP), "expected"),
    "list_presets": (lambda: leaky_zoo.list_presets(fliter="mnist"), "filter"),
    "load_data": (lambda: leaky_zoo.load_data("mnist", taks="regression"), "task"),
    "load_model": (lambda: leaky_zoo.load_model("a.keras", nmae="a"), "name"),
    "save_to_preset": (lambda: leaky_zoo.save_to_preset(NET, "a", metrcs={}), "metrics"),
    "evaluate_network": (lambda: leaky_zoo.evaluate_network(NET, [[0.0] * 3], [0], batchsize=1), "batch_size"),
    "export_onnx": (lambda: leaky_zoo.export_onnx(NET, "a.onnx", chek_inputs=None), "check_inputs"),
    "verify_onnx": (lambda: leaky_zoo.verify_onnx("a.onnx", tolerence=1e-3), "tolerance"),
    "inspect_onnx": (lambda: leaky_zoo.inspect_onnx(pathh="a.onnx"), "path"),
    "train": (lambda: leaky_zoo.train({}, "a", resum=True), "resume"),
    "resample": (lambda: resample(NET, 5, schedul="equidistant"), "schedule"),
    "OnnxModel": (lambda: leaky_zoo.OnnxModel("a.onnx", thread=1), "threads"),
    "StepSizes": (lambda: StepSizes(4, 1.0, schedul="equidistant"), "schedule"),
    "LeakyDense": (lambda: LeakyDense(1.0, step_sise=0.1), "step_size"),
    "LeakyConv1D": (lambda: LeakyConv1D(1.0, kernal_size=3), "kernel_size"),
    "LeakyConv2D": (lambda: LeakyConv2D(1.0, use_bais=True), "use_bias"),
    "StepSizeUpdate": (lambda: StepSizeUpdate(np.zeros((2, 3)), total_step=5), "total_steps"),
    "PenaltyRamp": (lambda: PenaltyRamp(10, fractoin=0.1), "fraction"),
}


@pytest.mark.parametrize(("call", "meant"), MISSPELT.values(), ids=MISSPELT)
def test_an_argument_that_does_not_exist_is_named_with_the_nearest(call, meant):
    with pytest.raises(TypeError, match=rf"takes no argument '\w+'; did you mean '{meant}'\?"):
        call()


WRONG = {
    "freeze_path": lambda: NET.with_new_head(5, freeze_path="no"),
    "depth, a fraction": lambda: StepSizes(12.5, 1.0),
    "depth, text": lambda: StepSizes("12", 1.0),
    "effective_depth": lambda: StepSizes(12, "3"),
    "effective_depth of a block": lambda: LeakyDense("7.0"),
    "use_bias": lambda: LeakyDense(1.0, use_bias="no"),
    "kernel_size": lambda: LeakyConv2D(1.0, kernel_size=3.5),
    "stream": lambda: leaky_zoo.load_data("mnist", stream="no"),
    "total_steps, a fraction": lambda: StepSizeUpdate(np.zeros((2, 3)), 10.5),
    "total_steps, text": lambda: StepSizeUpdate(np.zeros((2, 3)), "10"),
    "total_steps of a ramp": lambda: PenaltyRamp(10.5),
    "fraction": lambda: PenaltyRamp(10, fraction="0.1"),
    "depth to resample to": lambda: resample(NET, 9.5),
    "gamma_0": lambda: leaky_zoo.analyze(NET, np.zeros((3, 3)), gamma_0="3"),
    "clarke": lambda: leaky_zoo.analyze(NET, np.zeros((3, 3)), clarke="no"),
    "tolerance": lambda: leaky_zoo.verify_onnx("a.onnx", tolerance="a"),
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG)
def test_what_only_looks_like_a_number_or_a_switch_is_refused(call):
    with pytest.raises(InvalidInputError, match=r"must be a|must be True or False"):
        call()


def test_a_schedule_names_the_nearest_argument():
    with pytest.raises(InvalidInputError, match="irregular schedule takes no argument 'amplitud'; did you mean 'amp"):
        get_schedule({"name": "irregular", "amplitud": -2.0})


def test_a_slice_beyond_a_hundred_percent():
    with pytest.raises(InvalidInputError, match="within 0% to 100%"):
        leaky_zoo.load_data("optical_digits/fold_0").select("train[:200%]")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"objectiv": {}}, "objectiv: there is no such field; did you mean 'objective'"),
        ({"data": {"name": "mnist", "bathc_size": 3}}, "data.bathc_size: .*did you mean 'batch_size'"),
        ({"optimizer": {"learning_rat": 3}}, "optimizer.learning_rat: .*did you mean 'learning_rate'"),
        ({"network": {"widht": 4}}, "network.widht: .*did you mean 'width'"),
        ({"network": {"family": "conv", "kernl_size": 4}}, "network.kernl_size: .*did you mean 'kernel_size'"),
        ({"network": {"family": "resnet", "dephts": [4]}}, "network.dephts: .*did you mean 'depths'"),
        ({"network": {"from": "mnist", "freez": True}}, "network.freez: .*did you mean 'freeze'"),
        ({"lbfgs": {"histroy": 4}}, "lbfgs.histroy: .*did you mean 'history'"),
        ({"zzz": 4}, r"zzz: there is no such field\. It takes: .*objective"),
    ],
)
def test_a_recipe_names_the_nearest_field(fields, words):
    with pytest.raises(InvalidInputError, match=words):
        Recipe.from_dict({"name": "a", "data": {"name": "mnist"}, **fields})


def test_public_functions_can_be_pickled():
    assert pickle.loads(pickle.dumps(leaky_zoo.train)) is leaky_zoo.train

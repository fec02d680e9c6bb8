"""``etcoreml.MLModel``: predictions of every kind, and what is refused.

Oracles: torch and NumPy for numbers; coremltools' specification for names, shapes and dtypes; the
signature of ``coremltools.models.MLModel`` for the contract.
"""

from __future__ import annotations

import gc
import inspect
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import etcoreml
from etcoreml import MLModel
from etcoreml.errors import (
    DtypeError,
    FeatureNameError,
    FeatureTypeError,
    ModelTypeError,
    OptionError,
    ShapeError,
    StateError,
    UsageError,
)
from etcoreml.mil.ct import coremltools
from tests import mlmodels
from tests.cases import normal
from tests.runtime.processes import run_python


@pytest.fixture(scope="module")
def linear(linear_package: Path) -> MLModel:
    return MLModel(linear_package)


@pytest.fixture(scope="module")
def total(sum_package: Path) -> MLModel:
    return MLModel(sum_package)


def eager(x: Any) -> Any:
    with torch.no_grad():
        return mlmodels.Linear()(torch.as_tensor(x, dtype=torch.float32))[0].numpy()


def test_the_constructor_takes_what_coremltools_takes() -> None:
    theirs = inspect.signature(coremltools().models.MLModel.__init__).parameters
    ours = inspect.signature(MLModel.__init__).parameters
    positional = [name for name, each in ours.items() if each.kind is not each.KEYWORD_ONLY]
    assert positional == list(theirs)
    for name in set(theirs) - {"self", "model"}:
        default = theirs[name].default
        ours_default = ours[name].default
        assert getattr(ours_default, "name", ours_default) == getattr(default, "name", default)


def test_it_has_what_coremltools_has() -> None:
    theirs = coremltools().models.MLModel
    public = {name for name in dir(theirs) if not name.startswith("_")}
    assert not public - set(dir(MLModel))


def test_numbers_names_shapes_and_dtypes(linear: MLModel) -> None:
    x = normal(2, 24)
    found = linear.predict({"x": x})
    described = linear.get_spec().description.output
    assert list(found) == [each.name for each in described]
    for each in described:
        assert found[each.name].shape == tuple(each.type.multiArrayType.shape)
        assert found[each.name].dtype == np.float32
    np.testing.assert_allclose(found["y"], eager(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["z"], -found["y"])


@pytest.mark.parametrize(
    "form",
    [
        lambda x: x.astype(np.float64),
        lambda x: x.tolist(),
        torch.tensor,
        lambda x: torch.nn.Parameter(torch.tensor(x)),
        np.asfortranarray,
        lambda x: x[::-1][::-1],
    ],
    ids=["float64", "list", "tensor", "parameter", "fortran", "strided"],
)
def test_every_form_of_an_input(linear: MLModel, form: Any) -> None:
    x = normal(2, 24)
    expected = linear.predict({"x": x})["y"]
    np.testing.assert_array_equal(linear.predict({"x": form(x)})["y"], expected)


def test_data_is_left_as_it_was(linear: MLModel) -> None:
    data = {"x": normal(2, 24).tolist()}
    before = data["x"]
    linear.predict(data)
    assert data == {"x": before}


def test_results_belong_to_the_caller(linear: MLModel) -> None:
    first = linear.predict({"x": normal(2, 24)})["y"]
    kept = first.copy()
    linear.predict({"x": normal(2, 24, seed=1)})
    np.testing.assert_array_equal(first, kept)


def test_inputs_are_let_go(linear: MLModel, counter_package: Path, tmp_path: Path) -> None:
    counter = MLModel(counter_package)
    flexible = MLModel(mlmodels.flexible_total(tmp_path / "flexible.mlpackage"))
    state = counter.make_state()
    cases: list[tuple[MLModel, Any, dict[str, Any]]] = [
        (linear, None, {"x": normal(2, 24)}),
        (counter, state, {"x": np.ones((2, 3), np.float16)}),
        (flexible, None, {"x": normal(4, 1), "y": normal(1, 5)}),
    ]
    while cases:
        model, given, data = cases.pop()
        first = model.predict(data, given)
        kept = [weakref.ref(each) for each in data.values()]
        again = {name: each.copy() for name, each in data.items()}
        del data
        gc.collect()
        assert [each() for each in kept] == [None] * len(kept)
        if model is not counter:
            for name, each in model.predict(again, given).items():
                np.testing.assert_array_equal(each, first[name])
    np.testing.assert_array_equal(state.read_state("total"), np.ones((2, 3)))


def test_integers_are_converted_if_they_fit(total: MLModel) -> None:
    x = np.arange(6).reshape(2, 3)
    y = np.ones((2, 3))
    for form in (x, x.astype(np.uint8), x.astype(np.float64), x.tolist()):
        np.testing.assert_array_equal(total.predict({"x": form, "y": y})["sum"], x + 2)
    with pytest.raises(DtypeError, match="input 'x' has values that int32 cannot hold"):
        total.predict({"x": x + 2**31, "y": y})
    with pytest.raises(DtypeError, match=r"found fp64 with 0\.5"):
        total.predict({"x": x + 0.5, "y": y})


def test_an_optional_input_has_its_default(total: MLModel) -> None:
    x = np.zeros((2, 3), np.int32)
    np.testing.assert_array_equal(total.predict({"x": x})["sum"], np.ones((2, 3)))
    np.testing.assert_array_equal(total.predict({"x": x, "y": None})["sum"], np.ones((2, 3)))


def test_names_that_are_wrong(total: MLModel) -> None:
    with pytest.raises(KeyError, match=r"no input 'z'; expected one of \['x', 'y'\]"):
        total.predict({"x": np.zeros((2, 3)), "z": 1})
    with pytest.raises(FeatureNameError, match=r"'x' is missing; found \['y'\]"):
        total.predict({"y": np.zeros((2, 3))})


@pytest.mark.parametrize("data", [None, 3, "x", np.zeros(3), [1], {1, 2}])
def test_data_that_is_no_dictionary(linear: MLModel, data: Any) -> None:
    with pytest.raises(TypeError, match="a dictionary of inputs, or a list of them"):
        linear.predict(data)


def test_shapes_that_do_not_fit(linear: MLModel) -> None:
    with pytest.raises(ShapeError, match=r"input 'x'; found shape \(2, 25\); expected.*\(2, 24\)"):
        linear.predict({"x": normal(2, 25)})


def test_flexible_shapes(tmp_path: Path) -> None:
    model = MLModel(mlmodels.flexible_total(tmp_path / "flexible.mlpackage"))
    for rows, columns in ((2, 3), (6, 5), (4, 2)):
        x, y = normal(rows, 1), normal(1, columns, seed=1)
        np.testing.assert_allclose(model.predict({"x": x, "y": y})["sum"], x + 2 * y, rtol=1e-6)
    with pytest.raises(ShapeError, match=r"found shape \(7, 1\); expected shape \(2 to 6, 1\)"):
        model.predict({"x": normal(7, 1), "y": normal(1, 3)})
    with pytest.raises(ShapeError, match=r"expected shape \(1, 3\) or \(1, 2\) or \(1, 5\)"):
        model.predict({"x": normal(2, 1), "y": normal(1, 4)})


def test_a_list_of_predictions(linear: MLModel, monkeypatch: pytest.MonkeyPatch) -> None:
    data = [{"x": normal(2, 24, seed=seed)} for seed in range(8)]
    expected = [linear.predict(each) for each in data]
    for limit in (0, 10**12):  # on two threads, and one by one
        monkeypatch.setattr("etcoreml.runtime.ml_model._OVERLAP_NS", limit)
        found = linear.predict(data)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ours["y"], theirs["y"])
    assert linear.predict([]) == []
    with pytest.raises(ShapeError):
        linear.predict([*data, {"x": normal(3, 24)}])


def test_predictions_begun_elsewhere(linear: MLModel) -> None:
    x = normal(2, 24)
    futures = [linear.predict_async({"x": x * i}) for i in range(6)]
    for i, future in enumerate(futures):
        np.testing.assert_allclose(future.result(30)["y"], eager(x * i), rtol=1e-5, atol=1e-5)
    with pytest.raises(FeatureNameError):
        linear.predict_async({}).result(30)
    with pytest.raises(TypeError):
        linear.predict_async([{"x": x}])  # type: ignore[arg-type]


def test_threads_may_share_a_model(linear: MLModel) -> None:
    failures = []

    def work(seed: int, x: Any, expected: Any) -> None:
        for _ in range(50):
            if not np.allclose(linear.predict({"x": x})["y"], expected, rtol=1e-5, atol=1e-5):
                failures.append(seed)

    inputs = [normal(2, 24, seed=seed) for seed in range(4)]
    # The oracle seeds torch's one generator: not for several threads.
    cases = [(seed, x, eager(x)) for seed, x in enumerate(inputs)]
    threads = [threading.Thread(target=work, args=case) for case in cases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_states(counter_package: Path) -> None:
    model = MLModel(counter_package)
    x = np.float16([[1, 2, 3], [4, 5, 6]])
    first, second = model.make_state(), model.make_state()
    for step in (1, 2, 3):
        found = model.predict({"x": x}, state=first)["sum"]
        np.testing.assert_array_equal(found, x * step)
        assert found.dtype == np.float32  # as coremltools gives fp16
    np.testing.assert_array_equal(model.predict({"x": x}, second)["sum"], x)
    assert [each.name for each in model.get_spec().description.state] == ["total"]


def test_predictions_with_one_state_keep_the_order_they_were_begun_in(
    counter_package: Path,
) -> None:
    class Slow:
        """An array that is ready only when the predictions begun after it are under way."""

        def __array__(self, *_: Any, **__: Any) -> Any:
            time.sleep(0.1)
            return np.ones((2, 3), np.float16)

    model = MLModel(counter_package)
    state, x = model.make_state(), np.ones((2, 3), np.float16)
    slow = model.predict_async({"x": Slow()}, state)
    wrong = model.predict_async({"x": np.ones(3)}, state)
    cancelled = model.predict_async({"x": x * 100}, state)
    assert cancelled.cancel()  # both threads are taken
    fast = model.predict_async({"x": x * 2}, state)
    here = model.predict({"x": x * 4}, state)
    for found, total in ((slow.result(30), 1), (fast.result(30), 3), (here, 7)):
        np.testing.assert_array_equal(found["sum"], x * total)
    with pytest.raises(ShapeError):
        wrong.result(30)


def test_states_that_do_not_fit(counter_package: Path, linear: MLModel) -> None:
    model = MLModel(counter_package)
    x = np.zeros((2, 3))
    with pytest.raises(StateError, match=r"(?s)was given none.*state=model.make_state\(\)"):
        model.predict({"x": x})
    with pytest.raises(RuntimeError, match="another model"):
        model.predict({"x": x}, MLModel(counter_package).make_state())
    with pytest.raises(StateError, match="no state of this library; found dict"):
        model.predict({"x": x}, {})  # type: ignore[arg-type]
    with pytest.raises(StateError, match="not with a list"):
        model.predict([{"x": x}], model.make_state())
    with pytest.raises(StateError, match="has no states"):
        linear.make_state()


@pytest.mark.parametrize("layout", ["RGB", "BGR", "GRAYSCALE", "GRAYSCALE_FLOAT16"])
def test_images_in_and_out(layout: str, tmp_path: Path) -> None:
    model = MLModel(mlmodels.picture(tmp_path / "picture.mlpackage", layout))
    mode = {"GRAYSCALE": "L", "GRAYSCALE_FLOAT16": "F"}.get(layout, "RGB")
    shape = (5, 4, 3) if mode == "RGB" else (5, 4)
    pixels = np.random.default_rng(2).integers(0, 255, shape)
    picture = Image.fromarray(pixels.astype(np.float32 if mode == "F" else np.uint8))
    for given in (picture, pixels):
        found = model.predict({"image": given})["out"]
        assert found.mode == ("RGBA" if mode == "RGB" else mode)
        expected = np.asarray(found)[:, :, :3] if mode == "RGB" else np.asarray(found)
        np.testing.assert_array_equal(expected, pixels + 1)
    with pytest.raises(ShapeError, match="found 5 x 4 pixels; expected 4 x 5 pixels"):
        model.predict({"image": Image.new(mode, (5, 4))})


@pytest.mark.parametrize("layout", ["RGB", "BGR"])
def test_the_program_sees_the_declared_channel_order(layout: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.mlpackage"
    model = MLModel(mlmodels.picture(path, layout, as_image=False))
    red = model.predict({"image": Image.new("RGB", (4, 5), (200, 0, 0))})["out"]
    assert red[0, :, 0, 0].tolist() == ([201, 1, 1] if layout == "RGB" else [1, 1, 201])


def test_scale_and_bias_are_the_programs_own(tmp_path: Path) -> None:
    given = {"scale": 1 / 128, "bias": [-0.5, -1.0, 0.25]}
    path = mlmodels.picture(tmp_path / "picture.mlpackage", "RGB", as_image=False, image=given)
    pixels = np.random.default_rng(4).integers(0, 256, (5, 4, 3))
    found = MLModel(path).predict({"image": pixels})["out"]
    expected = (pixels / 128 + given["bias"]).transpose(2, 0, 1)[None] + 1
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_grey_bytes(tmp_path: Path) -> None:
    """A program that takes uint8, as iOS 17 has it."""
    path = mlmodels.picture(
        tmp_path / "picture.mlpackage",
        "GRAYSCALE",
        as_image=False,
        image={"grayscale_use_uint8": True},
    )
    model = MLModel(path)
    pixels = np.random.default_rng(5).integers(0, 256, (5, 4)).astype(np.uint8)
    found = model.predict({"image": Image.fromarray(pixels)})["out"]
    np.testing.assert_array_equal(found, pixels[None, None].astype(np.float32) + 1)
    assert model.bind({"image": pixels[None, None]}).inputs["image"].dtype == np.uint8


def test_images_of_several_sizes(tmp_path: Path) -> None:
    ct = coremltools()
    shape = ct.Shape((1, 3, ct.RangeDim(4, 9, default=5), ct.RangeDim(4, 8, default=4)))
    path = mlmodels.picture(tmp_path / "picture.mlpackage", "RGB", as_image=False, shape=shape)
    model = MLModel(path)
    assert model.predict({"image": Image.new("RGB", (8, 6))})["out"].shape == (1, 3, 6, 8)
    with pytest.raises(ShapeError, match="expected 4 to 8 x 4 to 9 pixels, width x height"):
        model.predict({"image": Image.new("RGB", (9, 9))})


@pytest.mark.parametrize("labels", [["cat", "dog", "eel"], [7, 8, 9]], ids=["strings", "numbers"])
def test_classifiers(labels: list[Any], tmp_path: Path) -> None:
    model = MLModel(mlmodels.classifier(tmp_path / "classifier.mlpackage", labels))
    found = model.predict({"x": [[0.0, 2.0, 1.0]]})
    description = model.get_spec().description
    assert found[description.predictedFeatureName] == labels[1]
    probabilities = found[description.predictedProbabilitiesName]
    assert list(probabilities) == labels
    expected = torch.softmax(torch.tensor([0.0, 2.0, 1.0]), 0).tolist()
    np.testing.assert_allclose(list(probabilities.values()), expected, rtol=1e-5)


def test_functions(two_functions_package: Path) -> None:
    one = MLModel(two_functions_package, function_name="one")
    x = normal(2, 24)
    np.testing.assert_allclose(one.predict({"x": x})["y"], eager(x), rtol=1e-5, atol=1e-6)
    default = MLModel(two_functions_package)
    assert default.function_name == "two"
    assert default.predict({"x": np.zeros((2, 3))})["sum"].tolist() == [[1.0] * 3] * 2
    assert list(one.input_description) == ["x"]
    with pytest.raises(ValueError, match="no function 'three'; expected one of one, two"):
        MLModel(two_functions_package, function_name="three")


def test_main_is_the_only_name_of_a_single_function(linear_package: Path) -> None:
    assert MLModel(linear_package).function_name is None
    assert MLModel(linear_package, function_name="main").function_name == "main"
    with pytest.raises(OptionError, match="no function 'other'"):
        MLModel(linear_package, function_name="other", skip_model_load=True)


def test_numerics_and_threads(linear_package: Path) -> None:
    x = normal(2, 24)
    for numerics in ("fast", "faithful", "turbo"):
        with MLModel(linear_package, numerics=numerics, threads=1) as model:
            assert model.numerics == numerics
            np.testing.assert_allclose(model.predict({"x": x})["y"], eager(x), rtol=0.1, atol=0.1)
    with pytest.raises(UsageError, match="numerics mode 'slow' does not exist"):
        MLModel(linear_package, numerics="slow")
    with pytest.raises(UsageError, match="threads must be positive"):
        MLModel(linear_package, threads=0)


def test_compute_units(linear_package: Path) -> None:
    theirs = coremltools().ComputeUnit.CPU_ONLY
    for given, kept in (
        (theirs, theirs),
        ("cpu_only", etcoreml.ComputeUnit.CPU_ONLY),
        (etcoreml.ComputeUnit.CPU_AND_NE, etcoreml.ComputeUnit.CPU_AND_NE),
    ):
        model = MLModel(linear_package, compute_units=given)
        assert model.compute_unit is kept
        assert model.devices[-1] == "CPU"
    with pytest.raises(TypeError):
        MLModel(linear_package, compute_units=1)


def test_options_that_mean_nothing_here(linear_package: Path) -> None:
    assert MLModel(linear_package, optimization_hints={}).optimization_hints == {}
    for options, words in (
        ({"optimization_hints": {"reshapeFrequency": 1}}, "found reshapeFrequency"),
        ({"mil_program": object()}, "mil_program means nothing here"),
    ):
        with pytest.raises(ValueError, match=words):
            MLModel(linear_package, **options)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no dictionary"):
        MLModel(linear_package, optimization_hints=[])  # type: ignore[arg-type]


def test_a_model_that_was_not_loaded(linear_package: Path) -> None:
    model = MLModel(linear_package, skip_model_load=True)
    assert model.author == "Ada"
    assert model.devices == ()
    assert model.load_duration_in_nano_seconds is None
    for call in (lambda: model.predict({}), model.make_state, lambda: model.bind({})):
        with pytest.raises(UsageError, match="found a model opened with skip_model_load=True"):
            call()


def test_a_closed_model(linear_package: Path) -> None:
    with MLModel(linear_package) as model:
        model.predict({"x": normal(2, 24)})
    model.close()
    with pytest.raises(UsageError, match="found a model that was closed"):
        model.predict({"x": normal(2, 24)})
    assert model.author == "Ada"


def test_a_model_that_is_closed_while_a_thread_uses_it(counter_package: Path) -> None:
    model = MLModel(counter_package)
    state, inside, gate = model.make_state(), threading.Event(), threading.Event()

    class Slow:
        def __array__(self, *_: Any, **__: Any) -> Any:
            inside.set()
            assert gate.wait(30)
            return np.ones((2, 3), np.float16)

    future = model.predict_async({"x": Slow()}, state)
    assert inside.wait(30)
    closing = threading.Thread(target=model.close)
    closing.start()
    while model.devices:
        time.sleep(0.001)
    with pytest.raises(UsageError, match="found a model that was closed"):
        model.predict_async({"x": np.ones((2, 3))}, state)
    gate.set()
    closing.join()
    np.testing.assert_array_equal(future.result(30)["sum"], np.ones((2, 3)))


def test_a_neural_network_is_refused_by_its_name() -> None:
    ct = coremltools()
    spec = ct.proto.Model_pb2.Model(specificationVersion=4)
    spec.neuralNetwork.layers.add(name="relu")
    with pytest.raises(ModelTypeError, match="neural network"):
        MLModel(spec)
    assert MLModel(spec, skip_model_load=True).type == "neuralNetwork"


def test_durations(linear: MLModel) -> None:
    linear.predict({"x": normal(2, 24)})
    assert linear.load_duration_in_nano_seconds
    assert linear.last_predict_duration_in_nano_seconds
    assert linear.load_duration_in_nano_seconds > linear.last_predict_duration_in_nano_seconds


def test_neither_torch_nor_coremltools_is_imported(linear_package: Path) -> None:
    outcome = run_python(
        """
        import sys
        import etcoreml
        model = etcoreml.MLModel(sys.argv[1])
        model.predict({"x": [[0.0] * 24] * 2})
        model.get_spec()
        print(model)
        print(sorted({"torch", "coremltools", "executorch.exir", "rich"} & set(sys.modules)))
        """,
        linear_package,
    )
    assert outcome.stdout.splitlines()[-1] == "[]", outcome.stderr
    assert outcome.stderr == ""


def test_wrong_types_are_named() -> None:
    with pytest.raises(FeatureTypeError, match="found int"):
        MLModel(3)

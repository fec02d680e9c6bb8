"""Compiled models. Oracles: the package that a compiled model was made from; metadata in the
very form of published models."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etcoreml.blob import Directory
from etcoreml.errors import EtCoreMLError, ModelError, ModelTypeError, PackageError, WeightError
from etcoreml.mil import Feature, MilProgram, Pipeline, load_model, load_package, open_model
from etcoreml.types import FP32
from tests.cases import mil_builder, mil_function, normal, to_program
from tests.mil.printed import Printer, assert_same_functions, compiled_files

WEIGHT = normal(64, 32, seed=3)


def schema(name: str, shape: str = "[3, 32]", **more: Any) -> dict[str, Any]:
    return {
        "hasShapeFlexibility": "0",
        "isOptional": "0",
        "dataType": "Float32",
        "formattedType": "MultiArray (Float32 3 by 32)",
        "shortDescription": "",
        "shape": shape,
        "name": name,
        "type": "MultiArray",
        **more,
    }


def metadata(**more: Any) -> dict[str, Any]:
    return {
        "metadataOutputVersion": "3.0",
        "shortDescription": "A linear layer.",
        "author": "A. U. Thor",
        "license": "MIT",
        "version": "2.1",
        "specificationVersion": 8,
        "stateSchema": [],
        "isUpdatable": "0",
        "modelType": {"name": "MLModelType_mlProgram"},
        "inputSchema": [schema("x")],
        "outputSchema": [schema("y", "[3, 64]")],
        "userDefinedMetadata": {"colour": "blue"},
        **more,
    }


@pytest.fixture(scope="module")
def program() -> MilProgram:
    source = mil_function(
        {"x": np.zeros((3, 32), np.float32)},
        lambda x: mil_builder().linear(x=x, weight=WEIGHT, name="y"),
        "iOS17",
    )
    return to_program(source, "iOS17")


def folder(files: Any) -> Directory:
    return Directory.from_mapping("m.mlmodelc", files)


def test_metadata_describes_the_model(program: MilProgram) -> None:
    found = load_package(folder(compiled_files(program, "1.0", metadata())))
    assert_same_functions(found.functions, program.functions)
    assert (found.author, found.license, found.version) == ("A. U. Thor", "MIT", "2.1")
    assert (found.description, found.user_defined) == ("A linear layer.", {"colour": "blue"})
    assert found.spec_version == 8
    assert found.signature.inputs == (Feature("x", "multiArray", FP32, (3, 32)),)
    assert found.signature.outputs == (Feature("y", "multiArray", FP32, (3, 64)),)


def test_without_metadata_the_program_describes_itself(program: MilProgram) -> None:
    found = load_package(folder(compiled_files(program)))
    assert (found.default_function, found.spec_version) == ("main", 8)
    assert found.signature.inputs == (Feature("x", "multiArray", FP32, (3, 32)),)
    assert found.signature.outputs == (Feature("y", "multiArray", FP32, (3, 64)),)


def test_weights_are_views_of_the_file(program: MilProgram) -> None:
    files = compiled_files(program)
    data = np.frombuffer(bytearray(files["weights"]["weight.bin"]), np.uint8)
    files["weights"] = {"weight.bin": memoryview(data)}
    found = load_package(folder(files))
    (weight,) = (
        op.attributes["val"].unpack()
        for op in found.functions["main"].block.operations
        if op.type == "const" and op.outputs[0].type.shape == WEIGHT.shape  # type: ignore[union-attr]
    )
    np.testing.assert_array_equal(weight, WEIGHT)
    assert np.shares_memory(weight, data)
    assert not weight.flags.writeable
    assert dict(found.sources).keys() == {"", "@model_path/weights/weight.bin"}


def test_functions_of_their_own(program: MilProgram) -> None:
    text = Printer("1.3", 10**6).program(program)
    start, end = text.index("    func"), text.rindex("}")
    first = text[start:end]
    both = text[:start] + first + first.replace("func main", "func other") + text[end:]
    listed = [
        {"name": "main", "inputSchema": [schema("x", shortDescription="first")]},
        {"name": "other", "inputSchema": [schema("x", shortDescription="second")]},
    ]
    described = metadata(functions=listed, defaultFunctionName="other")
    files = {"model.mil": both.encode(), "metadata.json": json.dumps([described]).encode()}
    found = load_package(folder(files))
    assert list(found.functions) == ["main", "other"]
    assert found.default_function == "other"
    assert [s.inputs[0].description for s in found.signatures.values()] == ["first", "second"]
    neither = both.replace("func main", "func third").encode()
    with pytest.raises(ModelError, match="default function does not exist; found 'main'"):
        load_package(folder({"model.mil": neither}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"inputSchema": [schema("z")]},
            "describes an input that function 'main' lacks; found 'z'",
        ),
        ({"outputSchema": [schema("z")]}, "describes an output that"),
        ({"inputSchema": [{"type": "MultiArray"}]}, "has no name"),
        ({"inputSchema": [schema("x", type="Smell")]}, "unknown type; found 'Smell'"),
        ({"inputSchema": [schema("x", shape="[1, ")]}, "shape is no array of integers"),
        ({"inputSchema": [schema("x", shape='["a"]')]}, "shape is no array of integers"),
        ({"inputSchema": [schema("x", shapeRange="[[1]]")]}, "not a pair"),
        ({"inputSchema": "x"}, "not an array of objects"),
        ({"inputSchema": [schema("x", type="Image")]}, "the image has no size"),
    ],
)
def test_metadata_that_contradicts_is_refused(
    program: MilProgram, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(PackageError, match=words):
        load_model(folder(compiled_files(program, "1.0", metadata(**change))))


def places(value: Any, path: tuple[Any, ...] = ()) -> Any:
    """Yield the path of every part of a JSON value."""
    yield path
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def test_whatever_stands_in_metadata_only_ever_raises_our_errors(program: MilProgram) -> None:
    files = compiled_files(program)
    image = schema("x", type="Image", height="3", width="32", colorspace="RGB")
    many = [schema("x", shapeRange="[[3, 3], [32, -1]]", enumeratedShapes="[[3, 32]]"), image]
    functions = [{"name": "main", "inputSchema": many}]
    pipeline = {"name": "MLModelType_mlProgram", "structure": [{"name": "x"}]}
    for described in (metadata(), metadata(functions=functions, modelType=pipeline)):
        for path in places(described):
            for value in (
                None,
                7,
                -1e400,
                "",
                "[",
                "[[]]",
                "9" * 5000,
                [],
                [[]],
                {},
                {"": []},
                True,
            ):
                whole: Any = json.loads(json.dumps([described]))
                part: Any = whole
                for key in (0, *path[:-1]) if path else ():
                    part = part[key]
                part[path[-1] if path else 0] = value
                data = json.dumps(whole).encode()
                with contextlib.suppress(EtCoreMLError):
                    load_model(folder({**files, "metadata.json": data}))


@pytest.mark.parametrize("data", [b"{", b"[]", b"[1, 2]", b"\xff", b"[[[[[[", b"7"])
def test_metadata_that_is_none_is_refused(program: MilProgram, data: bytes) -> None:
    with pytest.raises(PackageError, match=r"metadata\.json"):
        load_model(folder({**compiled_files(program), "metadata.json": data}))


def test_other_kinds_of_models_are_named() -> None:
    kind = {"modelType": {"name": "MLModelType_neuralNetworkClassifier"}}
    files = {"metadata.json": json.dumps([kind]).encode(), "coremldata.bin": b"x"}
    with pytest.raises(ModelTypeError, match="found a neural network classifier") as caught:
        load_model(folder(files))
    assert "mlprogram" in str(caught.value.hint)
    with pytest.raises(ModelTypeError, match="found a neural network"):
        load_model(folder({"model.espresso.net": b"{}", "coremldata.bin": b"x"}))
    with pytest.raises(PackageError, match=r"model\.mil"):
        load_model(folder({"coremldata.bin": b"x"}))


@pytest.mark.parametrize(
    ("path", "offset", "error"),
    [
        ("@model_path/weights/weight.bin", 10**9, WeightError),
        ("@model_path/weights/weight.bin", 65, WeightError),
        ("@model_path/weights/other.bin", 64, PackageError),
        ("@model_path/../weight.bin", 64, PackageError),
        ("/etc/passwd", 64, PackageError),
    ],
)
def test_weights_that_are_not_there(
    program: MilProgram, path: str, offset: int, error: type[Exception]
) -> None:
    files = compiled_files(program, "1.3")
    text = files["model.mil"].decode()
    text = text.replace("@model_path/weights/weight.bin", path)
    text = text.replace("offset = uint64(64)", f"offset = uint64({offset})")
    with pytest.raises(error, match=r"weight|passwd"):
        load_model(folder({**files, "model.mil": text.encode()}))


def test_text_that_is_none_is_refused() -> None:
    with pytest.raises(ModelError, match="UTF-8"):
        load_model(folder({"model.mil": b"\xff\xfe"}))


def test_values_defined_twice_and_never_are_refused(program: MilProgram) -> None:
    text = Printer("1.3", 10**6).program(program)
    with pytest.raises(ModelError, match="second time; found 'x'"):
        load_model(folder({"model.mil": text.replace("[3, 64]> y =", "[3, 64]> x =").encode()}))
    with pytest.raises(ModelError, match="nothing before it defines; found x='nobody'"):
        load_model(folder({"model.mil": text.replace("x = x", "x = nobody").encode()}))
    with pytest.raises(ModelError, match="returns a value that nothing defines"):
        load_model(folder({"model.mil": text.replace("-> (y)", "-> (ghost)").encode()}))


def test_pipelines_share_the_weights_of_their_folder(program: MilProgram) -> None:
    first = compiled_files(program, "1.3")
    text = (
        "program(1.3)\n{ func main<ios17>(tensor<fp32, [3, 64]> y) { tensor<fp32, [3, 64]> z ="
        " relu(x = y); } -> (z); }"
    )
    described = metadata(
        modelType={
            "name": "MLModelType_pipeline",
            "structure": [{"name": "MLModelType_mlProgram"}] * 2,
        },
        inputSchema=[schema("x", shortDescription="outside")],
        outputSchema=[schema("z", "[3, 64]")],
    )
    files = {
        "metadata.json": json.dumps([described]).encode(),
        "weights": first["weights"],
        "model0": {"model.mil": first["model.mil"], "coremldata.bin": b"x"},
        "model1": {"model.mil": text.encode()},
    }
    found = load_model(folder(files))
    assert isinstance(found, Pipeline)
    assert [stage.name for stage in found.stages] == ["model0", "model1"]
    assert found.stages[0].signature.inputs[0].description == "outside"
    assert [f.name for f in found.signature.outputs] == ["z"]
    with pytest.raises(ModelTypeError, match="a pipeline of model0, model1"):
        load_package(folder(files))
    del files["metadata.json"]
    bare = load_model(folder({**files, "coremldata.bin": b"x"}))
    assert isinstance(bare, Pipeline)
    assert [f.name for f in bare.signature.inputs] == ["x"]
    assert [f.name for f in bare.signature.outputs] == ["z"]


def test_a_compiled_suppression_is_refused(program: MilProgram) -> None:
    names = ["MLModelType_mlProgram", "MLModelType_nonMaximumSuppression"]
    kind = {"name": "MLModelType_pipeline", "structure": [{"name": name} for name in names]}
    files = {
        "metadata.json": json.dumps([metadata(modelType=kind)]).encode(),
        "model0": compiled_files(program),
        "model1": {"coremldata.bin": b"x"},
    }
    with pytest.raises(ModelTypeError, match="compiled non-maximum suppression") as caught:
        load_model(folder(files))
    assert "mlpackage" in str(caught.value.hint)


def test_loading_imports_neither_coremltools_nor_torch(program: MilProgram, tmp_path: Path) -> None:
    path = tmp_path / "m.mlmodelc"
    folder(compiled_files(program)).extract(path)
    assert isinstance(open_model(path), MilProgram)
    script = (
        "import sys\nfrom etcoreml.mil import open_model\n"
        f"open_model({str(path)!r})\n"
        "print(sorted({'coremltools', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.stdout == "[]\n", done.stderr

"""MIL text. Oracles: the packages that coremltools converts, printed and parsed back; text in the
very syntax of published models; line and column counted by hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from etcoreml.blob import Directory
from etcoreml.engine import compile_function
from etcoreml.errors import EtCoreMLError, ModelError
from etcoreml.mil import MilProgram, load_package
from etcoreml.mil.program import Constant, ListType, StateType, StringType, TensorType, pack_bits
from etcoreml.mil.text import parse_text
from etcoreml.types import BY_NAME, FP16, INT32
from tests import networks
from tests.cases import (
    SPEC_VERSIONS,
    mil_builder,
    mil_function,
    mil_list,
    packed,
    save_converted,
    state_placeholder,
    to_program,
)
from tests.mil.printed import Printer, assert_same_functions, compiled_files

HEAD = """program(1.0)
[buildInfo = dict<tensor<string, []>, tensor<string, []>>({{"coremlc-component-MIL", "3405.2.1"},\
 {"coremlc-version", "3404.23.1"}})]
{
"""
FLEXIBLE = """    func main<ios16>(tensor<fp16, [1, ?, ?]> x) [FlexibleShapeInformation = tuple<\
tuple<tensor<string, []>, dict<tensor<string, []>, tensor<int32, [?]>>>, tuple<tensor<string, []>,\
 dict<tensor<string, []>, list<tensor<int32, [2]>, ?>>>>((("DefaultShapes", {{"x", [1, 4, 8]}}),\
 ("RangeDims", {{"x", [[1, 1], [1, 2048], [1, -1]]}})))] {
            tensor<int32, [3]> perm = const()[name = tensor<string, []>("perm"),\
 val = tensor<int32, [3]>([0, 2, 1])];
            tensor<fp16, [1, ?, ?]> var_4 = transpose(perm = perm, x = x)[name =\
 tensor<string, []>("transpose_0")];
        } -> (var_4);
}"""
SHORT = """program(1.3)
[buildInfo = dict<string, string>({{"coremlc-version", "3600.25.1"}})]
{
    func first<ios17>(tensor<fp32, [3, 2]> data, tensor<int32, [?, ?]> at) {
            int32 three = const()[val = int32(3)];
            fp16 small = const()[val = fp16(-0x1.5p-17)];
            tensor<fp32, [4]> far = const()[val = tensor<fp32, [4]>([inf, -inf, nan, -0x0p+0])];
            tensor<bool, [2, 2]> mask = const()[val = tensor<bool, [2, 2]>([[true, false],\
 [false, true]])];
            tensor<fp32, [?, ?, 2]> y = gather(axis = int32(0), indices = at,\
 validate_indices = bool(false), x = data);
        } -> (y);
    func second<ios18>(state<tensor<fp16, [2]>> cache, tensor<fp16, [2]> x) {
            tensor<fp16, [2]> old = read_state(input = cache)[name = string("read")];
            tensor<fp16, [4]> both = concat(axis = int32(0), interleave = bool(false),\
 values = (old, x));
            tensor<fp16, [2]> a, tensor<fp16, [2]> b = split(axis = int32(0),\
 num_splits = int32(2), x = both);
            write_state(data = b, input = cache)[name = string("write")];
        } -> (a);
}
"""


def no_weights(*_: Any) -> Any:
    raise AssertionError("nothing of this text is in a weight file")


def test_the_long_spelling() -> None:
    parsed = parse_text(HEAD + FLEXIBLE, no_weights)
    (function,) = parsed.functions.values()
    assert (parsed.version, function.name, function.opset) == ("1.0", "main", "CoreML6")
    assert [(v.name, v.type) for v in function.inputs] == [("x", TensorType(FP16, (1, None, None)))]
    const, transpose = function.block.operations
    assert (const.type, const.name, const.inputs) == ("const", "perm", {})
    np.testing.assert_array_equal(const.attributes["val"].unpack(), [0, 2, 1])
    assert (transpose.type, transpose.name) == ("transpose", "transpose_0")
    assert transpose.inputs == {"perm": ("perm",), "x": ("x",)}
    assert function.block.outputs == ("var_4",)
    flexible: Any = parsed.attributes["main"]["FlexibleShapeInformation"].python()
    assert flexible[0][0] == "DefaultShapes"
    np.testing.assert_array_equal(flexible[0][1]["x"], [1, 4, 8])
    assert flexible[1][0] == "RangeDims"
    np.testing.assert_array_equal(flexible[1][1]["x"], [[1, 1], [1, 2048], [1, -1]])


def test_the_short_spelling() -> None:
    parsed = parse_text(SHORT, no_weights)
    first, second = parsed.functions.values()
    assert (first.opset, second.opset) == ("CoreML7", "CoreML8")
    three, small, far, mask, gather = first.block.operations
    # Without a name attribute an operation is called as its first output.
    assert (three.name, three.outputs[0].type) == ("three", TensorType(INT32, ()))
    assert small.attributes["val"].unpack() == np.float16(-1.3125 * 2**-17)
    values = far.attributes["val"].unpack()
    np.testing.assert_array_equal(values, np.array([np.inf, -np.inf, np.nan, 0], np.float32))
    assert np.signbit(values[3])
    np.testing.assert_array_equal(mask.attributes["val"].unpack(), np.eye(2, dtype=bool))
    (axis,) = gather.inputs["axis"]
    assert isinstance(axis, Constant)
    assert axis.unpack() == 0
    assert [v.type for v in second.states] == [StateType(TensorType(FP16, (2,)))]
    _, concat, split, write = second.block.operations
    assert concat.inputs["values"] == ("old", "x")
    assert [output.name for output in split.outputs] == ["a", "b"]
    assert (write.outputs, write.name) == ((), "write")


@pytest.mark.parametrize(
    ("network", "version"),
    [(networks.mobilenet_v2, "1.0"), (networks.bert, "1.3")],
    ids=["mobilenet_v2", "bert"],
)
def test_networks_come_back_and_compute_the_same(
    network: Callable[[], Any], version: str, tmp_path: Path
) -> None:
    module, inputs = network()
    source = torch.export.export(module, inputs).run_decompositions()
    target = "iOS16" if version == "1.0" else "iOS18"
    path = save_converted(source, tmp_path / "m.mlpackage", target=target, precision="FLOAT16")
    package = load_package(Directory.from_path(path))
    files = compiled_files(package, version)
    compiled = load_package(Directory.from_mapping("m.mlmodelc", files))
    assert_same_functions(compiled.functions, package.functions)

    def run(program: MilProgram) -> Any:
        session = compile_function(program, compute_unit="cpu_only", threads=1)
        feeds = {
            port.name: tensor.numpy().astype(port.dtype.storage)
            for port, tensor in zip(session.inputs, inputs, strict=True)
        }
        return session.run(feeds)

    for name, value in run(package).items():
        np.testing.assert_array_equal(run(compiled)[name], value)


def _loop(x: Any) -> Any:
    mil = mil_builder()

    def body(i: Any, a: Any) -> Any:
        inner = mil.cond(
            pred=mil.less(x=i, y=2),
            _true_fn=lambda: mil.add(x=a, y=1.0),
            _false_fn=lambda: mil.mul(x=a, y=2.0),
        )
        return mil.add(x=i, y=1), inner

    return mil.while_loop(
        _cond=lambda i, a: mil.less(x=i, y=4), _body=body, loop_vars=(np.int32(0), x)
    )[1]


def _classifier(x: Any) -> Any:
    mil = mil_builder()
    classes = mil.const(val=mil_list([np.int64(label) for label in (3, 1, 4, 5)]))
    return mil.classify(probabilities=mil.softmax(x=x, axis=-1), classes=classes)


def _many(x: Any) -> Any:
    mil = mil_builder()
    first, second = mil.split(x=mil.concat(values=(x, x), axis=0), num_splits=2, axis=0)
    indices = mil.cast(x=mil.topk(x=first, k=2, axis=-1)[1], dtype="fp32")
    return mil.reduce_sum(x=indices), second, mil.pad(x=x, pad=[0, 0, 1, 1], constant_val=-np.inf)


def _packed(x: Any) -> Any:
    mil = mil_builder()
    data = packed("uint4", np.arange(32).reshape(4, 8) % 16)
    scale = np.full((4, 1), 0.5, np.float32)
    weight = mil.constexpr_blockwise_shift_scale(data=data, scale=scale)
    lut = mil.constexpr_lut_to_dense(
        indices=packed("uint3", np.arange(8).reshape(2, 4)),
        lut=np.linspace(-1, 1, 8, dtype=np.float32).reshape(1, 1, 8, 1),
    )
    return mil.matmul(x=x, y=weight), mil.matmul(x=x, y=lut, transpose_y=True)


PROGRAMS = {
    "loop": (_loop, "iOS15"),
    "many": (_many, "iOS16"),
    "classifier": (_classifier, "iOS15"),
    "packed": (_packed, "iOS18"),
}


@pytest.mark.parametrize("version", ["1.0", "1.3"])
@pytest.mark.parametrize("name", list(PROGRAMS))
@pytest.mark.parametrize("varies", [False, True])
def test_programs_come_back(name: str, version: str, varies: bool) -> None:
    build, opset = PROGRAMS[name]
    if varies and name in ("packed", "classifier"):
        varies = False  # these need sizes known at conversion
    example = {"x": np.zeros((4,) if name == "classifier" else (3, 4), np.float32)}
    program = to_program(mil_function(example, build, opset, varies), opset)
    for inline in (0, 10**6):
        printer = Printer(version, inline)
        files = {
            "model.mil": printer.program(program).encode(),
            "weights": {"weight.bin": bytes(printer.weights)},
        }
        found = load_package(Directory.from_mapping("m.mlmodelc", files))
        assert_same_functions(found.functions, program.functions)


def test_states_come_back() -> None:
    def build(x: Any, cache: Any) -> Any:
        mil = mil_builder()
        return mil.add(x=mil.read_state(input=cache), y=x)

    source = mil_function(
        {"x": np.zeros((2,), np.float16)}, build, "iOS18", states={"cache": state_placeholder((2,))}
    )
    program = to_program(source, "iOS18")
    files = compiled_files(program, "1.3")
    found = load_package(Directory.from_mapping("m.mlmodelc", files))
    assert_same_functions(found.functions, program.functions)
    assert [f.kind for f in found.signature.states] == ["state"]


def one(line: str) -> str:
    return f"program(1.3)\n{{\n  func main<ios17>(tensor<fp32, [2]> x) {{\n{line}\n  }} -> (x);\n}}"


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("", (1, 1), "does not start"),
        ("program(2.0)\n{}", (1, 9), "version"),
        ("program(1.3)\n{", (2, 2), "not closed"),
        ("program(1.3)\n{}\nx", (3, 1), "follows the program"),
        ("program(1.3)\n{\n  func f<ios9>() {} -> ();}", (3, 10), "opset"),
        ("program(1.3)\n{func f<ios17>() {} -> ();\nfunc f<ios17>() {} -> ();}", (3, 1), "second"),
        (one("fp32 a = const()[val = fp32(1)]"), (5, 3), "not closed"),
        (one("fp32 a = const()[val = fp32(one)];"), (4, 29), "no number"),
        (one("fp32 a = const()[val = fp32()];"), (4, 29), "is missing"),
        (one("fp16 a = const()[val = fp16(1e9)];"), (4, 29), "out of range"),
        (one("int8 a = const()[val = int8(128)];"), (4, 29), "out of range"),
        (one("uint8 a = const()[val = uint8(-1)];"), (4, 31), "out of range"),
        (one("bool a = const()[val = bool(1)];"), (4, 29), "neither true nor false"),
        (one("fp8 a = const()[val = fp8(1)];"), (4, 1), "type"),
        (one("tensor<fp8, [1]> a = f();"), (4, 8), "element type"),
        (one("tensor<fp32, [2, 2]> a = const()[val = tensor<fp32, [2, 2]>([1, 2, 3, 4])];"),
         (4, 61), "not of its shape"),
        (one("tensor<fp32, [3]> a = const()[val = tensor<fp32, [3]>([1, 2])];"),
         (4, 55), "2 numbers"),
        (one("tensor<fp32, [2]> a = const()[val = tensor<fp32, [2]>([1, 2)];"),
         (4, 55), "no number"),
        (one("tensor<fp32, [?, 2]> a = const()[val = tensor<fp32, [?, 2]>([[1, 2]])];"),
         (4, 61), "fixed shape"),
        (one('string a = const()[val = string("a)];'), (4, 33), "not closed"),
        (one('string a = const()[val = string("\\q")];'), (4, 33), "escape"),
        (one('list<string, 2> a = f(x = list<string, 2>(["a"]));'), (4, 43), "1 elements"),
        (one('tuple<int32, int32> a = f(x = tuple<int32, int32>((1)));'), (4, 51), "fewer"),
        (one('tuple<int32> a = f(x = tuple<int32>((1, 2)));'), (4, 41), "more"),
        (one("state<string> a = f();"), (4, 1), "wrap a tensor"),
        (one("fp32 a = f(x = x, x = x);"), (4, 19), "given twice"),
        (one('fp32 a = f(x = x)[b = fp32(1), b = fp32(1)];'), (4, 32), "given twice"),
        (one("fp32 a = f(x = x y = x);"), (4, 18), "not closed"),
        (one("fp32 a = f(x = );"), (4, 16), "no name"),
        (one("fp32 a = f(x = fp32(BLOBFILE(path = string(\"p\"))));"), (4, 21), "lacks a path"),
        (one("fp32 a = f(x = " + "list<" * 70), (4, 335), "too deep"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_line_and_column(
    text: str, where: tuple[int, int], words: str
) -> None:
    with pytest.raises(ModelError) as caught:
        parse_text(text, no_weights, "some/model.mil")
    line, column = where
    assert str(caught.value).startswith(f"some/model.mil, line {line}, column {column}: ")
    assert words in str(caught.value)


def test_unknown_operations_are_fine_when_loading() -> None:
    parsed = parse_text(one("fp32 a = sing_a_song(x = x, loudly = bool(true));"), no_weights)
    assert parsed.functions["main"].block.operations[0].type == "sing_a_song"


def test_deep_bodies_and_huge_shapes_are_refused_at_once() -> None:
    deep = one("f(x = x) { " * 100)
    with pytest.raises(ModelError, match="too deep"):
        parse_text(deep, no_weights)
    huge = "tensor<fp32, [1000000000000, 0]>"
    with pytest.raises(ModelError, match="not of its shape"):
        parse_text(one(f"{huge} a = const()[val = {huge}([])];"), no_weights)


def test_values_of_every_type() -> None:
    text = one(
        'list<string, ?> a = f(x = list<string, ?>(["a, [b]", "\\"c\\"\\n\\x41\\u00e9"]),'
        " y = tensor<int4, [3]>([-8, 7, 1]), z = tensor<fp32, [2, 0]>([[], []]),"
        ' w = dict<string, int32>({{"k", 7}, {"l", -2147483648}}), v = tensor<string, [1]>(["s"]));'
    )
    (operation,) = parse_text(text, no_weights).functions["main"].block.operations
    values: Any = {key: value for key, (value,) in operation.inputs.items()}
    assert operation.outputs[0].type == ListType(StringType(), None)
    assert values["x"].python() == ("a, [b]", '"c"\nAé')
    np.testing.assert_array_equal(values["y"].unpack(), [-8, 7, 1])
    assert values["y"].data.nbytes == 2
    assert values["z"].unpack().shape == (2, 0)
    assert values["w"].python() == {"k": 7, "l": -(2**31)}
    assert values["v"].data == ("s",)


@pytest.mark.parametrize("name", list(BY_NAME))
def test_numbers_of_every_dtype(name: str) -> None:
    dtype = BY_NAME[name]
    if dtype.is_float:
        info: Any = np.finfo(dtype.storage)
        wanted = np.array([0, info.max, info.smallest_subnormal, -1.25], dtype.storage)
    elif name == "bool":
        wanted = np.array([True, False])
    else:
        bits = dtype.bits
        bounds = (
            (0, 2**bits - 1) if name.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        )
        wanted = np.array(bounds, dtype.storage)
    type_ = TensorType(dtype, wanted.shape)
    data = pack_bits(wanted, dtype) if dtype.is_packed else wanted
    printed = Printer("1.3", 10**6).constant(Constant(type_, data))
    (operation,) = (
        parse_text(one(f"f(x = {printed});"), no_weights).functions["main"].block.operations
    )
    (found,) = operation.inputs["x"]
    assert isinstance(found, Constant)
    np.testing.assert_array_equal(found.unpack(), wanted)
    assert found.unpack().dtype == dtype.storage


def mutations(text: str, seed: int, count: int) -> Any:
    """Yield damaged texts: cut, doubled, swapped, replaced by bits of MIL."""
    generator = np.random.default_rng(seed)
    marks = ["", *'()[]{}<>,;"\\=?.\0é', "->", "-1", "0x", "9" * 40, "nan"]
    scraps = [*marks, "tensor<", "string(", "BLOBFILE(", "func "]
    for _ in range(count):
        start, end = sorted(int(i) for i in generator.integers(0, len(text), 2))
        end = min(end, start + int(generator.integers(0, 40)))
        scrap = scraps[int(generator.integers(len(scraps)))]
        kind = int(generator.integers(4))
        if kind == 0:
            yield text[:start]
        elif kind == 1:
            yield text[:start] + text[start:end] * 2 + text[end:]
        elif kind == 2:
            yield text[:start] + scrap + text[end:]
        else:
            yield text[:start] + scrap + text[start:]


@pytest.mark.parametrize("text", [HEAD + FLEXIBLE, SHORT], ids=["1.0", "1.3"])
def test_damaged_texts_only_ever_raise_our_errors(text: str) -> None:
    for seed, damaged in enumerate(mutations(text, 7, 1500)):
        try:
            files = {"model.mil": damaged.encode()}
            load_package(Directory.from_mapping("m.mlmodelc", files))
        except EtCoreMLError:
            continue
        except Exception as error:
            raise AssertionError(f"mutation {seed}: {damaged!r}") from error


def test_time_grows_with_the_length() -> None:
    """A quadratic reader would look at each character again for each operation before it."""
    line = "tensor<fp32, [2]> a{} = add(x = x, y = tensor<fp32, [2]>([0x1p+0, 0x1.8p+1]));\n"
    text = one("".join(line.format(i) for i in range(20_000)))
    parsed = parse_text(text, no_weights)
    assert len(parsed.functions["main"].block.operations) == 20_000


def test_every_opset_is_known() -> None:
    for (name, version), index in zip(SPEC_VERSIONS.items(), itertools.count(5)):
        text = one("f();").replace("ios17", name.lower())
        files = {"model.mil": text.encode()}
        program = load_package(Directory.from_mapping("m.mlmodelc", files))
        assert program.functions["main"].opset == f"CoreML{index}"
        assert program.spec_version == version

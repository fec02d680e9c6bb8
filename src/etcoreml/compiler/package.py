"""Package a converted model as the directory tree of a delegate, byte for byte reproducible.

What enters is a model whose weights lie on disk; what leaves is a
``Package``: the tree ``metadata.json``, ``debug_info.json``, ``model.mlpackage/`` and the debug
handles. coremltools writes dates, random ids and hash-ordered maps into a model; here the date is
dropped, ids come from the content, and every map is sorted. The weights are viewed where they lie.

Source of the format: executorch 1.5.1 ``backends/apple/coreml/runtime`` (what is read), and an
``.mlpackage`` as coremltools 9.0 writes it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from etcoreml.blob import Directory
from etcoreml.compiler.mil_model import BUILD_PREFIX, MilModel
from etcoreml.mil.ct import coremltools

ct = coremltools()

ROOT_NAME = "lowered_module"
MODEL_NAME = "model.mlpackage"
COMPILED_NAME = "model.mlmodelc"
METADATA_NAME = "metadata.json"
DEBUG_INFO_NAME = "debug_info.json"

_AUTHOR = "com.apple.CoreML"
_DATE_KEY = f"{BUILD_PREFIX}.conversion_date"

Handles = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Interface:
    """The names a function of the model is called with, in the order of the delegate's arguments.

    Attributes:
        inputs: Names of the inputs; states are not among them.
        outputs: Names of the outputs.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def to_json(self) -> dict[str, list[str]]:
        """Return the fields of metadata.json."""
        return {"inputNames": list(self.inputs), "outputNames": list(self.outputs)}


@dataclass(frozen=True)
class DebugInfo:
    """Where the operations of a model come from.

    Attributes:
        paths: Debug symbol ``output:operator`` to the path of the operation in the program.
        handles: Debug symbol to the debug handles of the edge nodes it computes, sorted.
        version: Version of coremltools.
        inherited: Debug symbol to debug handles of the operations that coremltools made without
            saying for which node, such as casts: those of their neighbours. They lead events to
            nodes, and are not in debug_info.json, whose symbols stand for the values of nodes.
    """

    paths: Mapping[str, list[dict[str, str]]]
    handles: Handles
    version: str
    inherited: Handles = field(default_factory=dict)

    @property
    def delegate_map(self) -> Handles:
        """What an ETRecord keeps: where the event of each operation leads to."""
        return {**self.handles, **self.inherited}

    def to_json(self) -> dict[str, Any]:
        """Return debug_info.json."""
        return {
            "versionInfo": self.version,
            "debugSymbolToOperationPath": dict(self.paths),
            "debugSymbolToHandles": {symbol: list(each) for symbol, each in self.handles.items()},
        }


@dataclass(frozen=True)
class Package:
    """A model ready to become a blob.

    Attributes:
        directory: The tree of the delegate; views files in the model's own directory.
        identifier: ``executorch_`` and the SHA-256 of the model's files: equal models share it.
        handles: Debug symbol to debug handles, or None without debug information.
    """

    directory: Directory
    identifier: str
    handles: Handles | None


def package_model(model: MilModel, debug_info: DebugInfo | None) -> Package:
    """Package a model with one function.

    Args:
        model: The model; its weight files must outlive the package.
        debug_info: From ``read_debug_info``, or None.
    """
    interface = read_interface(model.spec.description)
    return _package(model, interface.to_json(), debug_info)


def package_functions(model: MilModel, interfaces: Mapping[str, Interface]) -> Package:
    """Package a model with a function per method.

    Args:
        model: The model; its weight files must outlive the package.
        interfaces: Method name to the names it is called with.
    """
    methods = {name: interface.to_json() for name, interface in interfaces.items()}
    return _package(model, {"methods": methods}, None)


def with_compiled(package: Package, model: Directory) -> Package:
    """Return a package that holds a compiled model in place of the one to compile.

    Args:
        package: The package.
        model: The folder of the compiled model; its files must outlive the result.
    """
    tree = Directory.from_mapping(COMPILED_NAME, model.children)
    identifier = f"executorch_{tree.digest()}"
    metadata = json.loads(bytes(package.directory.read(METADATA_NAME)))
    children = {
        **package.directory.children,
        COMPILED_NAME: tree,
        METADATA_NAME: encode_json({**metadata, "identifier": identifier}),
    }
    del children[MODEL_NAME]
    return Package(Directory.from_mapping(ROOT_NAME, children), identifier, package.handles)


def read_interface(description: Any) -> Interface:
    """Return the interface of a model or function description."""
    return Interface(
        tuple(feature.name for feature in description.input),
        tuple(feature.name for feature in description.output),
    )


def read_debug_info(program: Any, handles: Mapping[str, tuple[int, ...]]) -> DebugInfo:
    """Return the debug information of a MIL program.

    Args:
        program: ``coremltools.converters.mil.Program`` with a ``main`` function.
        handles: Output name to debug handles, from ``read_handles``.
    """
    paths: dict[str, list[dict[str, str]]] = {}
    found: dict[str, tuple[int, ...]] = {}
    for function, op, output in _operations(program):
        if output in handles:
            symbol = f"{output}:{op.op_type}"
            found[symbol] = handles[output]
            paths[symbol] = [
                {"Type": "Program"},
                {"Type": "Function", "Name": function},
                {"Type": "Block"},
                {"Type": "Operation", "Operator": op.op_type, "Output": output},
            ]
    return DebugInfo(paths, found, str(ct.__version__), _inherited(program, handles))


def _inherited(program: Any, handles: Handles) -> dict[str, tuple[int, ...]]:
    """Return the handles of operations without any of their own, by debug symbol.

    They have those of the operations that read their results, or else make their inputs.
    """
    known = dict(handles)
    rows = [row for row in _operations(program) if row[1].op_type != "const"]
    for _, op, output in reversed(rows):
        if output not in known:
            readers = (reader for out in op.outputs for reader in out.child_ops if reader.outputs)
            _join(known, output, (reader.outputs[0].name for reader in readers))
    for _, op, output in rows:
        if output not in known:
            given = (var.op for var in op.get_flattened_inputs() if var.op is not None)
            _join(known, output, (maker.outputs[0].name for maker in given))
    return {
        f"{output}:{op.op_type}": known[output]
        for _, op, output in rows
        if output in known and output not in handles
    }


def _join(known: dict[str, tuple[int, ...]], output: str, neighbours: Iterable[str]) -> None:
    joined = {handle for name in neighbours for handle in known.get(name, ())}
    if joined:
        known[output] = tuple(sorted(joined))


def read_handles(program: Any) -> dict[str, tuple[int, ...]]:
    """Return the first output's name of every operation with the debug handles it carries.

    Operations inside nested blocks (branches and loop bodies) are left out: the runtime reports
    the operation that holds the block.
    """
    scope = ct.converters.mil.mil.scope.ScopeSource.EXIR_DEBUG_HANDLE
    handles: dict[str, tuple[int, ...]] = {}
    for _, op, output in _operations(program):
        carried = {handle for handle in op.scopes.get(scope) or () if handle is not None}
        if carried:
            handles[output] = tuple(sorted(carried))
    return handles


def kept_handles(model: MilModel, function: str, handles: Handles) -> Handles:
    """Return the debug handles whose operation a function of a joined model still has.

    Args:
        model: The joined model.
        function: Name of the function.
        handles: Debug symbol to debug handles, from before the model was joined.
    """
    block = model.spec.mlProgram.functions[function]
    operations = block.block_specializations[block.opset].operations
    symbols = {f"{op.outputs[0].name}:{op.type}" for op in operations if op.outputs}
    return {symbol: each for symbol, each in handles.items() if symbol in symbols}


def _operations(program: Any) -> Iterator[tuple[str, Any, str]]:
    """Yield function name, operation and first output's name of the top-level operations."""
    for name, function in program.functions.items():
        for op in function.operations:
            if op.outputs:
                yield name, op, op.outputs[0].name


def _package(model: MilModel, metadata: Mapping[str, Any], debug_info: DebugInfo | None) -> Package:
    """Build the tree; ``metadata`` lacks the identifier, which follows from the files."""
    spec = model.spec
    _drop_date(spec)
    weights = Directory.from_path(model.weights, "weights")
    files: dict[str, Any] = {
        "Manifest.json": _manifest(),
        "Data": {
            _AUTHOR: {
                "model.mlmodel": spec.SerializeToString(deterministic=True),
                "weights": weights,
            }
        },
    }
    tree = Directory.from_mapping(MODEL_NAME, files)
    identifier = f"executorch_{tree.digest()}"
    files = {
        MODEL_NAME: tree,
        METADATA_NAME: encode_json({"identifier": identifier, **metadata}),
    }
    if debug_info is not None:
        files[DEBUG_INFO_NAME] = encode_json(debug_info.to_json())
    handles = None if debug_info is None else debug_info.delegate_map
    return Package(Directory.from_mapping(ROOT_NAME, files), identifier, handles)


def _drop_date(spec: Any) -> None:
    """Remove the day of conversion, and order what else coremltools notes about the build."""
    spec.description.metadata.userDefined.pop(_DATE_KEY, None)
    build = spec.mlProgram.attributes.get("buildInfo")
    if build is None:
        return
    values = build.immediateValue.dictionary.values

    def key(pair: Any) -> str:
        return str(pair.key.immediateValue.tensor.strings.values[0])

    kept = sorted((pair for pair in values if "date" not in key(pair)), key=key)
    del values[:]
    values.extend(kept)


def _manifest() -> bytes:
    """Return Manifest.json; the ids only have to differ within the package."""

    def entry(name: str, description: str) -> tuple[str, dict[str, str]]:
        path = f"{_AUTHOR}/{name}"
        item = {"author": _AUTHOR, "description": description, "name": name, "path": path}
        return str(uuid.uuid5(uuid.NAMESPACE_URL, path)).upper(), item

    model, item = entry("model.mlmodel", "CoreML Model Specification")
    weights, other = entry("weights", "CoreML Model Weights")
    return encode_json(
        {
            "fileFormatVersion": "1.0.0",
            "itemInfoEntries": {model: item, weights: other},
            "rootModelIdentifier": model,
        }
    )


def encode_json(value: object) -> bytes:
    """Return JSON that depends on the value alone, as the files of a package have it."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False).encode("utf-8")

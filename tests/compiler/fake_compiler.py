"""A compiler for tests: writes a package as a compiled model, or does one thing wrong.

``python -m tests.compiler.fake_compiler HOW PACKAGE FOLDER``
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from etcoreml.blob import Directory
from etcoreml.mil import load_package
from etcoreml.mil.files import open_directory
from tests.mil.printed import compiled_files

if __name__ == "__main__":
    how, package, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if how == "fails":
        sys.exit("error: it does not work\n")
    if how == "silent":
        sys.exit(0)
    program = load_package(open_directory(package))
    if how == "function":
        (function,) = program.functions.values()
        functions = {"other": replace(function, name="other")}
        program = replace(
            program,
            functions=MappingProxyType(functions),
            default_function="other",
            signatures=MappingProxyType({}),
        )
    metadata = {"defaultFunctionName": program.default_function}
    files = compiled_files(program, metadata=metadata)
    if how == "weights":
        weights = bytearray(files["weights"]["weight.bin"])
        weights[-1] ^= 1
        files["weights"] = {"weight.bin": bytes(weights)}
    if how == "op":
        files["model.mil"] = files["model.mil"].replace(b" relu(", b" tanh(")
    if how == "output":
        name = program.functions["main"].block.outputs[0].encode()
        files["model.mil"] = files["model.mil"].replace(name, b"renamed")
    if how == "rubbish":
        files["model.mil"] = b"program(1.0)"
    Directory.from_mapping("model.mlmodelc", files).extract(folder / "model.mlmodelc")

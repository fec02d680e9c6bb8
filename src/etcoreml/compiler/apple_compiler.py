"""Compile a package with Apple's compiler, and verify what comes back.

What enters is the folder of an ``.mlpackage``; what leaves is that of an ``.mlmodelc``. The
compiler is ``coremlcompiler`` of Xcode on a Mac, or a command of the user's in the environment
variable ``ETCOREML_COMPILER``, such as a script that hands the package to a Mac through ssh. It is
called with two more arguments, the package and a folder, and puts ``model.mlmodelc`` into that.

The result is stored only if it is the model that was given: the same functions with the same
inputs, outputs and states, the same weights and ops.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from etcoreml.blob import Directory
from etcoreml.compiler.package import COMPILED_NAME, MODEL_NAME, Package, with_compiled
from etcoreml.compiler.specs import ModelType
from etcoreml.errors import CompilerError, EtCoreMLError
from etcoreml.mil import MilProgram, load_package
from etcoreml.mil.files import open_directory
from etcoreml.mil.program import Block, Constant, Feature, Function

ENVIRONMENT = "ETCOREML_COMPILER"

_XCODE = ("xcrun", "coremlcompiler", "compile")
_LEAST_WEIGHT = 16
"""Elements of a constant that counts as a weight; what is smaller are parameters of ops."""
_NO_OPS = frozenset({"const", "identity"})
_LAST_LINES = 5


def compiler_command() -> list[str]:
    """Return the command that compiles, without its two arguments.

    Raises:
        CompilerError: There is none.
    """
    given = os.environ.get(ENVIRONMENT, "").strip()
    if given:
        command = shlex.split(given)
        if shutil.which(command[0]) is None:
            what = f"lowering: the command of {ENVIRONMENT} does not exist"
            raise CompilerError(what, found=command[0])
        return command
    if sys.platform == "darwin" and shutil.which(_XCODE[0]) is not None:
        return list(_XCODE)
    what = "lowering: ModelType.COMPILED_MODEL needs Apple's coremlcompiler, which is not here"
    raise CompilerError(
        what,
        expected=f"Xcode, or a command in the environment variable {ENVIRONMENT}",
        hint=f"Let {ENVIRONMENT} name a script that compiles on a Mac, through ssh for one "
        "(docs/options.md), or take ModelType.MODEL, which Apple's runtime compiles when it loads "
        "it for the first time.",
    )


@contextlib.contextmanager
def stored(package: Package, model_type: ModelType) -> Iterator[Package]:
    """Yield a package as a delegate carries it, its model compiled if that was asked for.

    Raises:
        CompilerError: As ``compiled``.
    """
    if model_type is ModelType.MODEL:
        yield package
        return
    model = package.directory.find(MODEL_NAME)
    assert isinstance(model, Directory)
    with compiled(model) as result:
        yield with_compiled(package, result)


@contextlib.contextmanager
def compiled(package: Directory) -> Iterator[Directory]:
    """Compile a package and yield the compiled model, whose files are gone after the block.

    Args:
        package: The folder of an ``.mlpackage``.

    Raises:
        CompilerError: There is no compiler, it failed, or its result is another model.
    """
    command = compiler_command()
    with tempfile.TemporaryDirectory(prefix="etcoreml_") as folder:
        source, target = Path(folder, MODEL_NAME), Path(folder, "compiled")
        package.extract(source)
        target.mkdir()
        _run([*command, str(source), str(target)])
        yield _verified(target, package)


def _run(command: Sequence[str]) -> None:
    shown = shlex.join(command[:-2])
    try:
        done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    except OSError as error:
        what = f"lowering: the compiler {shown} cannot be started"
        raise CompilerError(what, found=error.strerror) from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
        what = f"lowering: the compiler {shown} failed with exit code {done.returncode}"
        raise CompilerError(what, found="\n".join(said[-_LAST_LINES:]) or "no message")


def _verified(target: Path, package: Directory) -> Directory:
    """Return the compiled model in a folder after comparing it with its package."""
    made = target / COMPILED_NAME
    if not made.is_dir():
        what = "lowering: the compiler ended well and left no model"
        names = ", ".join(sorted(path.name for path in target.iterdir()))
        raise CompilerError(what, found=names or "an empty folder", expected=COMPILED_NAME)
    try:
        directory = open_directory(made)
        result = load_package(directory)
    except EtCoreMLError as error:
        what = "lowering: what the compiler made is no ML Program"
        raise CompilerError(what, found=error.message) from error
    _compare(result, load_package(package))
    return directory


def _compare(found: MilProgram, given: MilProgram) -> None:
    """Refuse a compiled model that is not the one that was given."""
    _same("functions", _functions(found), _functions(given))
    for name, function in given.functions.items():
        where = f"of function {name}"
        result = found.functions[name]
        _same(f"inputs {where}", _ports(result), _ports(function))
        _same(f"outputs {where}", result.block.outputs, function.block.outputs)
        if name in found.signatures and name in given.signatures:
            for kind in ("inputs", "outputs"):
                pair = (_described(program, name, kind) for program in (found, given))
                _same(f"described {kind} {where}", *pair)
        ops, weights = _contents(result)
        given_ops, given_weights = _contents(function)
        _same(f"ops {where}", *(_difference(ops, given_ops)))
        if weights != given_weights:
            what = f"lowering: the compiled model has other weights in function {name}"
            raise CompilerError(
                what,
                found=f"{len(weights - given_weights)} that the model has not",
                expected=f"{len(given_weights - weights)} that are missing",
            )


def _same(what: str, found: object, given: object) -> None:
    if found != given:
        message = f"lowering: the compiled model has other {what}"
        raise CompilerError(message, found=found, expected=given)


def _functions(program: MilProgram) -> tuple[str, list[str]]:
    return program.default_function, sorted(program.functions)


def _ports(function: Function) -> list[str]:
    return [f"{each.name}: {each.type}" for each in (*function.inputs, *function.states)]


def _described(program: MilProgram, function: str, kind: str) -> list[tuple[object, ...]]:
    features: tuple[Feature, ...] = getattr(program.signatures[function], kind)
    return [(each.name, each.kind, each.dtype, each.ranges, each.enumerated) for each in features]


def _difference(found: Counter[str], given: Counter[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Return the counts in which two differ."""
    names = sorted(name for name in found | given if found[name] != given[name])
    return {name: found[name] for name in names}, {name: given[name] for name in names}


def _contents(function: Function) -> tuple[Counter[str], set[bytes]]:
    """Return a function's ops by type, and the digests of its weights."""
    ops: Counter[str] = Counter()
    weights: set[bytes] = set()
    blocks = [function.block]
    for block in blocks:  # grows
        for constant in _constants(block):
            type_, data = constant.type, constant.data
            if isinstance(data, np.ndarray) and data.size >= _LEAST_WEIGHT:
                digest = hashlib.sha256(f"{type_} ".encode())
                digest.update(np.ascontiguousarray(data).data.cast("B"))
                weights.add(digest.digest())
        for operation in block.operations:
            ops[operation.type] += operation.type not in _NO_OPS
            blocks.extend(operation.blocks)
    return +ops, weights


def _constants(block: Block) -> Iterator[Constant]:
    for operation in block.operations:
        yield from operation.attributes.values()
        for arguments in operation.inputs.values():
            yield from (each for each in arguments if isinstance(each, Constant))

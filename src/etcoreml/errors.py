"""Every error etcoreml raises, in one tree.

* EtCoreMLError
  + UsageError                    a command line or call that cannot mean anything
    - OptionError                 an option of MLModel is unknown or cannot be had (a ValueError)
    - FeatureNameError            a model has no such input, or one was left out (a KeyError)
    - FeatureTypeError            a value cannot become what the input is (a TypeError)
    - StateError                  a state is missing, unknown or another model's (a RuntimeError)
  + UnsupportedOpError            an op or one of its options is outside what a stage can do
  + ExportError                   a model could not be exported
    - CheckpointError             a config.json or its weights do not make a model
  + QuantizerConfigError          the quantiser cannot do as it was told (also a ValueError)
  + RecipeError                   an export recipe cannot be made so (also a ValueError)
  + PartitionError                a partitioner cannot do as it was told
    - PartitionOptionError        contradictory options (also a ValueError)
    - FullGraphError              a whole graph cannot be lowered (also a NotImplementedError)
  + LowerError                    a partition could not become a Core ML program
    - CompileSpecError            an unknown compile spec key or value (also a ValueError)
    - DeploymentTargetError       an op needs a newer deployment target (also a ValueError)
    - BackendConflictError        another class named CoreMLBackend would be used instead of ours
  + CompilerError                 Apple's compiler is missing, failed, or made another model
  + FrameworkError                ExecuTorch's frameworks cannot be built, or were not
  + BlobError                     the delegate blob breaks a rule of docs/blob-format.md
    - BlobFooterError, BlobMetadataSizeError, BlobSchemaError, BlobRegionError, BlobOverlapError,
      BlobIndexError, BlobCycleError, BlobNameError, BlobEmptyFileError, BlobPathError,
      BlobReferenceError
  + ModelError                    a Core ML model cannot be loaded
    - PackageError                a file of the package is missing or contradicts another
    - ModelTypeError              the model is not an ML Program
    - WeightError                 a weight file entry is out of bounds or has the wrong type
  + EngineError                   the portable engine cannot translate or run a program
    - DuplicateTranslatorError, DeviceError, ShapeError, DtypeError
  + DelegateError                 the ExecuTorch delegate failed
    - BridgeError                 the native bridge cannot be loaded or registered
    - OverlapError                two threads executed one method at once
    - DebugBufferError            intermediate values do not fit the debug buffer
  + ProjectError                  an app or a check cannot be made of a .pte
  + DeviceReportError             what a check on a device wrote is damaged, or of another model
  + ProgramError                  a .pte cannot be loaded or has no such method
  + PrecisionError                no choice of nodes in fp32 comes close enough to eager
  + PlanError                     Core ML gives no compute plan of a model
  + CompareError                  a comparison is past its threshold (exit code 3)

A message has four parts, of which only the first is required: the stage and object, what was
found, what was expected, and a hint.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


class EtCoreMLError(Exception):
    """Base of every error raised on purpose by etcoreml.

    Args:
        what: The stage and the object by name, and what is wrong with it.
        found: What was found.
        expected: What was expected instead.
        hint: Something to try.

    Attributes:
        exit_code: Exit status the command line ends with.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        found: object = None,
        expected: object = None,
        hint: str | None = None,
    ) -> None:
        self.what = what
        self.found = found
        self.expected = expected
        self.hint = hint
        super().__init__(what)

    @property
    def message(self) -> str:
        """The error in one line, without the hint."""
        parts = [self.what]
        if self.found is not None:
            parts.append(f"found {self.found}")
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        return "; ".join(parts)

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\nHint: {self.hint}"


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have every error that leaves the block name a file, unless it does already."""
    try:
        yield
    except EtCoreMLError as error:
        if str(path) not in error.what:
            error.what = f"'{path}': {error.what}"
        raise


class UsageError(EtCoreMLError):
    """A command line or call that cannot mean anything."""

    exit_code = 2


class OptionError(UsageError, ValueError):
    """An option of MLModel is unknown, or means something that this machine cannot do."""


class FeatureNameError(UsageError, KeyError):
    """A model has no feature of this name, or an input was left out."""


class FeatureTypeError(UsageError, TypeError):
    """A value is of a type that cannot become what the model's input is."""


class StateError(UsageError, RuntimeError):
    """A state is missing, unknown, or was made by another model."""


class UnsupportedOpError(EtCoreMLError):
    """An op, or one option of an op, is outside what the stage can do."""


class ExportError(EtCoreMLError):
    """A model could not be exported."""


class QuantizerConfigError(EtCoreMLError, ValueError):
    """The quantiser's configuration asks for what it cannot do."""


class RecipeError(EtCoreMLError, ValueError):
    """An export recipe has no such option, or contradicts one."""


class CheckpointError(ExportError):
    """A ``config.json`` or the weights beside it do not make a model that is known here."""


class PartitionError(EtCoreMLError):
    """A partitioner cannot do as it was told."""


class PrecisionError(EtCoreMLError, ValueError):
    """No choice of nodes in fp32 brings a program as close to eager as was asked for."""


class PartitionOptionError(PartitionError, ValueError):
    """The partitioner was given contradictory options."""


class FullGraphError(PartitionError, NotImplementedError):
    """A whole graph was asked for, and a node of it cannot be lowered."""


class LowerError(EtCoreMLError):
    """A partition could not be turned into a Core ML program.

    Attributes:
        node: Name of the node at fault, where one is known.
        by_option: Whether what an option asks for failed, so that no node is at fault.
    """

    node: str | None = None
    by_option: bool = False


class CompileSpecError(LowerError, ValueError):
    """A compile spec has an unknown key or a value outside its domain."""


class DeploymentTargetError(LowerError, ValueError):
    """A partition needs a newer deployment target than the one asked for.

    Attributes:
        needed: The oldest ``coremltools.target`` that may do.
    """

    needed: object = None


class BackendConflictError(LowerError):
    """ExecuTorch would resolve ``CoreMLBackend`` to a class that is not ours."""


class CompilerError(EtCoreMLError):
    """Apple's compiler is missing or failed, or what it made is not the model it was given."""


class FrameworkError(EtCoreMLError):
    """ExecuTorch's frameworks for Apple systems cannot be built, or did not come out."""


class BlobError(EtCoreMLError):
    """A delegate blob breaks a rule of docs/blob-format.md."""


class BlobFooterError(BlobError):
    """The blob does not end with a byte-reversed JSON object."""


class BlobMetadataSizeError(BlobError):
    """The metadata is longer than Apple's reader accepts (10 MiB)."""


class BlobSchemaError(BlobError):
    """The metadata is JSON, but not a list of nodes of the documented shape."""


class BlobRegionError(BlobError):
    """A file's region lies outside the data."""


class BlobOverlapError(BlobError):
    """The regions of two files overlap."""


class BlobIndexError(BlobError):
    """A directory refers to a node that does not exist."""


class BlobCycleError(BlobError):
    """The nodes are not one tree: one is its own ancestor, or has no or two directories."""


class BlobNameError(BlobError):
    """A node's name is empty, ``.``, ``..`` or holds a separator or NUL."""


class BlobEmptyFileError(BlobError):
    """A file is empty, which Apple's writer cannot represent."""


class BlobPathError(BlobError):
    """A path does not exist in the blob, or is not of the requested kind."""


class BlobReferenceError(BlobError):
    """A ``CMJR`` reference is malformed or names data that the program does not carry."""


class ModelError(EtCoreMLError):
    """A Core ML model cannot be loaded."""


class PackageError(ModelError):
    """A file of a model package is missing or contradicts another."""


class ModelTypeError(ModelError):
    """The model is not an ML Program."""


class WeightError(ModelError):
    """An entry of a weight file is out of bounds or has the wrong type."""


class EngineError(EtCoreMLError):
    """The portable engine cannot translate or run a program."""


class DuplicateTranslatorError(EngineError):
    """Two functions claim the same MIL op type."""


class DeviceError(EngineError):
    """No device of this machine serves the requested compute unit."""


class ShapeError(EngineError):
    """A tensor does not have the shape the program declares."""


class DtypeError(EngineError):
    """A tensor does not have the dtype the program declares."""


class DelegateError(EtCoreMLError):
    """The ExecuTorch delegate failed."""


class BridgeError(DelegateError):
    """The native bridge cannot be loaded or registered."""


class OverlapError(DelegateError):
    """Two threads executed one method, or two methods that share memory, at once."""


class DebugBufferError(DelegateError):
    """The debug buffer of an ETDump has no room for the intermediate values of a run."""


class ProjectError(EtCoreMLError):
    """An Xcode project or a Swift package cannot be made of a .pte."""


class DeviceReportError(EtCoreMLError):
    """The report of a check on a device is damaged, or of another model."""


class ProgramError(EtCoreMLError):
    """A .pte cannot be loaded, or has no such method."""


class PlanError(EtCoreMLError):
    """Core ML gives no compute plan of a model."""


class CompareError(EtCoreMLError):
    """A comparison is past its threshold."""

    exit_code = 3

"""Names of Swift and Objective-C made from those of a model."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from etcoreml.errors import UsageError

# Swift's and Objective-C's, and what the generated types define themselves.
_RESERVED = """
    actor any as associatedtype async await auto bool break case catch char class const continue
    copy default defer deinit description didSet do double else enum extension extern fallthrough
    false fileprivate final float for func get goto guard hash id if import in indirect init inline
    inout int internal is lazy let long mutating nil nonatomic open operator optional override
    postfix precedencegroup prefix private protocol public register repeat required restrict
    rethrows retain return sample self set short signed sizeof some static strong struct subscript
    super switch throw throws true try typealias typedef unowned union unsigned values var void
    volatile weak where while willSet zone
    """
# Modules that an app imports, and types of this project: a product of their name hides them.
_TAKEN = """
    App ContentView CoreGraphics CoreML ExecuTorch ExecuTorchDump Foundation Model ModelRunner
    PhotosUI Swift SwiftUI UIKit XCTest
    """
# Objective-C's ARC takes methods of these names to return what the caller owns.
_OWNED = re.compile(r"(new|copy|mutableCopy|alloc|init)(?![a-z])")
_NAME = re.compile(r"[A-Z][A-Za-z0-9]{0,49}")


def app_name(given: str | None, model: Path) -> str:
    """Return the name of an app: the one given, or one made of the model's.

    Raises:
        UsageError: The given one cannot be a Swift module's.
    """
    if given is None:
        words = re.findall(r"[A-Za-z0-9]+", model.stem)
        name = "".join(word[0].upper() + word[1:] for word in words)[:50]
        name = name if _NAME.fullmatch(name) else f"Model{name}"[:50]
        return f"{name}App" if name in _TAKEN.split() else name
    if not _NAME.fullmatch(given) or given in _TAKEN.split():
        raise UsageError(
            f"--name '{given}' cannot be an app's",
            found="a name that its own modules have" if given in _TAKEN.split() else given,
            expected="a capital letter, then letters and digits, 50 at most",
        )
    return given


def variables(names: Iterable[str]) -> list[str]:
    """Return a variable's name for each name, all different.

    >>> variables(["input_ids", "x", "x", "class", "0", "new_state"])
    ['inputIds', 'x', 'x2', 'class_', '_0', 'valueNewState']
    """
    taken: set[str] = set()
    result = []
    for name in names:
        head, *rest = re.findall(r"[A-Za-z0-9]+", name) or ["value"]
        plain = head[0].lower() + head[1:] + "".join(each[0].upper() + each[1:] for each in rest)
        if _OWNED.match(plain):
            plain = f"value{plain[0].upper()}{plain[1:]}"
        plain = f"_{plain}" if plain[0].isdigit() else plain
        plain = f"{plain}_" if plain in _RESERVED.split() else plain
        number, unique = 2, plain
        while unique in taken:
            unique, number = f"{plain}{number}", number + 1
        taken.add(unique)
        result.append(unique)
    return result

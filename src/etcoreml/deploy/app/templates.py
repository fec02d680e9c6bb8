"""The files of a project that are the same for all but a few names.

They lie beside this module, as they are written, with names like ``__NAME__`` to fill in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

_BLANK = re.compile(r"__[A-Z][A-Z0-9_]*[A-Z0-9]__")


@cache
def _template(name: str) -> str:
    return (files("etcoreml.deploy.app") / "templates" / name).read_text(encoding="utf-8")


def filled(name: str, values: Mapping[str, str]) -> str:
    """Return a template with its blanks filled in.

    Args:
        name: Its path below ``templates``.
        values: By the blank's name, without the underscores.

    Raises:
        KeyError: A blank has no value.
    """
    return _BLANK.sub(lambda match: values[match[0].strip("_")], _template(name))

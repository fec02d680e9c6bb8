"""The report as one page of HTML: the data, a style and a script, and nothing from elsewhere.

The charts are drawn by the page's own script as HTML and SVG: a charting library would weigh a
hundred times as much (plotly: 4 MB), and none draws a graph as rails beside a list of modules.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

_SCRIPTS = ("base", "rails", "graph", "flame", "table", "precision", "plan", "sections")
"""Parts of the script, in the order in which they need each other."""


def page(document: Mapping[str, Any]) -> str:
    """Return the page.

    Its content security policy names the hashes of its style and its script, and allows nothing
    else: no network, and no code in a name that a model brings.

    Args:
        document: Of ``Report.to_dict``; numbers that JSON lacks become null.
    """
    style = _part("report.css")
    script = "(() => {\n" + "\n".join(_part(f"{name}.js") for name in _SCRIPTS) + "\n})();\n"
    policy = (
        f"default-src 'none'; style-src 'sha256-{_hash(style)}'; "
        f"script-src 'sha256-{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": policy,
        "title": html.escape(f"{document['model']} · etcoreml report"),
        "style": style,
        "data": _embedded(document),
        "script": script,
    }
    text = _part("report.html")
    before, *rest = text.split("{{")
    filled = [before]
    for piece in rest:
        name, _, after = piece.partition("}}")
        filled += [parts[name], after]
    return "".join(filled)


def _part(name: str) -> str:
    return (files("etcoreml.report") / "template" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _embedded(document: Mapping[str, Any]) -> str:
    """Return JSON that cannot end the element that it is in."""
    text = json.dumps(_finite(document), allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""What a benchmark writes: its document, and figures in a page under docs/, between two marks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from etcoreml.atomic import write_atomic

START, END = "<!-- measured -->\n", "<!-- until here -->\n"


def write(document: Mapping[str, Any], output: Path, figures: str, page: Path | None) -> None:
    """Write a document as JSON and, where a page is given, its figures between the page's marks.

    Args:
        document: What was measured.
        output: Where it goes.
        figures: It as Markdown.
        page: To publish it in.

    Raises:
        ValueError: The page lacks its marks.
    """
    output.parent.mkdir(exist_ok=True)
    data = json.dumps(document, indent=1).encode()
    write_atomic(output, lambda file: file.write(data))
    if page is not None:
        body = replaced(page.read_text(encoding="utf-8"), figures).encode()
        write_atomic(page, lambda file: file.write(body))


def replaced(page: str, figures: str, start: str = START) -> str:
    """Return a page with other figures between its marks.

    Args:
        page: Its text.
        figures: What is to be there.
        start: The first mark, where a page has several sections.

    Raises:
        ValueError: The page lacks them.
    """
    before, _, rest = page.partition(start)
    _, mark, after = rest.partition(END)
    if not mark:
        msg = "the page lacks its marks"
        raise ValueError(msg)
    return before + start + figures + END + after

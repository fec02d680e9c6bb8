"""Figures in a page under docs/, between two marks."""

from __future__ import annotations

START, END = "<!-- measured -->\n", "<!-- until here -->\n"


def replaced(page: str, figures: str) -> str:
    """Return a page with other figures between its marks.

    Raises:
        ValueError: The page lacks them.
    """
    before, _, rest = page.partition(START)
    _, mark, after = rest.partition(END)
    if not mark:
        msg = "the page lacks its marks"
        raise ValueError(msg)
    return before + START + figures + END + after

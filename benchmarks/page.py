"""Figures in a page under docs/, between two marks."""

from __future__ import annotations

START, END = "<!-- measured -->\n", "<!-- until here -->\n"


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

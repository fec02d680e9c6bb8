"""Links between pages lead to files that exist, and to headings of theirs.

Oracle: the files, and GitHub's rule for a heading's anchor.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))

_LINK = re.compile(r"\]\((?![a-z]+:)<?([^)#\s>]*)#?([^)\s>]*)>?[^)]*\)")


def prose(text: str) -> str:
    """A page without its blocks of code, and without code between backquotes."""
    return re.sub(r"`[^`\n]*`", "", _unfenced(text))


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings; a heading that comes again gets a number."""
    found: set[str] = set()
    seen: Counter[str] = Counter()
    for heading in re.findall(r"^#+ (.*)$", _unfenced(text), re.MULTILINE):
        shown = re.sub(r"\]\([^)]*\)", "", heading)
        name = re.sub(r"[^\w -]", "", shown).strip().lower().replace(" ", "-")
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def broken(page: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    found = []
    for target, anchor in _LINK.findall(prose(page.read_text())):
        path = page.parent / target if target else page
        if not path.exists():
            found.append(target)
        elif anchor and path.suffix == ".md" and anchor not in anchors(path.read_text()):
            found.append(f"{target}#{anchor}")
    return found


def _unfenced(text: str) -> str:
    return re.sub(r"^( *)```.*?^\1```", "", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    page, other = tmp_path / "page.md", tmp_path / "other.md"
    other.write_text("# `A` heading, twice\n## `A` heading, twice\n```\n# no heading\n```\n")
    page.write_text(
        "# Here\n[a](other.md#a-heading-twice) [b](other.md#a-heading-twice-1) [c](#here)\n"
        "[d](missing.md) [e](other.md#no-heading) [f](#there) `[g](code.md)`\n"
        "[h](https://example.org/missing.md)\n```\n[i](block.md)\n```\n"
    )
    assert broken(page) == ["missing.md", "other.md#no-heading", "#there"]

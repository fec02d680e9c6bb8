"""Sizes and counts as people read them: three digits and a decimal prefix."""

from __future__ import annotations

_PREFIXES = ("", "k", "M", "G", "T", "P")


def megabytes(nbytes: int) -> str:
    """Return a size for people, in decimal units.

    >>> megabytes(9_412_000)
    '9.41 MB'
    >>> megabytes(512)
    '512 B'
    """
    return scaled(nbytes, "B")


def scaled(number: int, unit: str) -> str:
    """Return a count with its unit.

    >>> scaled(385_000_000, "FLOPs")
    '385 MFLOPs'
    >>> scaled(999_999, "B")
    '1 MB'
    """
    exponent = 0
    value = float(number)
    while value >= 999.5 and exponent < len(_PREFIXES) - 1:
        value /= 1000
        exponent += 1
    return f"{value:.3g} {_PREFIXES[exponent]}{unit}"


def counted(number: int, noun: str) -> str:
    """Return a number of things, in English: the plural takes an s.

    >>> counted(1, "input"), counted(0, "case"), counted(2, "more row")
    ('1 input', '0 cases', '2 more rows')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def percent(part: int, whole: int) -> str:
    """Return a share; of nothing, everything.

    What is neither nothing nor all never reads as if it were.

    >>> percent(1, 3)
    '33.3 %'
    >>> percent(9999, 10000)
    '99.9 %'
    >>> percent(1, 100000)
    '0.1 %'
    """
    share = 100 * part / whole if whole else 100.0
    if 0 < part < whole:
        share = min(max(share, 0.1), 99.9)
    return f"{share:.1f} %"

"""The numerics modes, and which of them the engine honours.

``fast``: fp16 weights, f32 arithmetic. ``faithful``: every fp16 value is rounded to fp16.
``turbo``: bf16 where the CPU has it.
"""

from __future__ import annotations

from etcoreml.errors import UsageError

NUMERICS = ("fast", "faithful", "turbo")
HONOURED = ("fast",)


def check_numerics(numerics: str) -> None:
    """Refuse a mode that does not exist or is not built yet.

    Raises:
        UsageError: ``numerics`` is not one of ``HONOURED``.
    """
    if numerics in HONOURED:
        return
    known = numerics in NUMERICS
    problem = "is not available in this version" if known else "does not exist"
    raise UsageError(
        f"engine: numerics mode {numerics!r} {problem}", expected=" or ".join(map(repr, HONOURED))
    )

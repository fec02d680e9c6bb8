"""What a user can change so that a node goes to Core ML, where something is known to help.

What enters is a reason of ``partition``'s rules and the op it is about; what leaves is advice in a
sentence, or None.
"""

from __future__ import annotations

import re

_TARGET = "lower with minimum_deployment_target {0} (etcoreml export --deployment-target {0})"

ADVICE: tuple[tuple[str, str], ...] = (
    (r"minimum_deployment_target (\w+\d+)", _TARGET),
    (r"Core ML has the op from (\w+\d+) on", _TARGET),
    (r"Core ML takes bool, float16, float32 and int32", "cast to float32 or int32 before it"),
    (r"computes int64 as int32", "use a constant within int32, e.g. 2**31 - 1 for 'no limit'"),
    (r"up to rank \d", "merge dimensions with reshape before it and split them after it"),
    (r"contiguous tensors only|not contiguous", "call .contiguous() on what it reads"),
    (r"asked to leave the op out", "drop the op from skip_ops_for_coreml_delegation"),
    (r"asked to keep buffers outside", "leave take_over_mutable_buffer at True"),
    (r"control flow", "use torch.where on both results where both can be computed"),
    (r"takes batched tensors", "add a dimension of size 1 in front, x.unsqueeze(0)"),
    (r"neither dilation nor indices", "drop return_indices and dilation"),
    (r"has no dilation", "drop the dilation"),
    (r"average pooling has no divisor", "drop divisor_override and multiply the result"),
    (r"antialias", "resize without antialias, or in the app's pre-processing"),
    (r"Core ML's attention takes", "repeat the key's and value's heads to match, in rank 4"),
    (r"bool tensors only", "compute with comparisons and bool tensors"),
    (r"whose size varies cannot be a constant", "export with a fixed size"),
    (
        r"size varies|expression of other sizes|size computed outside|uses? is used outside",
        "export with fixed sizes, or compute the size from one input only",
    ),
    (r"pads by sizes of zero or more", "slice instead of padding by negative sizes"),
    (r"state is float16, and compute_precision", "lower with compute_precision float16"),
    (r"state is float16, which does not hold", "keep the buffer in float16 or float32"),
    (r"state starts as zeros", "start the buffer with zeros and add the initial value in forward"),
    (r"rms_norm", "write it as x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * weight"),
)
"""Pattern in a reason, and what helps; ``{0}`` is what the pattern's group matched."""

REPLACEMENTS: dict[str, str] = {
    "aten.acosh.default": "write torch.log(x + torch.sqrt(x * x - 1))",
    "aten.nextafter.default": "compute it ahead of time, or before the model",
    "aten.linalg_inv_ex.default": "solve small systems in closed form, or invert constants ahead "
    "of time",
    "aten.linalg_cholesky_ex.default": "factorise ahead of time, or before the model",
    "aten.linalg_qr.default": "factorise ahead of time, or before the model",
    "aten._linalg_det.default": "write out the determinant of a small matrix",
    "aten._linalg_svd.default": "decompose ahead of time, or before the model",
    "aten._linalg_solve_ex.default": "solve small systems in closed form, or ahead of time",
    "aten.linalg_matrix_exp.default": "write a few terms of the series with matmul",
    "aten._unique2.default": "compare with all candidates, (x[:, None] == values), whose size is "
    "known",
    "aten.bincount.default": "write torch.nn.functional.one_hot(x, n).sum(0), whose size is known",
}
"""Op without a converter, and what to write in its place."""

_NO_KERNEL = "or link a kernel for it into the app"


def advice(
    op: str, reason: str, lacks_kernel: bool = False, newer_target: str | None = None
) -> str | None:
    """Return what a user can change about a node that stayed outside.

    Args:
        op: The node's op, e.g. ``aten.acosh.default``.
        reason: Why it stayed outside.
        lacks_kernel: Whether ExecuTorch cannot run it either.
        newer_target: The deployment target that takes it, where there is one.
    """
    newer = None if newer_target is None else _TARGET.format(newer_target)
    found = newer or REPLACEMENTS.get(op) or _by_reason(reason)
    if not lacks_kernel:
        return found
    return f"{found or 'rewrite that line without the op'}; {_NO_KERNEL}"


def _by_reason(reason: str) -> str | None:
    for pattern, text in ADVICE:
        match = re.search(pattern, reason)
        if match is not None:
            return text.format(*match.groups())
    return None

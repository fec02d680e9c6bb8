"""Cases that reach a prediction and do not pass, and why: the table of docs/peers.md.

A row that no longer describes a failure is an error of the run, and so is a failure without a row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """Some cases that fail for one reason.

    Attributes:
        pattern: Regular expression, searched in the node id.
        reason: A sentence for the table.
        always: Whether every case that matches fails; else at least one of them does.
    """

    pattern: str
    reason: str
    always: bool = True

    def matches(self, test: str) -> bool:
        """Whether the row speaks of this test."""
        return re.search(self.pattern, test) is not None


KNOWN = (
    Known(
        r"iOS14/test_tensor_operation.*TestFill::test_builder_to_backend_symbolic",
        "A shape of varying length makes a result of varying rank, which OpenVINO cannot return.",
    ),
    Known(
        r"TestNormalizationLocalResponseNorm::test_builder_to_backend_smoke.*precision='fp32'",
        "The expected values sum over one channel at rank 3. MIL's documentation, torch and the "
        "other tests of this op sum over the neighbouring ones, and so does the engine.",
    ),
    Known(
        r"iOS15/test_image_resizing.*TestCropResize::test_builder_to_backend_smoke",
        "A box of swapped corners that lies outside the image: Core ML answers with the corners of "
        "the image, the documentation with padding.",
    ),
    Known(
        r"TestCropResize::test_builder_to_backend_ios(16|17).*'fp32'",
        "The expected value is written as 7.899 where the formula gives 7.9; in fp16 the tolerance "
        "covers that.",
        always=False,
    ),
    Known(
        r"iOS15/test_image_resizing.*TestResample::test_builder_to_backend_smoke.*'fp32'",
        "The predictions agree; then the test counts casts to fp16 in a program without fp16.",
    ),
    Known(
        r"TestScatter\w*::test_ios17_invalid_indices",
        "Core ML refuses indices out of range, or gives other values than the sensible ones; here "
        "they are undefined, with validate_indices too.",
        always=False,
    ),
    Known(
        r"TestBatchNorm::test_batchnorm_fp16_weight_with_fp32_param.*'fp32'",
        "The expected value is that of eager PyTorch in fp16, whose rounding the tolerance for "
        "fp32 does not cover.",
    ),
    Known(
        r"TestGather::test_gather_nd_int16_indices.*'fp32'.*dynamic=True",
        "The predictions agree; then the test looks for casts to int16, which a pass for fp16 "
        "programs inserts.",
    ),
)

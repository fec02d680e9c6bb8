"""Lines of the user's model in stack traces of torch.export, written out here."""

from __future__ import annotations

import pytest

from etcoreml.trace.source import source_line

OWN = '  File "/home/me/model.py", line 12, in forward\n    x = self.conv(x)'
VISION = '  File "/venv/lib/python3.11/site-packages/torchvision/models/vgg.py", line 3, in forward'
TORCH = '  File "/venv/lib/python3.11/site-packages/torch/nn/modules/conv.py", line 548, in forward'
SHORT = '  File "torch/nn/modules/container.py", line 250, in forward'
MADE = '  File "<eval_with_key>.7", line 5, in forward'


@pytest.mark.parametrize(
    ("frames", "line"),
    [
        ((OWN, TORCH), "/home/me/model.py:12"),
        ((OWN, SHORT, TORCH, MADE), "/home/me/model.py:12"),
        ((OWN, VISION, TORCH), "/venv/lib/python3.11/site-packages/torchvision/models/vgg.py:3"),
        ((TORCH,), ""),
        ((SHORT, TORCH), ""),
        ((), ""),
    ],
)
def test_the_innermost_line_that_is_not_torchs(frames: tuple[str, ...], line: str) -> None:
    assert source_line("\n".join(frames)) == line


def test_no_trace() -> None:
    assert source_line(None) == ""

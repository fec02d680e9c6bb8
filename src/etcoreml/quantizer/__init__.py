"""PT2E quantisation for Core ML: an exported module in, an annotated one out.

``CoreMLQuantizer`` goes into torchao's ``prepare_pt2e`` and ``prepare_qat_pt2e``; its settings are
coremltools' own classes, which are here under their names, too.
"""

from etcoreml.quantizer.config import (
    LinearQuantizerConfig,
    ModuleLinearQuantizerConfig,
    ObserverType,
    QuantizationScheme,
)
from etcoreml.quantizer.quantizer import CoreMLQuantizer

__all__ = [
    "CoreMLQuantizer",
    "LinearQuantizerConfig",
    "ModuleLinearQuantizerConfig",
    "ObserverType",
    "QuantizationScheme",
]

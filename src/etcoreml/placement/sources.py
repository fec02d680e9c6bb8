"""Where the rules come from."""

from __future__ import annotations

from types import MappingProxyType

from etcoreml.placement.rule import Source

_APPLE = "https://github.com/apple"
_GUIDE = "https://github.com/sbryngelson/ane-guide/blob/main"
_TOOLS = "https://apple.github.io/coremltools/docs-guides/source"
_ROCKY = "https://github.com/john-rocky/CoreML-LLM/blob/main/docs"

SOURCES: MappingProxyType[str, Source] = MappingProxyType(
    {
        "plans": Source(
            "five compute plans of an M4 Pro, macOS 26.5.1 (benchmarks/data/plans.json)",
            "https://github.com/erwinzhang7/coreml-compute-placement",
        ),
        "iphone13": Source(
            "18 compute plans of an iPhone 13",
            "https://github.com/orukahairuka/coreml-audio-research",
        ),
        "whisperkit": Source(
            "compute plans published with WhisperKit's models",
            "https://huggingface.co/argmaxinc/whisperkit-coreml",
        ),
        "coremlinspect": Source(
            "CoreMLInspect, README", "https://github.com/smpanaro/CoreMLInspect"
        ),
        "rf-detr": Source(
            "rf-detr, compute plan of an M3 Pro", "https://github.com/roboflow/rf-detr/pull/1495"
        ),
        "roadmap": Source("CoreML-LLM, audits of plans", f"{_ROCKY}/QWEN35_ROADMAP.md"),
        "lessons": Source("CoreML-LLM, lessons", f"{_ROCKY}/QWEN35_LESSONS.md"),
        "larql": Source("larql, one machine", "https://github.com/chrishayuk/larql/pull/312"),
        "vx-436": Source("Vx, issue 436", "https://github.com/vx-lang/Vx/issues/436"),
        "vx-437": Source("Vx, issue 437", "https://github.com/vx-lang/Vx/issues/437"),
        "apple-rules": Source(
            "Apple, neural_engine_rules.md (coreai-models)",
            f"{_APPLE}/coreai-models/blob/main/skills/skills/model-authoring/references/"
            "neural_engine_rules.md",
        ),
        "typed": Source("coremltools, Typed Execution", f"{_TOOLS}/typed-execution.html"),
        "flexible": Source("coremltools, Flexible Inputs", f"{_TOOLS}/flexible-inputs.html"),
        "faq": Source("coremltools, FAQs", f"{_TOOLS}/faqs.html"),
        "torch-ops": Source(
            "coremltools, comments in torch/ops.py",
            f"{_APPLE}/coremltools/blob/9.0/coremltools/converters/mil/frontend/torch/ops.py",
        ),
        "issue-1780": Source(
            "coremltools, issue 1780 (an engineer of Apple's)",
            f"{_APPLE}/coremltools/issues/1780",
        ),
        "issue-1029": Source("coremltools, issue 1029", f"{_APPLE}/coremltools/issues/1029"),
        "issue-2370": Source("coremltools, issue 2370", f"{_APPLE}/coremltools/issues/2370"),
        "issue-2553": Source("coremltools, issue 2553", f"{_APPLE}/coremltools/issues/2553"),
        "matrix": Source("ane-guide, ops by device", f"{_GUIDE}/appendices/a-op-device-matrix.md"),
        "guide": Source("ane-guide", "https://github.com/sbryngelson/ane-guide"),
        "mobius": Source("mobius, log of an A15", "https://github.com/FluidInference/mobius"),
    }
)
"""Where rules come from, by key."""

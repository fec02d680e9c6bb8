"""What happens at which step of quantisation-aware training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch.fx import GraphModule

from etcoreml.imports import quiet_imports
from etcoreml.quantizer.operators import BATCH_NORMS

with quiet_imports():
    from torchao.quantization.pt2e import FakeQuantizeBase

_TRAINING = 5  # the argument of batch_norm


class Milestones:
    """Four steps: observe, simulate, stop observing, freeze the statistics of batch norms.

    Args:
        config: ``LinearQuantizerConfig``; the global milestones, else the first that are set.
            With them nothing is on before the first step, and what is at -1 never comes; without
            any, everything is on from the start.
    """

    def __init__(self, config: Any) -> None:
        each = [
            config.global_config,
            *config.module_type_configs.values(),
            *config.module_name_configs.values(),
        ]
        set_ones = [one.milestones for one in each if one is not None and one.milestones]
        self._milestones: list[int] | None = set_ones[0] if set_ones else None
        self._count = 0

    @property
    def are_set(self) -> bool:
        """Whether the configuration has any."""
        return self._milestones is not None

    def start(self, modules: Iterable[Any]) -> None:
        """Turn fake quantisers off until the first step, in place, where milestones are set."""
        if self._milestones is not None:
            for module in modules:
                _switch(module, observe=False, simulate=False)

    def step(self, model: GraphModule) -> None:
        """Count a step of training and set what it asks for, in place."""
        if self._milestones is None:
            return
        observe, simulate, settle, freeze = (0 <= at <= self._count for at in self._milestones)
        for module in model.modules():
            _switch(module, observe=observe and not settle, simulate=simulate)
        if freeze:
            _freeze_statistics(model)
        self._count += 1


def _switch(module: Any, *, observe: bool, simulate: bool) -> None:
    if isinstance(module, FakeQuantizeBase):
        module.enable_observer(observe)
        module.enable_fake_quant(simulate)


def _freeze_statistics(model: GraphModule) -> None:
    changed = False
    for node in model.graph.nodes:
        if node.target in BATCH_NORMS and node.args[_TRAINING]:
            node.update_arg(_TRAINING, False)
            changed = True
    if changed:
        model.recompile()

"""Which settings are a node's: by module name, else by module type, else the global ones."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import Any

from torch.fx import Node

from etcoreml.quantizer.config import Specs, specs_of

_SELF = "L['self']."


class Selection:
    """coremltools' ``LinearQuantizerConfig``, asked node by node.

    A node is inside of every module on its path: the settings of ``encoder`` are those of
    ``encoder.0.conv``, too, unless that has its own. Among types, the first that matches decides.

    Args:
        config: ``LinearQuantizerConfig``.

    Raises:
        QuantizerConfigError: Settings that PT2E has not.
    """

    def __init__(self, config: Any) -> None:
        self._by_name = {name: specs_of(each) for name, each in config.module_name_configs.items()}
        self._by_type = {kind: specs_of(each) for kind, each in config.module_type_configs.items()}
        self._global = specs_of(config.global_config)
        self._unmet = set(self._by_name)

    def specs(self, node: Node) -> Specs | None:
        """Return the specs of a node, or None where it is not quantised."""
        found, specs = self._own(node)
        return specs if found else self._global

    def is_left_out(self, node: Node) -> bool:
        """Whether a configuration says, by name or type, that a node is not quantised."""
        found, specs = self._own(node)
        return found and specs is None

    def unmet_names(self) -> list[str]:
        """Return the module names of the configuration that no node so far was in."""
        return sorted(self._unmet)

    def _own(self, node: Node) -> tuple[bool, Specs | None]:
        names = set(_module_names(node))
        self._unmet -= names
        named = names & self._by_name.keys()
        if named:
            return True, self._by_name[max(named, key=len)]  # the innermost
        for kind, specs in self._by_type.items():
            if _is_of(node, kind):
                return True, specs
        return False, None


def _module_names(node: Node) -> Iterator[str]:
    for path, _ in node.meta.get("nn_module_stack", {}).values():
        yield path.removeprefix(_SELF)


def _is_of(node: Node, kind: Any) -> bool:
    """Whether a node comes from a module class or function."""
    if isinstance(kind, builtins.type):
        written = {kind, f"{kind.__module__}.{kind.__qualname__}"}
        return any(each in written for _, each in node.meta.get("nn_module_stack", {}).values())
    if any(each is kind for _, each in node.meta.get("source_fn_stack", ())):
        return True
    # Without strict tracing there is no function, but an op of its name.
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
    schema = getattr(node.target, "_schema", None)
    if node.target is kind or schema is None:
        return node.target is kind
    return bool(name) and bool(schema.name.removeprefix("aten::").strip("_") == name)

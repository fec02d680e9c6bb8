"""Whether a newer deployment target takes what the one asked for does not."""

from __future__ import annotations

import dataclasses

from torch.fx import Node

from etcoreml.compiler.names import op_name
from etcoreml.compiler.specs import Options
from etcoreml.compiler.trial import why_not_convertible
from etcoreml.mil.ct import coremltools
from etcoreml.partition.doubt import is_doubtful
from etcoreml.partition.support import Setting, why_not

ct = coremltools()

_FROM_TRIAL = "coremltools does not convert it"
_TARGETS = (ct.target.iOS16, ct.target.iOS17, ct.target.iOS18)
"""Those that brought ops or dtypes; macOS, watchOS and tvOS have equal ones."""


class NewerTarget:
    """Asks the support rules again, for newer targets.

    Args:
        options: The compile specs.
        setting: The lowering.
    """

    def __init__(self, options: Options, setting: Setting) -> None:
        self._setting = setting
        self._newer = [
            (
                dataclasses.replace(options, deployment_target=target),
                dataclasses.replace(setting, target=target),
            )
            for target in _TARGETS
            if target > options.target
        ]
        self._answers: dict[tuple[str, str], str | None] = {}

    def __call__(self, node: Node, reason: str) -> str | None:
        """Return the oldest target that takes a node, or None.

        Args:
            node: A call that stayed outside.
            reason: Why. Nodes of one op and reason get one answer.
        """
        key = op_name(node), reason
        if key not in self._answers:
            refused = why_not(node, self._setting) == reason or reason.startswith(_FROM_TRIAL)
            self._answers[key] = self._ask(node) if refused else None
        return self._answers[key]

    def _ask(self, node: Node) -> str | None:
        for options, setting in self._newer:
            taken = why_not(node, setting) is None
            if taken and is_doubtful(node):
                taken = why_not_convertible(node, options, setting.constants) is None
            if taken:
                return str(options.target.name)
        return None

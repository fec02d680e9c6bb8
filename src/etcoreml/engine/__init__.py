"""The portable engine: runs functions of MIL programs on OpenVINO."""

from etcoreml.engine.compile import compile_function
from etcoreml.engine.session import Kernel, NodeTime, Port, Request, Session

__all__ = ["Kernel", "NodeTime", "Port", "Request", "Session", "compile_function"]

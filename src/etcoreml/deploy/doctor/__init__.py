"""What this machine can do: each thing etcoreml stands on, its state, and what mends it.

Enters: nothing; the machine is looked at. Leaves: a list of :class:`Check`. Nothing heavy is
imported: versions come from the packages' metadata, and OpenVINO is asked in a process of its own.
"""

from etcoreml.deploy.doctor.check import Check, Status
from etcoreml.deploy.doctor.examination import examine

__all__ = ["Check", "Status", "examine"]

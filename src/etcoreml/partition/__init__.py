"""Partitioning: which nodes of an edge program go to Core ML, and why the others do not."""

from etcoreml.imports import quiet_imports

with quiet_imports():
    from etcoreml.partition.partitioner import CoreMLPartitioner
    from etcoreml.partition.report import Decision, DelegationReport

__all__ = ["CoreMLPartitioner", "Decision", "DelegationReport"]

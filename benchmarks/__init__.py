"""Benchmarks: this project beside its peers, measured in one process and one run."""

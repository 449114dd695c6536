"""Measurements that a reader can repeat: `python -m tests.benchmarks.gradcheck`."""

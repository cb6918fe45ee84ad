"""Measurements behind every figure in docs/benchmarks.md; each has a smoke size that the tests run."""

"""Port of Call beside other gateways, under the same load: ``python -m tests.benchmarks``."""

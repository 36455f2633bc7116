"""Benchmarks behind tools/benchmark.py and tools/check_device.py. They import any package; no package imports them."""

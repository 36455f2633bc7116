"""What tools/benchmark.py and tools/check_device.py measure. It may import anything, and read configs; nothing imports it."""

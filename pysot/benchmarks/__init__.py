"""What tools/benchmark.py and tools/check_device.py measure. It may import anything; nothing imports it."""

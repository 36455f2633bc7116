"""Behind tools/reproduce.py: check, repeat, judge and verify published results. No package imports it."""

"""Names of the original package `toolkit`, for scripts that import them; the work is done by `pysot.toolkit`.

New code uses `pysot.run`, `pysot.report` and `tools/eval.py`. pysot/README.md lists old and new names.
"""

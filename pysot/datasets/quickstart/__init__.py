"""The data of test/quickstart.sh: photographs that are moved, scaled, lit, blurred and occluded."""

"""Track one sequence: with restarts, in one pass, at the rate of its frames."""

"""Tracking of one sequence: with restarts, in one pass, in realtime."""

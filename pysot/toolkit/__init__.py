"""Evaluation: data sets, protocols, result files, metrics, tables. Imports without torch, compiles nothing."""

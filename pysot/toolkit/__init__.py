"""Evaluation: data sets, the supervised protocol, result files, metrics, tables. Imports without torch, compiles nothing."""

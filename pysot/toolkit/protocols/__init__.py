"""Protocols, one file each, and the table of them."""

from pysot.toolkit.protocols.table import find_protocol

__all__ = ["find_protocol"]

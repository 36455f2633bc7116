"""The original's module of the necks, for scripts that import it."""

from pysot.models.neck import AdjustAllLayer, AdjustLayer

__all__ = ["AdjustAllLayer", "AdjustLayer"]

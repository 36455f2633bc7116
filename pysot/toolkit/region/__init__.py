"""Regions as pixels: boxes, polygons and masks, and their overlaps in both arithmetics."""

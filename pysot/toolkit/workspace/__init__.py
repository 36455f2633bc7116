"""Workspaces of vot-toolkit in which a tracker of this package runs; the toolkit itself is another program."""

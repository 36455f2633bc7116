"""Content of reports as values: plots and tables, which other packages draw."""

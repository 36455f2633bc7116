"""Reports of scores: text, table files, figures and an HTML page."""

"""Raw data sets: one module per layout, and a table of all of them (`registry`)."""

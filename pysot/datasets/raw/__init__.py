"""Raw data sets: one module per layout, one table of them (`registry`)."""

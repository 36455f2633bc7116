"""Results on disk: names of files, their content, and the network that produced them."""

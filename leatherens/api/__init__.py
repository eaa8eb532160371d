"""leatherens from Python: what the command line does, with images in memory as well as on disk."""

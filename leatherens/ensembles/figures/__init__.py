"""Pictures of a finished run for papers: panels of images and curves, as vectors, with captions."""

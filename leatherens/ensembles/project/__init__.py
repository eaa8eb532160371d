"""Several views of the same parts: a run for each view, and one verdict per part from all of them."""

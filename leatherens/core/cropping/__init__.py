"""Good samples from defective photographs: clean tiles, cut so that no photograph is on both sides."""

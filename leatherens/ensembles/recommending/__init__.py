"""Which scenario fits a set of images and this machine: rules, predicted costs, and trials if asked for."""

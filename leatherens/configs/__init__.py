"""Recipes: what a run does, as validated values."""

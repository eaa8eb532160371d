"""The pipeline: splits, fitting, fusing, deciding, evaluation, and the run on disk."""

"""Reverse distillation (Deng and Li, CVPR 2022): a decoder regenerates a teacher's features from a code.

What good leather never shows does not survive the code's narrow passage, so that the decoder's features
differ from the teacher's where something is wrong. `networks` are what learns, `detector` the plugin.
"""

from leatherens.plugins.reverse_distillation.detector import ReverseDistillation

__all__ = ["ReverseDistillation"]

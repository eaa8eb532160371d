"""MixedTeacher (Thomine, Snoussi and Soua, VISAPP 2023): two students, one of texture and one of meaning.

A reduced network learns from scratch to repeat a teacher's shallow levels, a pretrained one to repeat another
teacher's deep levels; the score is where both fail.
"""

from leatherens.plugins.mixed_teacher.detector import MixedTeacher

__all__ = ["MixedTeacher"]

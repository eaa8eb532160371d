"""What a set of good images looks like, and what this machine is: the evidence that a recipe is chosen by."""

from __future__ import annotations

from leatherens.core.looks.look import Look
from leatherens.core.looks.looking import look_at
from leatherens.core.looks.machine import Machine, this_machine

__all__ = ["Look", "Machine", "look_at", "this_machine"]

"""Demo leather: photographs of hides that never existed, with defects whose pixels are known exactly.

A hide is a height field, a dye and a gloss (`hide`), grown from a cellular grain (`grain`) in the colours
of a scenario (`scenarios`). A defect (`defects`) changes these three, a lamp lights them (`lighting`), and
only then is there a picture: so a cut has lips that catch the light, and its mask is where the picture with
it differs from the picture without it (`demo`).
"""

from leatherens.core.leather.defects import DEFECTS
from leatherens.core.leather.demo import VISIBLE_LEVELS, defective_hide, good_hide, write_demo
from leatherens.core.leather.scenarios import SCENARIOS

__all__ = ["DEFECTS", "SCENARIOS", "VISIBLE_LEVELS", "defective_hide", "good_hide", "write_demo"]

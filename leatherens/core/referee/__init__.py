"""The referee: score maps of any tool, from files, against the truth of a collection.

`pairing` says which map belongs to which image, `map_files` opens it, `referee` measures, `intervals` says
how far the numbers would move, and `verdict` puts it together as plain values, with the rules applied.
"""

from leatherens.core.referee.image_scores import read_image_scores
from leatherens.core.referee.pairing import Paired, pair_maps
from leatherens.core.referee.referee import Referee
from leatherens.core.referee.verdict import content_of

__all__ = ["Paired", "Referee", "content_of", "pair_maps", "read_image_scores"]

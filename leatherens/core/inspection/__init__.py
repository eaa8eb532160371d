"""Look before you train: what lies in a folder of photographs, and what would be wrong with training on it.

`stock` lists what a reader found, `pictures` opens every photograph once and `marks` its masks; `duplicates`,
`defect_sizes` and `core.colours` compare them; `inspection` puts this together, `findings` says it in
sentences, `content` as JSON, and `sheet` as a picture.
"""

from leatherens.core.inspection.finding import Finding, Plan
from leatherens.core.inspection.findings import Findings, findings_of
from leatherens.core.inspection.inspection import Inspection, inspect
from leatherens.core.inspection.stock import Item, Stock, stock_of, unsorted_stock

__all__ = [
    "Finding",
    "Findings",
    "Inspection",
    "Item",
    "Plan",
    "Stock",
    "findings_of",
    "inspect",
    "stock_of",
    "unsorted_stock",
]

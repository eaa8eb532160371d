"""What an experiment leaves: CSV, Markdown and a picture, each with what its numbers mean."""

from __future__ import annotations

from collections.abc import Sequence

from leatherens.core.artifact import write_text
from leatherens.core.metrics import DEFINITIONS
from leatherens.ensembles.experiments.folder import ExperimentFolder
from leatherens.ensembles.experiments.picture import draw
from leatherens.ensembles.experiments.plan import Kind
from leatherens.ensembles.experiments.results import Result
from leatherens.ensembles.experiments.tables import as_csv, markdown

TITLES = {
    Kind.within: "Learned from and tested on the same set",
    Kind.cross: "Learned from one set, tested on another",
    Kind.joint: "Learned from all sets together",
    Kind.members: "Every detector alone, and ensembles",
    Kind.setup: "The line-clearance grid: masked before, after or not at all, registered or not",
}

MEANINGS = {
    "T1": "0.99 quantile of the pixels of held-out good images; an image is defective where any pixel is.",
    "T2": "best F1 over the pooled pixels of a labelled share of the test images that is not evaluated.",
    "T3": "best F1 over the image scores of that share; image scores are each method's own.",
    "IoU": DEFINITIONS["iou"],
    "PRO": DEFINITIONS["pro"],
    "F1": DEFINITIONS["image_f1"],
    "image AUROC": DEFINITIONS["image_auroc"],
    "pixel AUROC": DEFINITIONS["pixel_auroc"],
    "inference ms": "median wall-clock milliseconds for one image already in memory, one at a time.",
    "images/s": "one at a time, reading the file included.",
    "memory MB": "largest resident memory of a process that opens the run and judges images.",
    "parameters M": "millions of numbers in backbones, networks and whatever else was learned (banks too).",
    "on disk MB": "what was learned, backbones not included.",
}

MEANINGS_OF_SETUP = {
    "mask": "before: models do not see the region; after: they see it, and its scores are silenced.",
    "registration": "whether photographs are laid over a reference first.",
    "steps": "of training, of the checkpoints that were kept; last: as the run uses it.",
    "maximum, k-sigma, p-quantile": "accuracy at the highest score of held-out good images, at their mean "
    "plus 3 standard deviations, at their 0.99 quantile; learned anew for every line.",
    "rule taken": "the one that judges most images of a labelled share of the test images rightly (the first "
    "of equals); that share is not evaluated.",
    "accuracy": "share of the images judged rightly at the rule taken, defective meaning score > threshold.",
    "image AUROC": DEFINITIONS["image_auroc"],
    "pixel AUROC": DEFINITIONS["pixel_auroc"],
    "pixel AP": DEFINITIONS["pixel_ap"],
    "IoU": DEFINITIONS["iou"],
    "PRO": DEFINITIONS["pro"],
    "thresholds": "of IoU and PRO, the pixel threshold of the rule taken.",
    "pixels": "all of them, in every line: what is masked or out of the reference's sight is found good, so "
    "that a defect there is missed. The CSV has the same without these pixels (counted).",
    "bold": "the best on the images evaluated. What is chosen by it has to be measured on others.",
}


def write_tables(folder: ExperimentFolder, kind: Kind, results: Sequence[Result], remark: str = "") -> None:
    """Write what there is so far. remark: a sentence that stands above the tables."""
    write_text(folder.table(kind.value, ".csv"), as_csv(results, kind))
    above = f"{remark}\n\n" if remark else ""
    of = MEANINGS_OF_SETUP if kind is Kind.setup else MEANINGS
    meanings = "\n".join(f"- {name}: {meaning}" for name, meaning in of.items())
    write_text(
        folder.table(kind.value, ".md"),
        f"# {TITLES[kind]}\n\n```sh\n{folder.resume_command}\n```\n\nPercent, the best in bold.\n\n"
        f"{above}{markdown(kind, results)}\n## What the numbers mean\n\n{meanings}\n",
    )
    draw(folder.table(kind.value, ".svg"), results)

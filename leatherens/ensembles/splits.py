"""Which image taught what: no image ever does two jobs, and the file in the run proves it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from typing_extensions import Self

from leatherens.configs.recipe import SHARES, Recipe
from leatherens.core.artifact import read_json, write_json
from leatherens.core.errors import ArtifactError, ConfigError, InputError
from leatherens.core.grouping import by_group
from leatherens.core.randomness import numpy_generator
from leatherens.core.reading import GOOD, Collection, Sample

HELD_OUT = 0.20
"""Of all good images, kept for the test where a collection brings no good test images."""

FEWEST = 8
"""Good images; with fewer, each part would stand for less than a tenth of anything."""


@dataclass(frozen=True, slots=True)
class Splits:
    """Sample ids by the job their images have, disjoint.

    fit: good, members learn from them. validate: good, an epoch or a scale is chosen by them.
    calibrate: good, scores and thresholds get their meaning from them.
    threshold_labelled: labelled, for thresholds that need labels. test: everything that is reported.
    """

    fit: tuple[str, ...]
    validate: tuple[str, ...]
    calibrate: tuple[str, ...]
    threshold_labelled: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        jobs: dict[str, str] = {}
        for job, ids in self.jobs().items():
            for id in ids:
                if id in jobs:
                    raise InputError(
                        f"{id} is in {jobs[id]} and again in {job}; an image may have one job only"
                    )
                jobs[id] = job

    def jobs(self) -> Mapping[str, tuple[str, ...]]:
        """The ids of each job, by its name, in the order of the flow."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def good(self) -> tuple[str, ...]:
        """The good images that thresholds learn from: those held out for it, or without any those that teach,
        in folds."""
        return self.calibrate or self.fit

    def write(self, path: Path) -> None:
        """Write `splits.json`."""
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> Self:
        """What `write` wrote."""
        value = read_json(path)
        names = [field.name for field in fields(cls)]
        if (
            not isinstance(value, dict)
            or sorted(value) != sorted(names)
            or not all(map(_is_ids, value.values()))
        ):
            raise ArtifactError(f"{path}: damaged, expected lists of image names under {', '.join(names)}")
        return cls(**{name: tuple(value[name]) for name in names})


def _is_ids(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(id, str) for id in value)


def splits_of(recipe: Recipe, collection: Collection) -> Splits:
    """A collection dealt out as a recipe says."""
    return make_splits(collection, seed=recipe.seed, shares=recipe.shares, labelled=recipe.labelled)


def make_splits(
    collection: Collection,
    *,
    seed: int,
    shares: Sequence[float] = SHARES,
    held_out: float = HELD_OUT,
    labelled: float = 0.0,
) -> Splits:
    """Deal out a collection's images; the same images and seed give the same splits.

    All test images are tested on, but for the share `labelled` of those with a label, every kind of defect in
    proportion. Where no test image is good, a share of the good images is held out first, or nobody could
    tell how often a good image is called defective. Where the layout keeps images apart to validate on, they
    are halved into validate and calibrate, and all others teach. Samples of one group stay together, so that
    parts may then be a little larger than their shares.
    """
    _check_shares(shares, held_out)
    good = collection.train
    if len(good) < FEWEST:
        raise InputError(
            f"{collection.root}: at least {FEWEST} good images are needed to learn, validate and calibrate, "
            f"got {len(good)}; add photographs of good surfaces"
        )
    deck = _shuffled(good, seed)
    lacking = not any(sample.defective is False for sample in collection.test)
    held = _deal(deck, held_out * len(good)) if lacking else []
    if collection.validation:
        apart = _shuffled(collection.validation, seed, "validation")
        calibrate, validate = _deal(apart, len(collection.validation) / 2), _ids(apart)
    else:
        teaching = len(good) - len(held)
        calibrate, validate = _deal(deck, shares[2] * teaching), _deal(deck, shares[1] * teaching)
    fit = _ids(deck)
    if not (fit and validate and calibrate):
        raise InputError(
            f"{collection.root}: too few groups of good images to deal out; add photographs of others"
        )
    tested = [*(sample for sample in good if sample.id in set(held)), *collection.test]
    spared = _labelled_share(tested, labelled, seed, collection.root) if labelled else []
    test = [sample.id for sample in tested if sample.id not in set(spared)]
    return Splits(*(tuple(sorted(ids)) for ids in (fit, validate, calibrate, spared, test)))


def _labelled_share(tested: Sequence[Sample], share: float, seed: int, root: Path) -> list[str]:
    """Ids of a share of the labelled test images, of every kind of defect in proportion.

    Groups stay together; a group counts as the kind of its first defect.
    """
    known = [sample for sample in tested if sample.defective is not None]
    kinds: dict[str, list[Sample]] = {}
    for group in by_group(known).values():
        kind = next((sample.defect for sample in group if sample.defective), GOOD)
        kinds.setdefault(kind, []).extend(group)
    dealt: list[str] = []
    for kind in sorted(kinds):
        deck = _shuffled(kinds[kind], seed, "labelled", kind)
        dealt += _deal(deck, share * len(kinds[kind])) if len(deck) > 1 else []
    taken = set(dealt)
    for side in (taken, {sample.id for sample in known} - taken):
        if {sample.defective for sample in known if sample.id in side} != {True, False}:
            raise InputError(
                f"{root}: a share of {share:g} of {len(known)} labelled test images leaves good or defective "
                "ones out on one side; give more labelled images, or another share"
            )
    return dealt


def _check_shares(shares: Sequence[float], held_out: float) -> None:
    if len(shares) != 3 or min(shares) <= 0 or not math.isclose(sum(shares), 1):
        raise ConfigError(f"shares: expected three positive numbers that sum to 1, got {list(shares)}")
    if not 0 < held_out < 1:
        raise ConfigError(f"held_out: expected a share between 0 and 1, got {held_out}")


def deal_taken(
    samples: Sequence[Sample], *, seed: int, number: int, teach: float
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Ids to teach, to validate and to calibrate, of the good images that update `number` takes in.

    teach: share that teaches; the others are held out, half to validate and half to calibrate, at least
    one each. The same images, seed and number give the same parts.
    """
    if not 0 < teach < 1:
        raise ConfigError(f"--teach: expected a share between 0 and 1, such as {SHARES[0]:g}, got {teach:g}")
    deck = _shuffled(samples, seed, "update", number)
    held_out = (1 - teach) / 2 * len(samples)
    calibrate, validate = _deal(deck, held_out), _deal(deck, held_out)
    taught = _ids(deck)
    if not (taught and validate and calibrate):
        raise InputError(
            f"at least 3 new good images (of 3 groups) are needed, one to teach, one to validate and one to "
            f"calibrate, got {len(samples)}; give more"
        )
    teaching, validating, calibrating = (tuple(sorted(ids)) for ids in (taught, validate, calibrate))
    return teaching, validating, calibrating


def deal_folds(samples: Sequence[Sample], *, seed: int, count: int) -> tuple[tuple[str, ...], ...]:
    """Ids in at most `count` folds of nearly equal size; the same images and seed give the same ones.

    Samples of one group share a fold, so that there are never more folds than groups. Raises `InputError` for
    fewer than two groups.
    """
    deck = _shuffled(samples, seed, "folds")
    if len(deck) < 2:
        raise InputError(
            "cross calibration needs good images of at least two groups, and they are all of one; add "
            "photographs of others, or take --calibration split"
        )
    folds: list[list[str]] = [[] for _ in range(min(count, len(deck)))]
    for unit in sorted(deck, key=len, reverse=True):  # the large ones first, so that the small ones level out
        min(folds, key=len).extend(unit)
    return tuple(tuple(sorted(fold)) for fold in folds)


def _shuffled(samples: Iterable[Sample], seed: int, *path: str | int) -> list[list[str]]:
    """Ids by group, the groups in an order that depends on their names, the seed and the purpose only."""
    groups = by_group(samples)
    units = [[sample.id for sample in groups[key]] for key in sorted(groups)]
    return [units[i] for i in numpy_generator(seed, *(path or ("splits",))).permutation(len(units))]


def _ids(deck: list[list[str]]) -> list[str]:
    """All that is left on a deck."""
    return [id for unit in deck for id in unit]


def _deal(deck: list[list[str]], wanted: float) -> list[str]:
    """Take groups off the deck until there are as many images as wanted, at least one."""
    dealt: list[str] = []
    while deck and len(dealt) < max(1, round(wanted)):
        dealt += deck.pop()
    return dealt


def content_digests(paths: Sequence[Path]) -> dict[Path, str]:
    """By path, 64 hex digits that change with any byte of the file and nothing else."""
    with ThreadPoolExecutor() as pool:
        return {path: found.hex() for path, found in zip(paths, pool.map(_digest, paths), strict=True)}


def fingerprint(samples: Iterable[Sample], digests: Mapping[Path, str] | None = None) -> str:
    """A name for exactly these images and masks: it changes with any id, any byte, and nothing else.

    digests: of the images, where they are known already.
    """
    ordered = sorted(samples, key=lambda sample: sample.id)
    digests = content_digests([sample.path for sample in ordered]) if digests is None else digests
    whole = hashlib.blake2b(digest_size=16)
    with ThreadPoolExecutor() as pool:
        masks = pool.map(_mask_digest, [sample.masks for sample in ordered])
        for sample, mask in zip(ordered, masks, strict=True):
            name = hashlib.blake2b(sample.id.encode(), digest_size=32).digest()
            whole.update(name + bytes.fromhex(digests[sample.path]) + mask)
    return whole.hexdigest()


def _mask_digest(paths: tuple[Path, ...]) -> bytes:
    """32 bytes for no file (zeros) and for each file."""
    return b"".join(map(_digest, paths)) or bytes(32)


def _digest(path: Path) -> bytes:
    """32 bytes for the content of a file."""
    try:
        return hashlib.blake2b(path.read_bytes(), digest_size=32).digest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); repair or remove it") from None

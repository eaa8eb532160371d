"""One detector on trial: the images it is shown, the few fits its checks share, and how to fail it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from leatherens.core.backbones import BackbonePool
from leatherens.core.capabilities import Capabilities
from leatherens.core.detector import Detector, FitContext
from leatherens.core.global_state import changed, global_state
from leatherens.core.progress import Progress
from leatherens.core.types import ImageBatch, ImagesInMemory, Observation
from leatherens.testing.bench import Bench
from leatherens.testing.comparing import pairs, tensors_in, tolerance
from leatherens.testing.scenes import Scene, Size, make_scene, patches
from leatherens.testing.stand_ins import (
    Counter,
    WatchedImages,
    lent_globals,
    random_pool,
)

SMALLEST_SIDE = 64
"""Scenes are at least this high: a blob of a tenth of it still covers 120 pixels."""


@dataclass(frozen=True)
class Fit:
    """A fit that was watched."""

    member: Detector
    returned: object
    printed: str
    globals_moved: list[str]
    images_kept: bool
    images_held: str
    """Where the fitted detector still holds the images it learned from; empty where nowhere."""
    batches_served: int
    checkpoint_left: bool
    longest_step: str
    """Title of the step with the most units of progress; a detector that trains, trains there."""


class Trial(Bench):
    """What the checks of one detector share. Fits happen when first asked for, once."""

    def __init__(self, make: Callable[[], Detector]) -> None:
        super().__init__(make)
        self._fits: dict[str, Fit | Exception] = {}

    @cached_property
    def pool(self) -> BackbonePool:
        """Backbones with random weights."""
        return random_pool()

    @cached_property
    def flags(self) -> Capabilities:
        """What the class declares."""
        flags: Capabilities = self.make().capabilities
        return flags

    @cached_property
    def scene(self) -> Scene:
        """The scene of the main fit: non-square, and odd where the flags say that any size works."""
        odd = 1 if self.flags.multiple_of == 1 else 0
        side = self._side(SMALLEST_SIDE)
        wide = self._side(side + side // 2)
        return make_scene((side + odd, wide + odd), teach=max(12, self.flags.min_images))

    @cached_property
    def small(self) -> Scene:
        """A scene of the smallest size allowed, for checks that fit again."""
        return make_scene(self.smallest_size, seed=1, teach=max(6, self.flags.min_images), test=4)

    @property
    def smallest_size(self) -> Size:
        """The least height the flags allow, one step wider than high."""
        side = self._side(1)
        return side, side + self.flags.multiple_of

    def _side(self, pixels: int) -> int:
        """The least allowed side of at least so many pixels."""
        step = self.flags.multiple_of
        return -(-max(pixels, self.flags.min_size) // step) * step

    @property
    def fitted(self) -> Fit:
        """The main fit, on `scene`; no check may change this member."""
        return self._once("main", lambda: self.fit(self.make(), self.scene.teach, self.scene.validate))

    @property
    def small_fit(self) -> Fit:
        """A fit on `small`, with which later fits on the same images are compared."""
        return self._once("small", lambda: self.fit(self.make(), self.small.teach, self.small.validate))

    @property
    def smallest_fit(self) -> Fit:
        """A fit on as few and as small images as the flags allow, partly masked, unlike the other scenes."""
        return self._once("smallest", self._fit_smallest)

    def _fit_smallest(self) -> Fit:
        size, count = self.smallest_size, self.flags.min_images
        scene = make_scene(size, seed=2, teach=count, validate=1, test=1)
        images = ImageBatch(1 - scene.teach.pixels, scene.teach.ids, patches(count, size))
        validate = ImageBatch(1 - scene.validate.pixels, scene.validate.ids)
        return self.fit(self.make(), images, validate)

    @property
    def refit(self) -> Fit:
        """The member of the smallest fit, fitted again, on `small`, with the global generators elsewhere."""
        member = self.smallest_fit.member
        self.smallest_seen  # noqa: B018  (looked at now, because the member is about to forget)
        return self._once(
            "again", lambda: self.fit(member, self.small.teach, self.small.validate, globals_seed=2)
        )

    @cached_property
    def smallest_seen(self) -> Observation:
        """What the smallest fit sees in `small`."""
        return self.observe(self.smallest_fit.member, self.small.mixed)

    def _once(self, name: str, make: Callable[[], Fit]) -> Fit:
        if name not in self._fits:
            try:
                self._fits[name] = make()
            except Exception as error:  # noqa: BLE001  (the member's own code; every check that needs the fit shows it)
                self._fits[name] = error
        fit = self._fits[name]
        if isinstance(fit, Exception):
            raise fit
        return fit

    def fit(
        self,
        member: Detector,
        images: ImageBatch,
        validate: ImageBatch,
        *,
        globals_seed: int = 1,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
        until: int | None = None,
    ) -> Fit:
        """Fit and watch. Without a checkpoint of the caller's, one in a folder that is gone afterwards."""
        source, kept, printed = WatchedImages(images), images.pixels.clone(), io.StringIO()
        with lent_globals(globals_seed), contextlib.redirect_stdout(printed), TemporaryDirectory() as folder:
            file = checkpoint or Path(folder) / "checkpoint.safetensors"
            counter = Counter()
            shown = progress or counter
            context = FitContext(self.pool, seed=0, progress=shown, checkpoint=file, until=until)
            before = global_state()
            returned: object = member.fit(source, validation=ImagesInMemory(validate), context=context)
            moved = changed(before, global_state())
            images_kept = torch.equal(images.pixels, kept)
            images.pixels.copy_(kept)  # later fits learn from the same images
            return Fit(
                member,
                returned,
                printed=printed.getvalue(),
                globals_moved=moved,
                images_kept=images_kept,
                images_held=_held(member, images),
                batches_served=source.served,
                checkpoint_left=file.exists(),
                longest_step=counter.longest,
            )

    def observe(self, member: Detector, batch: ImageBatch, pool: BackbonePool | None = None) -> Observation:
        """What a fitted member sees, given exactly the pyramids it asks for."""
        return member.observe(batch, (pool or self.pool).pyramids(batch, member.backbones()))

    @cached_property
    def seen(self) -> Observation:
        """What the main fit sees in all images of `scene` together: the reference of most checks."""
        return self.observe(self.fitted.member, self.scene.mixed)

    def expect_same(self, first: Observation, second: Observation, sentence: str) -> None:
        """Fail with the largest difference unless two observations are the same up to rounding."""
        for name, one, other in pairs(first, second):
            if one.shape != other.shape:
                self.fail(f"{sentence}: {name} has shapes {tuple(one.shape)} and {tuple(other.shape)}")
            apart = float((one - other).abs().max())
            if not apart <= tolerance(one):
                width = float(one.max() - one.min())
                self.fail(f"{sentence}: {name} differs by {apart:.3g} (its values span {width:.3g})")


def _held(member: Detector, images: ImageBatch) -> str:
    """The attributes through which a detector shares memory with images, or keeps their source."""
    memory = images.pixels.untyped_storage().data_ptr()
    attributes = vars(member)
    shared = [
        path for path, tensor in tensors_in(attributes) if tensor.untyped_storage().data_ptr() == memory
    ]
    sources = [name for name, value in attributes.items() if isinstance(value, WatchedImages)]
    return ", ".join([*shared, *sources])

from __future__ import annotations

import os
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import grain, mvtec, save, spot

from leatherens.core.errors import ConfigError, InputError
from leatherens.core.photographs import read_at_least, read_photograph, resize_photograph
from leatherens.core.reading import Sample
from leatherens.core.types import ImageSource, batches
from leatherens.ensembles import sources
from leatherens.ensembles.sources import FileSource, Problem, require_no_problems
from leatherens.plugins.mvtec_reader import MVTecReader


def mixed(root: Path) -> tuple[Sample, ...]:
    """Photographs of several sizes: one smaller, one as large, one larger than (20, 28), one wide and low."""
    sizes = {"a.png": (12, 16), "b.png": (20, 28), "c.png": (60, 90), "d.png": (10, 100)}
    return tuple(
        Sample(save(root / name, grain(*size, seed=n)), name, False)
        for n, (name, size) in enumerate(sizes.items())
    )


@pytest.fixture
def decoded(monkeypatch):
    """Paths in the order they were decoded."""
    paths: list[str] = []

    def counting(path: Path, size: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
        paths.append(path.name)
        return read_at_least(path, size)

    monkeypatch.setattr(sources, "read_at_least", counting)
    return paths


def test_batch__is_the_resized_photographs(tmp_path):
    samples = mixed(tmp_path)
    source = FileSource(samples, size=(20, 28))

    batch = source.batch([2, 0])

    assert isinstance(source, ImageSource)
    assert (source.ids, source.size) == (("a.png", "b.png", "c.png", "d.png"), (20, 28))
    assert batch.ids == ("c.png", "a.png")
    assert batch.valid is None
    assert batch.pixels.dtype == torch.float32
    assert batch.pixels.is_contiguous()
    expected = np.stack([resize_photograph(read_photograph(samples[i].path), (20, 28)) for i in (2, 0)])
    assert np.array_equal(
        batch.pixels.numpy(), np.moveaxis(expected, 3, 1).astype(np.float32) / np.float32(255)
    )


def test_photograph_of_the_right_size__is_exact_and_not_turned(tmp_path):
    source = FileSource(mixed(tmp_path), size=(20, 28))
    pixels = source.batch([1]).pixels[0]
    assert np.array_equal(
        (pixels * 255).round().to(torch.uint8).permute(1, 2, 0).numpy(), grain(20, 28, seed=1)
    )


def test_original_sizes__are_height_and_width_upright(tmp_path):
    samples = mixed(tmp_path)
    exif = {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"}
    turned = Sample(save(tmp_path / "e.jpg", grain(30, 50), **exif), "e.jpg", False)
    source = FileSource((*samples, turned), size=(20, 28))
    assert source.original_sizes == ((12, 16), (20, 28), (60, 90), (10, 100), (50, 30))


def test_second_epoch__decodes_nothing(tmp_path, decoded):
    source = FileSource(mixed(tmp_path), size=(20, 28))
    first = torch.cat([batch.pixels for batch in batches(source, 3)])
    second = torch.cat([batch.pixels for batch in batches(source, 3)])
    assert torch.equal(first, second)
    assert sorted(decoded) == ["a.png", "b.png", "c.png", "d.png"]
    assert source.original_sizes[0] == (12, 16)
    assert len(decoded) == 4


def test_bound__is_kept_to_and_the_first_images_stay(tmp_path, decoded):
    """Two of the four fit into 1 MiB at (400, 400): the third is 480 000 bytes too many."""
    source = FileSource(mixed(tmp_path), size=(400, 400), memory_mb=1)
    epochs = [torch.cat([source.batch([i]).pixels for i in range(4)]) for _ in range(3)]
    assert decoded == ["a.png", "b.png", "c.png", "d.png", "c.png", "d.png", "c.png", "d.png"]
    assert torch.equal(epochs[0], epochs[2])


def test_no_memory__still_works(tmp_path, decoded):
    source = FileSource(mixed(tmp_path), size=(20, 28), memory_mb=0)
    assert torch.equal(source.batch(range(4)).pixels, source.batch(range(4)).pixels)
    assert len(decoded) == 8


@pytest.mark.parametrize("threads", [1, 7])
def test_threads__change_nothing(tmp_path, monkeypatch, threads):
    root = mvtec(tmp_path, train=20)
    samples = MVTecReader().read(root).train
    expected = torch.cat([FileSource(samples, size=(40, 30)).batch([i]).pixels for i in range(20)])
    monkeypatch.setattr(sources, "_THREADS", threads)
    before = torch.get_num_threads(), list(warnings.filters)
    assert torch.equal(FileSource(samples, size=(40, 30)).batch(range(20)).pixels, expected)
    assert (torch.get_num_threads(), warnings.filters) == before


@pytest.mark.parametrize("threads", [1, 7])
@pytest.mark.parametrize("memory_mb", [0, 64])
def test_loading_ahead__changes_nothing(tmp_path, monkeypatch, threads, memory_mb):
    """A walk in batches, epochs and orders included, gives what asking for one image after the other does."""
    monkeypatch.setattr(sources, "_THREADS", threads)
    samples = MVTecReader().read(mvtec(tmp_path, train=20)).train
    plain = [FileSource(samples, size=(40, 30)).batch([i]).pixels for i in range(20)]
    source, order = FileSource(samples, size=(40, 30), memory_mb=memory_mb), [7, 3, 19, 0, 7]
    for _ in range(2):
        assert torch.equal(torch.cat([batch.pixels for batch in batches(source, 3)]), torch.cat(plain))
    found = list(batches(source, 2, order))
    assert [len(batch) for batch in found] == [2, 2, 1]
    assert torch.equal(torch.cat([b.pixels for b in found]), torch.cat([plain[i] for i in order]))


def test_walk__tells_of_a_damaged_file_where_it_comes(tmp_path):
    samples = mixed(tmp_path)
    samples[2].path.write_bytes(b"no image")
    walk = batches(FileSource(samples, size=(20, 28)), 1)
    assert [next(walk).ids[0] for _ in range(2)] == ["a.png", "b.png"]
    with pytest.raises(InputError, match=r"c\.png: not an image"):
        next(walk)


def test_batch__cannot_be_used_to_change_what_is_kept(tmp_path):
    source = FileSource(mixed(tmp_path), size=(20, 28))
    source.batch([1]).pixels.zero_()
    assert source.batch([1]).pixels.max() > 0


def test_only__shares_what_is_decoded(tmp_path, decoded):
    whole = FileSource(mixed(tmp_path), size=(20, 28))
    whole.batch(range(4))
    part = whole.only(["d.png", "b.png"])
    assert part.ids == ("b.png", "d.png")
    assert len(whole.ids) == 4
    assert torch.equal(part.batch([1]).pixels, whole.batch([3]).pixels)
    assert len(decoded) == 4


def test_only__of_a_missing_image(tmp_path):
    with pytest.raises(InputError) as caught:
        FileSource(mixed(tmp_path), size=(20, 28)).only(["a.png", "z.png"])
    assert str(caught.value) == "no image is called z.png; the data have changed since they were split"


def test_wrong_size():
    with pytest.raises(
        ConfigError, match=r"^size: expected a height and a width of at least 1 pixel, got 0 x 9$"
    ):
        FileSource((), size=(0, 9))


def test_masks(tmp_path):
    root = mvtec(tmp_path, train=1, good=1, cut=2)
    (root / "ground_truth/cut/001_mask.png").unlink()
    test = MVTecReader().read(root).test
    unknown = Sample(test[0].path, "unknown.png")
    cut, bare, good, unlabelled = FileSource((*test, unknown), size=(10, 10)).masks()
    assert np.array_equal(cut, spot() > 0)
    assert bare is None
    assert (good.shape, good.dtype, good.any()) == ((24, 32), np.bool_, np.False_)
    assert unlabelled is None


def test_masks__of_one_image_are_united(tmp_path):
    image = save(tmp_path / "1.png", grain(24, 32))
    halves = np.zeros((2, 24, 32), dtype=np.uint8)
    halves[0, :4], halves[1, :, 30:] = 255, 7  # class numbers are marks, too
    paths = tuple(save(tmp_path / f"{n}_mask.png", half) for n, half in enumerate(halves))
    (mask,) = FileSource([Sample(image, "1.png", True, paths, "cut")], size=(10, 10)).masks()
    assert np.array_equal(mask, halves.any(axis=0))


class TestProblems:
    def test_none(self, tmp_path, decoded):
        found = MVTecReader().read(mvtec(tmp_path))
        source = FileSource((*found.train, *found.test), size=(16, 16))
        assert source.problems() == []
        require_no_problems(source.problems(), len(source.ids))
        source.batch(range(len(source.ids)))
        assert len(decoded) == len(source.ids), "the check's work is kept"

    def test_each_is_named__and_the_rest_can_be_used(self, tmp_path):
        root = mvtec(tmp_path, train=4, cut=3)
        truncated = root / "train/good/001.png"
        truncated.write_bytes(truncated.read_bytes()[:600])
        (root / "train/good/003.png").write_bytes(b"")
        save(root / "ground_truth/cut/001_mask.png", spot(32, 24))
        (root / "ground_truth/cut/002_mask.png").write_bytes(b"no mask")
        found = MVTecReader().read(root)
        source = FileSource((*found.train, *found.test), size=(16, 16))

        problems = source.problems()

        assert [p.id for p in problems] == [
            "train/good/001.png",
            "train/good/003.png",
            "test/cut/001.png",
            "test/cut/002.png",
        ]
        assert problems[0].reason.startswith(f"{truncated}: damaged (")
        assert problems[1].reason == (
            f"{root / 'train/good/003.png'}: an empty file (0 bytes); copy it again or remove it"
        )
        assert problems[2].reason == (
            f"{root / 'ground_truth/cut/001_mask.png'}: the mask is 32 x 24 pixels and its photograph "
            "24 x 32 (height x width); give the mask of this photograph, at its size"
        )
        assert problems[3].reason.startswith(f"{root / 'ground_truth/cut/002_mask.png'}: not an image")
        usable = source.only(set(source.ids) - {p.id for p in problems})
        assert len(usable.batch(range(len(usable.ids)))) == len(source.ids) - 4

    def test_batch__of_an_unreadable_file_names_it(self, tmp_path):
        path = tmp_path / "1.png"
        path.write_bytes(b"no image")
        with pytest.raises(InputError) as caught:
            FileSource([Sample(path, "1.png")], size=(16, 16)).batch([0])
        assert str(caught.value).startswith(f"{path}: not an image")

    def test_progress(self, tmp_path):
        events: list[object] = []

        class Watching:
            @contextmanager
            def step(self, title, total):
                events.append((title, total))
                yield events.append

            def say(self, sentence):
                raise AssertionError(sentence)

        FileSource(mixed(tmp_path), size=(16, 16)).problems(Watching())
        assert events == [("checking the photographs", 4), 1, 1, 1, 1]

    def test_one__is_its_sentence(self):
        with pytest.raises(InputError, match=r"^a\.png: no such file; check the name$"):
            require_no_problems([Problem("a.png", "a.png: no such file; check the name")], 8)

    def test_many__are_listed_up_to_ten(self):
        problems = [Problem(f"{n}.png", f"{n}.png: broken") for n in range(12)]
        with pytest.raises(InputError) as caught:
            require_no_problems(problems, 300)
        assert str(caught.value).splitlines() == [
            "12 of 300 images cannot be used:",
            *(f"  {n}.png: broken" for n in range(10)),
            "  and 2 more",
        ]
        with pytest.raises(InputError) as caught:
            require_no_problems(problems[:10], 300)
        assert str(caught.value).splitlines()[-1] == "  9.png: broken"


def test_reading_folders__imports_nothing_heavy():
    import subprocess

    code = (
        "import sys, leatherens.plugins.mvtec_reader, leatherens.plugins.folder_reader;"
        "import leatherens.ensembles.splits;"
        "sys.exit(str([m for m in ('torch', 'cv2', 'timm', 'scipy') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"


@pytest.mark.skipif(
    "LEATHERENS_DATA" not in os.environ, reason="LEATHERENS_DATA names no folder of real data"
)
def test_real_collection__of_mixed_sizes_has_no_problems():
    root = Path(os.environ["LEATHERENS_DATA"], "magnetic_tile")
    if not root.is_dir():
        pytest.skip("no magnetic_tile in LEATHERENS_DATA")
    found = MVTecReader().read(root)
    every_fifth = found.test[::5]
    source = FileSource(every_fifth, size=(64, 64))
    assert source.problems() == []
    assert len(set(source.original_sizes)) > 20
    masks = source.masks()
    assert [bool(mask.any()) for mask in masks] == [sample.defective for sample in every_fifth]

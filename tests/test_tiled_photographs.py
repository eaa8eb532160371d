from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from broken_parts import ShiftedBack
from pictures import grain, save

from leatherens.core.errors import ArtifactError, InputError
from leatherens.core.photographs import read_mask, read_photograph, resize_photograph
from leatherens.core.preparation import Prepared
from leatherens.core.reading import Sample
from leatherens.core.types import ImageSource, batches
from leatherens.ensembles import tiled_photographs
from leatherens.ensembles.sources import batch_of
from leatherens.ensembles.tiled_photographs import TiledPhotographs, Tiling, small_photograph
from leatherens.plugins.mask import MaskPreparation

TILING = Tiling(tile=(32, 40), size=(32, 40), overlap=0.25)


def hides(root: Path, *sizes: tuple[int, int]) -> tuple[Sample, ...]:
    sizes = sizes or ((70, 90), (100, 50))
    return tuple(
        Sample(save(root / f"{n}.png", grain(*size, seed=n)), f"{n}.png", False)
        for n, size in enumerate(sizes)
    )


def masking(size: tuple[int, int], *corners: tuple[int, int], when: str = "before") -> MaskPreparation:
    step = MaskPreparation(MaskPreparation.Params(polygons=(corners,), when=when))
    return step.fit([Prepared("first", np.zeros((*size, 3), np.uint8))])


LEFT_HALF = ((-1, -1), (45, -1), (45, 99), (-1, 99))


@pytest.mark.parametrize("size", [(32, 40), (16, 20), (64, 40)])
def test_tiles__are_windows_of_the_photograph_at_working_size(tmp_path, size):
    sample = hides(tmp_path)[0]
    source = TiledPhotographs([sample], Tiling((32, 40), size, 0.25))
    opened = source.opened(sample, 0.25)
    pixels = read_photograph(sample.path)

    found = dict(opened.tiles())

    assert list(found) == list(range(len(opened.grid)))
    assert opened.grid.size == (70, 90)
    for number, working in found.items():
        box = opened.grid.box(number)
        window = pixels[box.top : box.bottom, box.left : box.right]
        assert np.array_equal(working.pixels, resize_photograph(window, size))
        assert working.valid is None


def test_photograph_smaller_than_a_tile__is_not_seen_beyond_its_edge(tmp_path):
    (sample,) = hides(tmp_path, (20, 90))
    found = [working for _, working in TiledPhotographs([sample], TILING).opened(sample, 0.0).tiles()]
    assert len(found) == 3
    for working in found:
        assert working.valid[:20].all()
        assert not working.valid[20:].any()
        assert np.array_equal(working.hidden, ~working.valid)
    batch = batch_of(found, ["a", "b", "c"])
    assert torch.allclose(batch.pixels[0, :, 25, 3], batch.pixels[0, :, :20].mean(dim=(1, 2)), atol=1e-4)


class TestMasks:
    def test_tiles_without_anything_that_counts__are_left_out(self, tmp_path):
        (sample,) = hides(tmp_path, (70, 90))
        source = TiledPhotographs([sample], TILING, [masking((70, 90), *LEFT_HALF)])
        opened = source.opened(sample, 0.0)
        found = dict(opened.tiles())
        assert opened.grid.lefts == (0, 25, 50)
        assert [number % 3 for number in found] == [1, 2] * 3
        assert found[2].valid.all()
        assert np.array_equal(found[1].valid[0], np.arange(40) >= 20)
        assert source.teaching.ids == tuple(
            f"0.png@{top},{left}" for top in opened.grid.tops for left in (25, 50)
        )
        batch = source.teaching.batch([0, 1])
        assert np.array_equal(batch.valid.numpy(), np.stack([found[1].valid, found[2].valid]))
        assert np.array_equal(batch.hidden.numpy(), ~batch.valid.numpy())

    def test_after__tiles_are_seen(self, tmp_path):
        (sample,) = hides(tmp_path, (70, 90))
        source = TiledPhotographs([sample], TILING, [masking((70, 90), *LEFT_HALF, when="after")])
        batch = source.teaching.batch([0])
        assert not batch.hidden.any()
        assert not batch.valid.all()

    def test_nothing_left(self, tmp_path):
        (sample,) = hides(tmp_path, (70, 90))
        step = masking((70, 90), *LEFT_HALF)
        step.region_[:] = 1
        source = TiledPhotographs([sample], TILING, [step])
        with pytest.raises(InputError, match=r"^0\.png: nothing is left to inspect"):
            list(source.opened(sample, 0.0).tiles())

    def test_another_size__is_refused_by_the_whole_photograph_s(self, tmp_path):
        (sample,) = hides(tmp_path, (70, 90))
        source = TiledPhotographs([sample], TILING, [masking((70, 91), *LEFT_HALF)])
        assert source.problems()[0].reason.startswith("0.png: 70 x 90 pixels, and the region to ignore was")


class TestWhole:
    def test_step_that_needs_the_whole__gets_it(self, tmp_path):
        (sample,) = hides(tmp_path, (70, 90))
        step = ShiftedBack().fit([Prepared("a", np.zeros((70, 90, 3), np.uint8))])
        opened = TiledPhotographs([sample], TILING, [step]).opened(sample, 0.0)
        moved = step.apply(Prepared("a", read_photograph(sample.path)))
        found = dict(opened.tiles())
        assert np.array_equal(opened.frame.warp, moved.warp)
        assert np.array_equal(found[0].pixels, moved.pixels[:32, :40])
        assert np.array_equal(found[0].valid, ~moved.hidden[:32, :40])

    def test_too_large(self, tmp_path, monkeypatch):
        (sample,) = hides(tmp_path, (70, 90))
        monkeypatch.setattr(tiled_photographs, "MOST_WHOLE", 6000)
        step = ShiftedBack().fit([Prepared("a", np.zeros((70, 90, 3), np.uint8))])
        with pytest.raises(InputError) as caught:
            TiledPhotographs([sample], TILING, [step]).opened(sample, 0.0)
        assert str(caught.value) == (
            f"{sample.path}: 0 million pixels, and the preparation (shifted) needs a photograph whole, of at "
            "most 0 million; leave it out, or give smaller photographs"
        )


class TestTileImages:
    def test_batches__are_tiles_of_several_photographs(self, tmp_path):
        samples = hides(tmp_path)
        source = TiledPhotographs(samples, TILING).teaching
        assert isinstance(source, ImageSource)
        assert source.size == (32, 40)
        assert source.ids[0] == "0.png@0,0"
        assert len(source.ids) == 3 * 3 + 4 * 2
        batch = source.batch([16, 0])
        assert batch.ids == ("1.png@68,10", "0.png@0,0")
        first, last = read_photograph(samples[0].path), read_photograph(samples[1].path)
        expected = np.stack([last[68:, 10:], first[:32, :40]])
        assert np.array_equal((batch.pixels * 255).round().numpy(), np.moveaxis(expected, 3, 1))

    def test_photographs_are_cut_once(self, tmp_path, monkeypatch):
        cut: list[str] = []
        opened = TiledPhotographs.opened

        def counting(self, sample, overlap):
            cut.append(sample.id)
            return opened(self, sample, overlap)

        monkeypatch.setattr(TiledPhotographs, "opened", counting)
        source = TiledPhotographs(hides(tmp_path), TILING)
        first = torch.cat([batch.pixels for batch in batches(source.teaching, 5)])
        second = torch.cat([batch.pixels for batch in batches(source.only(source.ids).teaching, 3)])
        assert torch.equal(first, second)
        assert cut == ["0.png", "1.png"]

    def test_validating__draws_evenly_and_always_the_same(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tiled_photographs, "VALIDATING", 7)
        drawn = [TiledPhotographs(hides(tmp_path), TILING).validating.ids for _ in range(2)]
        every = TiledPhotographs(hides(tmp_path), TILING).teaching.ids
        assert drawn[0] == drawn[1]
        assert len(drawn[0]) == 7
        assert list(drawn[0]) == [id for id in every if id in drawn[0]]
        assert {id[0] for id in drawn[0]} == {"0", "1"}

    def test_only(self, tmp_path):
        source = TiledPhotographs(hides(tmp_path), TILING)
        assert {id[:5] for id in source.only(["1.png"]).teaching.ids} == {"1.png"}
        with pytest.raises(InputError, match=r"^no image is called z\.png"):
            source.only(["z.png"])

    def test_full_disk__is_a_sentence(self, tmp_path, monkeypatch):
        source = TiledPhotographs(hides(tmp_path), TILING)

        def full(working):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(source._cut, "_written", full)
        with pytest.raises(
            ArtifactError, match=r"no room for the tiles of 0\.png \(No space left on device\)"
        ):
            source.teaching.batch([0])


class TestProblems:
    def test_damaged_files_and_masks_of_another_size(self, tmp_path):
        good, cut_off, other = hides(tmp_path, (70, 90), (70, 90), (70, 90))
        cut_off.path.write_bytes(cut_off.path.read_bytes()[:9000])
        mask = save(tmp_path / "mask.png", np.zeros((70, 91), np.uint8))
        other = Sample(other.path, other.id, True, (mask,))
        found = TiledPhotographs([good, cut_off, other], TILING).problems()
        assert [problem.id for problem in found] == ["1.png", "2.png"]
        assert found[0].reason.startswith(f"{cut_off.path}: damaged (")
        assert found[1].reason == (
            f"{mask}: the mask is 70 x 91 pixels and its photograph 70 x 90 (height x width); "
            "give the mask of this photograph, at its size"
        )


@pytest.mark.parametrize("step", [1, 3])
def test_masks__are_thinned_as_the_maps_are(tmp_path, monkeypatch, step):
    monkeypatch.setattr(tiled_photographs, "_ROWS", 20)
    monkeypatch.setattr(tiled_photographs, "KEPT_PIXELS", 70 * 90 // step**2)
    marks = np.random.default_rng(0).random((2, 70, 90)) > 0.9
    paths = tuple(
        save(tmp_path / f"mask{n}.png", mark.astype(np.uint8) * 255) for n, mark in enumerate(marks)
    )
    photograph = save(tmp_path / "a.png", grain(70, 90))
    source = TiledPhotographs([Sample(photograph, "a.png", True, paths)], TILING)
    assert source.step == step
    expected = (read_mask(paths[0]) | read_mask(paths[1]))[::step, ::step]
    assert np.array_equal(source.mask(0), expected)


def test_step__is_that_of_the_photographs_chosen(tmp_path, monkeypatch):
    monkeypatch.setattr(tiled_photographs, "KEPT_PIXELS", 70 * 90)
    source = TiledPhotographs(hides(tmp_path, (70, 90), (140, 180)), TILING)
    assert (source.step, source.only(["0.png"]).step, source.step) == (3, 1, 3)


def test_masks__of_good_and_of_unlabelled_photographs(tmp_path):
    photograph = save(tmp_path / "a.png", grain(70, 90))
    source = TiledPhotographs([Sample(photograph, "a", False), Sample(photograph, "b")], TILING)
    good, unlabelled = source.masks()
    assert good.shape == (70, 90)
    assert not good.any()
    assert unlabelled is None


def test_small_photograph(tmp_path, monkeypatch):
    monkeypatch.setattr(tiled_photographs, "block_for", lambda size: 4)
    path = save(tmp_path / "a.png", grain(70, 90))
    small = small_photograph(path)
    assert small.shape == (18, 23, 3)
    assert np.array_equal(small[2, 3], np.rint(read_photograph(path)[8:12, 12:16].mean(axis=(0, 1))))

"""Images measured in one pass, as a whole and by groups, against the single functions on the same images."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from leatherens.core import metrics
from leatherens.core.measurement import MEAN, Measurement, Options
from leatherens.core.reading import Sample
from leatherens.core.saturation import Region

KINDS = ("good", "good", "cut", "hole", "cut", "good")
VIEWS = ("A", "B", "A", "B", "B", "A")


def scene():
    """Six images of two kinds of defects and two views; the last is good and of another size."""
    rng = np.random.default_rng(8)
    samples, maps, masks = [], [], []
    for number, (kind, view) in enumerate(zip(KINDS, VIEWS, strict=True)):
        shape = (30, 20) if number < 5 else (11, 17)
        mask = np.zeros(shape, bool)
        if kind != "good":
            mask[number : number + 5, 3:9] = mask[20 + number, :4] = True
        samples.append(Sample(Path(f"{number}.png"), f"{number}.png", kind != "good", (), kind, view=view))
        maps.append((rng.normal(size=shape) + mask).round(1).astype(np.float32))
        masks.append(mask)
    return samples, maps, masks, np.array([m.max() for m in maps])


def measurement(options, chosen=None, regions=None):
    samples, maps, masks, scores = scene()
    found = Measurement(options, cells=4)
    for i in chosen if chosen is not None else range(len(samples)):
        found.add(samples[i], scores[i])
        found.add_pixels(samples[i], maps[i], masks[i], regions=None if regions is None else regions[i])
    return found


FULL = Options(threshold=2.5, pixel_threshold=1.5, limits=(0.3, 0.05))


def test_all__is_what_the_single_functions_say():
    _, maps, masks, scores = scene()
    labels = [kind != "good" for kind in KINDS]
    verdicts = metrics.confusion(scores, labels, 2.5)
    decided = metrics.decisions.pixel_decisions(maps, masks, 1.5)
    expected = {
        "image_auroc": metrics.image_auroc(scores, labels),
        "image_ap": metrics.image_ap(scores, labels),
        "image_f1_max": metrics.f1_max(scores, labels)[0],
        "image_accuracy": verdicts.accuracy,
        "image_precision": verdicts.precision,
        "image_recall": verdicts.recall,
        "image_f1": metrics.image_f1(scores, labels, 2.5),
        "false_alarm_rate": metrics.false_alarm_rate(scores, labels, 2.5),
        "pixel_auroc": metrics.pixel_auroc(maps, masks),
        "pixel_ap": metrics.pixel_ap(maps, masks),
        "pixel_f1_max": metrics.pixel_f1_max(maps, masks)[0],
        "au_pro": metrics.au_pro(maps, masks),
        "au_pro_0.05": metrics.au_pro(maps, masks, limit=0.05),
        "iou": metrics.iou(maps, masks, 1.5),
        "iou_per_image": decided.iou_per_image,
        "pro": metrics.pro(maps, masks, 1.5),
    }
    found = measurement(FULL).all()
    assert dict(found.values) == pytest.approx(expected)
    assert found.undefined == {}


def test_by_defect__is_each_kind_with_all_good_images():
    found = measurement(FULL).by_defect()
    assert list(found) == ["cut", "hole"]
    for kind, measured in found.items():
        chosen = [i for i, other in enumerate(KINDS) if other in (kind, "good")]
        assert dict(measured.values) == pytest.approx(dict(measurement(FULL, chosen).all().values))


def test_by_view__is_the_images_of_each():
    found = measurement(FULL).by_view()
    assert list(found) == ["A", "B"]
    for view, measured in found.items():
        chosen = [i for i, other in enumerate(VIEWS) if other == view]
        assert dict(measured.values) == pytest.approx(dict(measurement(FULL, chosen).all().values))


def test_saturations__bring_all_limits_and_the_mean_of_kinds():
    _, maps, masks, _ = scene()
    regions = [[Region(mask, 4, "x")] if mask.any() else None for mask in masks]
    found = measurement(FULL, regions=regions)
    values = found.all().values
    names = {"au_spro": 0.05, "au_spro_0.01": 0.01, "au_spro_0.1": 0.1, "au_spro_0.3": 0.3, "au_spro_1": 1}
    told = [some or [] for some in regions]
    expected = {name: metrics.au_spro(maps, told, limit=limit) for name, limit in names.items()}
    assert {name: values[name] for name in names} == pytest.approx(expected)
    assert values["spro"] == pytest.approx(metrics.spro(maps, told, 1.5))
    kinds = found.by_defect()
    mean = (kinds["cut"].values["au_spro"] + kinds["hole"].values["au_spro"]) / 2
    assert kinds[MEAN].values["au_spro"] == pytest.approx(mean)


def test_undefined__says_what_there_is_none_of():
    found = measurement(FULL, [0, 1]).all()
    nothing = "there is no defect pixel that is marked and counts"
    assert found.undefined == {
        "image_auroc": "there is no defective image",
        "image_ap": "there is no defective image",
        "image_f1_max": "there is no defective image",
        "image_recall": "there is no defective image",
        "image_f1": "there is no defective image",
        **dict.fromkeys(("pixel_auroc", "pixel_ap", "pixel_f1_max", "au_pro", "au_pro_0.05", "pro"), nothing),
    }
    assert all(math.isnan(found.values[name]) for name in found.undefined)


def test_undefined__every_nan_has_a_reason():
    high = Options(threshold=99, pixel_threshold=99)
    for chosen in ([0], [2], [], [0, 1, 2]):
        found = measurement(high, chosen).all()
        assert {name for name, value in found.values.items() if math.isnan(value)} == set(found.undefined)


def test_images_without_a_label_or_a_mask_count_where_they_can():
    found = measurement(FULL)
    found.add(Sample(Path("9.png"), "9.png"), 99.0)
    found.add(Sample(Path("8.png"), "8.png", True, (), "cut"), 99.0)
    assert found.counts()["good_images"] == 3
    assert found.counts()["defective_images"] == 4
    assert found.all().values["au_pro"] == measurement(FULL).all().values["au_pro"]


def test_impostors__only_when_asked_for():
    assert measurement(FULL).impostors() == {}
    found = measurement(Options(pixel_threshold=1.5, impostors=True))
    assert set(found.impostors()) == set(metrics.impostors.IMPOSTORS)
    assert "ader_au_pro" not in found.all().values

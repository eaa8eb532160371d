"""Artificial anomalies for detectors that learn from good images only: one idea a file, numpy in and out.

Images are (H, W, 3) RGB, float32 in 0..1 or, for textures, uint8; masks are (H, W) bool. Every draw takes its
`numpy.random.Generator` as an argument. `perlin` says where, `textures` (`folder_textures`, `patterns`) with
what, `augment` changes how a texture looks, `overlay` lays it over a good image.

The kinds of anomaly share one interface, `draw(image, valid, rng)` to the spoilt image and its mask.
`overlay`, `textural`, `structural`, `blurred` and `gaussian_noise` lie in Perlin masks, all but the first in
`spots`, which are never empty; `noise_patch` (of `simplex` noise), `cutout` and `cutpaste` in `rectangles`.
`kinds` draws among several, `confined` keeps one to a small or faint spot, `faded` makes one faint,
 `exact` narrows a mask to what has
changed. `catalogue` has them all by name, `spoilt_images` is a source of good images spoilt by one, and
`contact_sheet` a picture of what they look like.
"""

"""Artificial anomalies for detectors that learn from good images only: one idea a file, numpy in and out.

Images are (H, W, 3) RGB, float32 in 0..1 or, for textures, uint8; masks are (H, W) bool. Every draw takes its
`numpy.random.Generator` as an argument. `perlin` says where, `textures` (`folder_textures`, `patterns`) with
what, `augment` changes how a texture looks, `overlay` lays it over a good image.

The kinds of anomaly share one interface, `draw(image, valid, rng)` to the spoilt image and its exact mask:
`overlay`, `noise_patch` (of `simplex` noise), `textural`, `structural`, `blurred`. The last three replace the
image wholly inside `spots`, masks that are never empty. `kinds` draws among several, `confined` keeps one to
a small or faint spot, `spoilt_images` is a source of good images spoilt by a mixture.
"""

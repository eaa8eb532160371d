"""Whole tables of results: which run learned from which data set, and what it is worth on which.

Three are those of Soares (2022), chapters 5 and 6: learned from and tested on one set (`within`), on two
(`cross`), learned from all together (`joint`); one surveys all detectors (`members`), one how photographs
reach them (`setup`). In the order of the flow: `data_sets`, `setups` and `entrants` (what
competes), `plan` (who is measured where), `experiment` (fits and measures), `cuts`, `rules`, `silenced` and
`measuring` (thresholds, one cell), `costs`, `columns`, `tables`, `picture`, `writing`.
"""

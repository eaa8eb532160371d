"""Pages of the documentation that are made from the code: one per plugin, one per hook.

`leatherens plugins docs` writes them; a test compares those of the built-ins with what it would write.
"""

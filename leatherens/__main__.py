"""`python -m leatherens` is the command `leatherens`."""

from __future__ import annotations

from leatherens.cli import main

if __name__ == "__main__":
    main()

"""AST: a flow teaches a plain network, and where they disagree something is unusual.

Rudolph, Wehrbein, Rosenhahn and Wandt, "Asymmetric student-teacher networks for industrial anomaly
detection", WACV 2023. Its depth images, which 3-D scanners give, are out of scope: photographs only.
"""

from leatherens.plugins.ast.detector import AST

__all__ = ["AST"]

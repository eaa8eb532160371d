"""FastFlow: fully convolutional normalising flows on frozen features (Yu et al., arXiv 2111.07677, 2021).

On each level of a pyramid a flow learns to turn the features of good images into independent standard
normals, its sub-networks small convolutions. What the flow cannot bring near zero was not seen in learning.

There is no code by the authors; where the paper is silent this follows the usual reimplementation, by
gathierry on GitHub, and "published" below means both.
"""

from leatherens.plugins.fastflow.detector import FastFlow

__all__ = ["FastFlow"]

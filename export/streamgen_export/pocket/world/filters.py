"""Blurs and changes of size of float32 pictures, by OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

from streamgen_export.pocket.world.screen import Plane


def blurred(picture: Plane, sigma: float, sigma_y: float = 0.0) -> Plane:
    """A picture [H, W] or [H, W, C] seen through a Gaussian of `sigma` pixels; `sigma_y` where its height differs."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigmaX=sigma, sigmaY=sigma_y), np.float32)


def reduced(picture: Plane, factor: int) -> Plane:
    """A picture a whole number of times smaller, each pixel the mean of those that it replaces."""
    size = (picture.shape[1] // factor, picture.shape[0] // factor)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)


def resized(picture: Plane, rows: int, columns: int) -> Plane:
    """A picture of another size, linearly between its pixels."""
    return np.asarray(cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32)


def luminance(picture: Plane) -> Plane:
    """Brightness of a picture [H, W, 3]: float32 [H, W]."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32)


def strongest(picture: Plane) -> Plane:
    """The greatest of red, green and blue of a picture [H, W, 3]: [H, W]."""
    red, green, blue = cv2.split(picture)
    return np.asarray(cv2.max(cv2.max(red, green), blue), np.float32)

"""A map over its picture: where it is low the picture stays, where it is high colour covers it."""
from __future__ import annotations

import numpy as np

# five colours of matplotlib's inferno, which grows brighter from end to end, also in grey and for the colour-blind
_RAMP = np.array([(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], float)


def colours(values: np.ndarray) -> np.ndarray:
    """Colours of values from 0 to 1: (H, W) → (H, W, 3) uint8.

    >>> colours(np.array([[0.0, 1.0]]))
    array([[[  0,   0,   4],
            [252, 255, 164]]], dtype=uint8)
    """
    stops = np.linspace(0, 1, len(_RAMP))
    return np.stack([np.interp(values, stops, channel) for channel in _RAMP.T], -1).round().astype(np.uint8)


def stretched(values: np.ndarray, share: float = 0.99) -> np.ndarray:
    """A map whose few largest values, all but this share, count as 1, so that the others can be seen: [0, 1].

    >>> stretched(np.array([[0.0, 0.1, 0.2, 1.0]]), share=0.5).round(2)
    array([[0.  , 0.67, 1.  , 1.  ]])
    """
    most = np.quantile(values, share)
    return np.clip(values / most, 0, 1) if most > 0 else values


def overlay(picture: np.ndarray, values: np.ndarray, most: float = 0.75) -> np.ndarray:
    """Mix a picture with the colours of a map, each pixel by its value.

    Parameters
    ----------
    picture : (H, W, 3) uint8
    values : (H, W) from 0 to 1
    most : share of the colour where the map is 1

    Returns
    -------
    (H, W, 3) uint8

    Raises
    ------
    ValueError : picture and map differ in size.
    """
    if picture.shape[:2] != values.shape:
        raise ValueError(f"picture is {picture.shape[:2]}, its map {values.shape}: give a map of the picture's size")
    share = most * np.asarray(values, float)[..., None]
    return ((1 - share) * picture + share * colours(values)).round().astype(np.uint8)

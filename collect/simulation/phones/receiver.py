"""The satellite receiver of a simulated phone: errors that drift along a walk."""

import math

import numpy as np
from shapely.geometry import Point
from shapely.geometry.base import BaseGeometry

from collect.simulation.arrays import Doubles

CORRELATION_S = 90.0
# Rayleigh: the median length of a two-dimensional normal vector, in deviations of one component.
MEDIAN_PER_DEVIATION = math.sqrt(2 * math.log(2))


def drift(rng: np.random.Generator, seconds: Doubles, median_m: float) -> Doubles:
    """Errors (n, 2), east and north in metres, at increasing times of one walk.

    A first-order Gauss-Markov process: the length of an error has the median `median_m`, and the correlation of two
    errors falls to 1/e over `CORRELATION_S` seconds.
    """
    deviation = median_m / MEDIAN_PER_DEVIATION
    kept = np.exp(-np.diff(seconds, prepend=-np.inf) / CORRELATION_S)
    errors = np.zeros((len(seconds), 2))
    last = np.zeros(2)
    for number, share in enumerate(kept):
        last = share * last + math.sqrt(1 - share**2) * rng.normal(0, deviation, 2)
        errors[number] = last
    return errors


def held_inside(position: Doubles, error: Doubles, site: BaseGeometry) -> Doubles:
    """`error` (2), shortened where it would carry `position` out of `site`, so that a good photo stays a good photo."""
    for share in (1.0, 0.75, 0.5, 0.25):
        moved = position + share * error
        if site.covers(Point(moved[0], moved[1])):
            return error * share
    return error * 0.0


def reported_accuracy_m(rng: np.random.Generator, median_m: float) -> float:
    """What a phone that reports its accuracy says: about the 68 % radius, give or take a quarter."""
    radius = 1.51 * median_m / MEDIAN_PER_DEVIATION
    return round(float(max(3.0, radius * rng.uniform(0.75, 1.25))), 1)

"""The sun's elevation against the geometry of the solstice."""

import numpy as np
import pandas as pd
import pytest

from img2gps.sun import light_of, sun_elevation_deg

PHILADELPHIA = (-75.19, 39.95)


def elevation(*times: str | None) -> np.ndarray:
    return sun_elevation_deg(pd.Series(pd.to_datetime(list(times), utc=True)), *PHILADELPHIA)


def test_elevation_at_known_moments() -> None:
    """At the solstice the sun stands at 23.44 degrees north: latitude and that give noon and midnight."""
    noon, midnight = elevation("2024-06-20T17:03Z", "2024-06-21T05:03Z")
    assert noon == pytest.approx(90 - 39.95 + 23.44, abs=0.1)
    assert midnight == pytest.approx(-(90 - 39.95) + 23.44, abs=0.1)


def test_every_photo_has_the_sun_of_its_own_place() -> None:
    times = pd.Series(pd.to_datetime(["2025-01-15T02:00Z"] * 2, utc=True))
    sydney, greenwich = sun_elevation_deg(times, [151.2, 0.0], [-33.9, 51.5])
    assert sydney > 60
    assert greenwich < -50


def test_no_time_no_elevation() -> None:
    found = elevation("2024-06-20T17:03Z", None)
    assert np.isnan(found[1])
    assert light_of(found) == ["day", "time unknown"]


def test_lights_meet_at_the_horizon_and_at_civil_dusk() -> None:
    assert light_of(np.array([0.1, 0.0, -6.0, -6.1])) == ["day", "dusk", "dusk", "night"]

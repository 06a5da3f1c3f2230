"""The working copy's bytes and its perceptual hash."""

import io

import imagehash
import numpy as np
import pytest
from photos import image_bytes, photo_bytes, scene
from PIL import Image

from collect.reading.working_copy import make_copy, perceptual_hash
from img2gps.imaging import open_image


@pytest.mark.parametrize("seed", range(20))
def test_the_hash_is_nearly_that_of_the_library(seed: int) -> None:
    picture = scene((513, 683), seed, detail=8 + seed)
    assert imagehash.hex_to_hash(perceptual_hash(picture)) - imagehash.phash(picture) <= 2


def test_a_picture_without_structure_has_one_hash() -> None:
    grey, white = (Image.new("RGB", (512, 683), colour) for colour in ("grey", "white"))
    assert perceptual_hash(grey) == perceptual_hash(white)


def test_a_photo_encoded_or_scaled_again_keeps_its_hash_nearly() -> None:
    original = imagehash.hex_to_hash(perceptual_hash(scene((1600, 1200), 4)))
    again = open_image(image_bytes(scene((1600, 1200), 4), quality=40)).convert("RGB")
    smaller = scene((1600, 1200), 4).resize((400, 300))
    other = scene((1600, 1200), 5)
    assert original - imagehash.hex_to_hash(perceptual_hash(again)) <= 4
    assert original - imagehash.hex_to_hash(perceptual_hash(smaller)) <= 4
    assert original - imagehash.hex_to_hash(perceptual_hash(other)) > 12


def test_the_same_photo_gives_the_same_bytes() -> None:
    data = photo_bytes(size=(900, 700), orientation=3)
    first, second = (make_copy(open_image(data), short_side_px=256) for _ in range(2))
    assert first == second
    assert (first.width, first.height) == (329, 256)
    assert np.asarray(Image.open(io.BytesIO(first.data))).shape == (256, 329, 3)

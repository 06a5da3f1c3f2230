"""The published folder that these tests share."""

import pytest
from publishing_scene import Published, make_published


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Return a dataset and the folder that was published of it: not to be changed."""
    return make_published(tmp_path_factory.mktemp("published"))

"""The tiny generator as a fixture."""

from collections.abc import Callable

import pyarrow as pa
import pytest
from tests.analysis.links.tiny import tiny_world

World = Callable[..., pa.Table]


@pytest.fixture(scope="session")
def world() -> World:
    """Return a maker of worlds: `tiny.tiny_world`."""
    return tiny_world

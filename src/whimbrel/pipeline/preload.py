"""What all readers need, loaded once: the fork server imports this module, and each reader begins as a copy of it."""

import whimbrel.pipeline.reading  # noqa: F401
from whimbrel.messages.suffixes import suffixes

suffixes()

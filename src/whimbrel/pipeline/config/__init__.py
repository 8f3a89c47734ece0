"""The one settings file (`whimbrel.toml`): types with their meanings, and where each value came from.

In: the file, the environment.  Out: `Config`, and a `Setting` a value for people.  A value is the environment's
(`WHIMBREL_TABLE_KEY`), else the file's, else the default; relative paths of the file are taken from its folder.
Deliberately absent: any use of the settings.  Read `settings.py` first.
"""

from whimbrel.pipeline.config.reading import Loaded, Mistake, Setting, in_toml, load, mistakes
from whimbrel.pipeline.config.settings import TABLES, Config, Watch, meaning_of, variable_of

CONFIG_FILE = "whimbrel.toml"

__all__ = [
    "CONFIG_FILE",
    "TABLES",
    "Config",
    "Loaded",
    "Mistake",
    "Setting",
    "Watch",
    "in_toml",
    "load",
    "meaning_of",
    "mistakes",
    "variable_of",
]

"""Settings, from the command line, the environment, a ``.env`` file and defaults, in that order.

Start with `settings`: `Settings` lists every setting. `loading` reads them and reports all problems in one
ConfigError. `values` parses and checks single values, `contradictions` checks them together; `dotenv` reads
the file. Importing this package takes about 150 ms because of pydantic, so import it inside functions.
"""

from paperagent.config.contradictions import NEEDS_ENDPOINT
from paperagent.config.loading import load
from paperagent.config.settings import Settings, SettingSource

__all__ = ["NEEDS_ENDPOINT", "SettingSource", "Settings", "load"]

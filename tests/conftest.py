"""Settings of all tests.

What a reader gets wrong: hypothesis's deadline is off because a busy machine is not a fault, not because
anything here may be slow; `--durations` shows what is.
"""

from hypothesis import settings

settings.register_profile("sparkle", deadline=None)
settings.load_profile("sparkle")

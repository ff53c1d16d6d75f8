"""What all tests have in common."""

from hypothesis import settings

# A machine that is shared has no deadlines, and what failed once is told by its example.
settings.register_profile("towpath", deadline=None, database=None)
settings.load_profile("towpath")

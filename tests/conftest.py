"""What holds for every test."""

from hypothesis import settings

# how long an example may take depends on the machine and on what else it does: no test is about that
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

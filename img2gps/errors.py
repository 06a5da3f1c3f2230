"""What can go wrong with an invocation, and the exit code each kind ends in.

A bad photo is a value (`img2gps.types.Rejection`); a bad invocation is one of these exceptions. Each
message is one sentence (or two) that says what is wrong, where, and what to do. `img2gps.cli.main`
prints it and exits with the code; nothing else catches them.

    Img2GPSError
    ├── QualityGateError          1   a check that the user asked for failed
    ├── UsageError                2   an option, an argument or the file it names makes no sense
    │   └── MissingSiteError      2   a new dataset was not told which site it is for
    ├── NotFoundError             3   a path or a name that does not exist
    ├── InvalidDatasetError       4   a dataset folder or manifest that breaks its contract
    ├── InvalidCheckpointError    5   a run or checkpoint that is damaged or of another kind
    ├── DeviceError               6   the device is missing, out of memory, or the numbers left the finite
    ├── RejectedFilesError        7   --strict was given and some files were rejected
    ├── DatasetLockedError       75   another process is writing the dataset (EX_TEMPFAIL)
    └── RunLockedError           75   another process is writing the run or the study (EX_TEMPFAIL)

Click's own usage errors exit with 2, a failing disk or folder with 74 (EX_IOERR) and an interrupt with 130.
"""

__all__ = [
    "DatasetLockedError",
    "DeviceError",
    "Img2GPSError",
    "InvalidCheckpointError",
    "InvalidDatasetError",
    "MissingSiteError",
    "NotFoundError",
    "QualityGateError",
    "RejectedFilesError",
    "RunLockedError",
    "UsageError",
]


class Img2GPSError(Exception):
    """The root of the tree: carries the exit code of the process."""

    exit_code: int = 1


class QualityGateError(Img2GPSError):
    """A check failed: ``audit --fail-under``, ``site check``, ``export --check`` or ``export --half``."""

    exit_code = 1


class UsageError(Img2GPSError):
    """An option, an argument or the file it names makes no sense."""

    exit_code = 2


class MissingSiteError(UsageError):
    """A new dataset was not told which site it is for."""


class NotFoundError(Img2GPSError):
    """A path or a name that does not exist."""

    exit_code = 3


class InvalidDatasetError(Img2GPSError):
    """A dataset folder or manifest that breaks its contract."""

    exit_code = 4


class InvalidCheckpointError(Img2GPSError):
    """A run or checkpoint that is damaged, incomplete or of another kind."""

    exit_code = 5


class DeviceError(Img2GPSError):
    """The device asked for is missing, ran out of memory, or the numbers stopped being finite."""

    exit_code = 6


class RejectedFilesError(Img2GPSError):
    """``--strict`` was given and at least one file was rejected."""

    exit_code = 7


class DatasetLockedError(Img2GPSError):
    """Another process is writing the dataset; trying again later is right (EX_TEMPFAIL)."""

    exit_code = 75


class RunLockedError(Img2GPSError):
    """Another process is writing the run or the study; trying again later is right (EX_TEMPFAIL)."""

    exit_code = 75

"""What the service takes at most: as ingest does, photo by photo, and what one request and all together may hold."""

import dataclasses

from img2gps.formats import MAX_FILE_BYTES

__all__ = ["Limits", "RefusedError"]


class RefusedError(Exception):
    """A request that is answered with `status` and a sentence. `retry_s` asks to come again."""

    def __init__(self, status: int, sentence: str, *, retry_s: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry_s = retry_s


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bytes of a photo and of a request, photos of a request, bytes of all requests in memory, seconds.

    `decode_s` and `worker_bytes` limit the decoding of a photo, and `upload_s` the arrival of a body. `requests` is how
    many are answered at once.
    """

    photo_bytes: int = MAX_FILE_BYTES
    request_bytes: int = 2 * MAX_FILE_BYTES
    photos: int = 200
    memory_bytes: int = 3 * MAX_FILE_BYTES
    decode_s: float = 60.0
    worker_bytes: int = 3 * 1024**3
    upload_s: float = 120.0
    requests: int = 64

"""From raw photos to a dataset: taken in, judged, split, audited, labelled.

`ingest` takes photos into a dataset, `validate` says beforehand what would become of them, `split` holds photos out,
`audit` tells what is covered, `verify` checks every hash, `doctor` says why photos would fail, and `simulate` renders a
campus to practise on.
"""

from typing import TYPE_CHECKING

from img2gps.lazy import lazy_names

if TYPE_CHECKING:
    from collect.api import audit, doctor, ingest, simulate, split, validate, verify

__all__ = ["audit", "doctor", "ingest", "simulate", "split", "validate", "verify"]

__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__, "collect.api"))

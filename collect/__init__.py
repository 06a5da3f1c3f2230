"""From raw photos to a dataset: taken in, judged, split, audited, labelled.

`ingest` takes photos into a dataset, `validate` says beforehand what would become of them, `split` holds photos out,
`audit` tells what is covered, `verify` checks every hash, `doctor` says why photos would fail, and `simulate` renders a
campus to practise on. `label_queue` says which labels to look at first, `import_labels` and `export_labels` bring
corrections in and out. `basemap` fetches the map under everything.
`publish` writes a folder for the Hugging Face Hub, `fetch` makes a dataset of one.
`forget` removes photos for good, and `take_back` lets them in again. `merge` makes one dataset of two, `migrate`
writes one of an earlier version anew. `check_site` says what is wrong with a polygon's file.
"""

from typing import TYPE_CHECKING

from img2gps.lazy import lazy_names
from img2gps.threads import settle_threads

if TYPE_CHECKING:
    from collect.api import (
        audit,
        basemap,
        check_site,
        doctor,
        export_labels,
        fetch,
        forget,
        import_labels,
        ingest,
        label_queue,
        merge,
        migrate,
        publish,
        refine_labels,
        simulate,
        split,
        take_back,
        validate,
        verify,
    )

__all__ = [
    "audit",
    "basemap",
    "check_site",
    "doctor",
    "export_labels",
    "fetch",
    "forget",
    "import_labels",
    "ingest",
    "label_queue",
    "merge",
    "migrate",
    "publish",
    "refine_labels",
    "simulate",
    "split",
    "take_back",
    "validate",
    "verify",
]

settle_threads()  # before numpy is loaded; where it is already, this changes nothing

__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__, "collect.api"))

"""From raw photos to a dataset: taken in, judged, split, audited, labelled.

`doctor` says why photos would fail, and `validate` what an ingest would say. `ingest` adds photos to a dataset.
`audit` reports what is covered, `split` holds photos out, and `verify` checks every hash. `simulate` renders a campus
to practise on. `label_queue` says which labels to check first; `import_labels` and `export_labels` exchange
corrections. `basemap` fetches the map of the site.
`publish` writes a folder for the Hugging Face Hub, and `fetch` turns one into a dataset.
`fetch_model` makes a run of a published model.
`forget` removes photos for good, and `take_back` allows them again. `merge` joins two datasets, and `migrate` rewrites
one of an earlier version. `check_site` says what is wrong with a polygon's file.
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
        fetch_model,
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
    "fetch_model",
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

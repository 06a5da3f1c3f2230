"""What the commands of this package do, as functions: one call each."""

from collect.api.datasets import audit, split, verify
from collect.api.labels import export_labels, import_labels, label_queue, refine_labels
from collect.api.maps import basemap
from collect.api.photos import doctor, ingest, simulate, validate
from collect.api.sharing import fetch, fetch_model, publish
from collect.api.years import check_site, forget, merge, migrate, take_back

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

"""The labels that were given beside photos: each table read, each file with the row that is its own."""

from collections.abc import Sequence
from pathlib import Path

from collect.ingestion.outcomes import Outcomes
from collect.reading.found_files import FoundFile
from collect.validation.labels import LabelRow, Labels, NamedFile, capitalised, merge_labels, read_labels
from img2gps.text import safe_text

__all__ = ["match_labels", "read_given_labels"]


def read_given_labels(paths: Sequence[Path]) -> list[Labels]:
    """Return the tables of labels; where there are several, each knows its file's name."""
    return [read_labels(path, file=path.name if len(paths) > 1 else "") for path in paths]


def match_labels(files: Sequence[FoundFile], labels: Sequence[Labels], outcomes: Outcomes) -> list[LabelRow | None]:
    """Return the label of each file; what is no regular file has none and makes no name ambiguous.

    Of several label files, the later one stands before the earlier. What a person should know goes to `outcomes`.
    """
    if not labels:
        return [None] * len(files)
    regular = [file for file in files if file.obstacle is None and file.unlistable is None]
    named = [NamedFile(name=file.name, size=file.size, path=file.path, stored=file.stored) for file in regular]
    merged: list[LabelRow | None] = [None] * len(named)
    outcomes.unused_labels = []
    for table in labels:
        found, notes = table.match(named)
        outcomes.notes += [*table.notes, *table.rounding_notes(), *notes]
        outcomes.unused_labels += table.unused(found)
        for number, label in enumerate(found):
            earlier = merged[number]
            merged[number], contradict = merge_labels(earlier, label)
            if contradict and earlier is not None and label is not None:
                outcomes.notes.append(
                    f"{capitalised(earlier.where)} and {label.where} place {safe_text(named[number].name)} "
                    f"differently: {safe_text(label.file)}, which was given later, stands."
                )
    label_of = {file.path: label for file, label in zip(regular, merged, strict=True)}
    return [label_of.get(file.path) for file in files]

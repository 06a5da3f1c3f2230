"""How an ingest or a validation ends: the counts, each reason with its remedy, what else a person should know."""

from collections import defaultdict

from collect.ingestion.outcomes import Outcomes
from collect.reading.left_out import LEFT_OUT
from img2gps.console import print_json, print_table, print_text, warn
from img2gps.errors import RejectedFilesError
from img2gps.reasons import FLAGS, REASONS
from img2gps.text import format_count, join_words, safe_text

__all__ = ["close"]

_EXAMPLES = 3
_NOTES_SHOWN = 20


def close(outcomes: Outcomes, *, title: str, as_json: bool, strict: bool) -> None:
    """Print the outcome on stdout, notes on stderr.

    Raises RejectedFilesError where no file could be used, or where `strict` asks for it.
    """
    for note in outcomes.notes[:_NOTES_SHOWN]:
        warn(note)
    if len(outcomes.notes) > _NOTES_SHOWN:
        warn(f"{len(outcomes.notes) - _NOTES_SHOWN:,} more of these.")
    if outcomes.misnamed:
        warn(
            f"{format_count(len(outcomes.misnamed), 'skipped file is', 'skipped files are')} named like photos "
            f"without an image in them: {_names(outcomes.misnamed)}."
        )
    if outcomes.left_out:
        warn(_left_out(outcomes))
    if outcomes.without_zone:
        warn(
            f"{format_count(outcomes.without_zone, 'photo has', 'photos have')} a clock time of unknown zone: "
            'add "time_zone", such as "America/New_York", to the properties of the site file and ingest again with '
            "--site."
        )
    if as_json:
        print_json(outcomes.to_report())
    else:
        _print_tables(outcomes, safe_text(title))
    if outcomes.found and not outcomes.usable:
        raise RejectedFilesError(_nothing_usable(outcomes))
    if not strict:
        return
    if outcomes.rejected:
        raise RejectedFilesError(
            f"{format_count(outcomes.rejected.total(), 'file was', 'files were')} rejected and --strict was given: "
            "mend or remove them (the reasons stand above)."
        )
    if outcomes.unused_labels:
        raise RejectedFilesError(
            f"{format_count(len(outcomes.unused_labels), 'label')} met no file and --strict was given: "
            f"{_names(outcomes.unused_labels)}; check the names, or remove the rows."
        )


def _nothing_usable(outcomes: Outcomes) -> str:
    """Return why no file of the input could be used: the most frequent reason, and what to do about it."""
    files = format_count(outcomes.found, "file")
    if not outcomes.rejected:
        return f"None of {files} is a photo: give the folder that holds the phone's originals."
    [(code, count)] = outcomes.rejected.most_common(1)
    why = f"{REASONS[code].text}: {REASONS[code].remedy}"
    return f"No photo of {files} could be used, {count:,} because {why}."


def _left_out(outcomes: Outcomes) -> str:
    kinds = [f"{count:,} {LEFT_OUT[code]}" for code, count in outcomes.left_out.items()]
    return (
        f"{format_count(outcomes.left_out.total(), 'skipped file is', 'skipped files are')} left out: "
        f"{join_words(kinds)} ({_names(outcomes.left_out_names)}). --include-hidden takes them in."
    )


def _print_tables(outcomes: Outcomes, title: str) -> None:
    counts = [(word, getattr(outcomes, word)) for word in ("new", "unchanged", "duplicate")]
    rejected = [(f"rejected: {code}", outcomes.rejected[code]) for code in REASONS if outcomes.rejected[code]]
    skipped = outcomes.skipped - outcomes.left_out.total() - outcomes.sidecars
    beside = [("skipped: left out", outcomes.left_out.total()), ("skipped: sidecars of photos", outcomes.sidecars)]
    rows = [
        *counts,
        *rejected,
        ("skipped (no photo)", skipped),
        *(row for row in beside if row[1]),
        ("found", outcomes.found),
    ]
    print_table(title, ("outcome", "files"), [(word, f"{count:,}") for word, count in rows])
    if outcomes.flags:
        print_text("")
        flagged = [(code, f"{outcomes.flags[code]:,}", FLAGS[code].text) for code in FLAGS if outcomes.flags[code]]
        print_table("Flags of accepted photos", ("flag", "photos", "meaning"), flagged)
    names: dict[str, list[str]] = defaultdict(list)
    for rejection in outcomes.rejections:
        detail = f" ({rejection.detail})" if rejection.detail else ""
        names[rejection.reason].append(f"{safe_text(rejection.path)}{safe_text(detail)}")
    for code in (code for code in REASONS if code in names):
        print_text(f"\n{code}: {REASONS[code].text}")
        print_text(f"  what to do: {REASONS[code].remedy}")
        print_text(f"  such as: {_names(names[code])}")


def _names(names: list[str]) -> str:
    shown = ", ".join(safe_text(name) for name in names[:_EXAMPLES])
    return shown if len(names) <= _EXAMPLES else f"{shown} and {len(names) - _EXAMPLES:,} more"

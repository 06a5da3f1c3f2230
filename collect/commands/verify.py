"""`img2gps verify`: every hash, every row, every checkpoint."""

from pathlib import Path

import rich_click as click

from img2gps.console import (
    DATASET,
    cluster_option,
    command,
    config_option,
    json_option,
    print_json,
    print_table,
    print_text,
)


@command("verify", example="img2gps verify quad\nimg2gps verify runs/default-001")
@click.argument("folder", type=DATASET, metavar="DATASET|RUN")
@cluster_option
@config_option
@json_option
def verify(folder: Path, cluster: str | None, as_json: bool) -> None:
    """Recompute every hash of a dataset or of a run.

    In a DATASET every row is checked against schema, polygon and photos. Files that no row names do no harm, and are
    counted apart. In a RUN every checkpoint, prediction and figure is checked, also in folds and evaluations. If
    something is wrong, the exit code is 4, with a line for each damaged file and what to do.
    """
    from collect.api import verify as verify_dataset
    from collect.verification import is_dataset
    from img2gps.errors import InvalidDatasetError, UsageError
    from img2gps.text import safe_path
    from img2gps.verification import Report, verify_folder

    if cluster is not None and folder.exists() and not is_dataset(folder):
        raise UsageError(f"--cluster hashes the photos of a dataset, and {safe_path(folder)} is none: leave it out.")
    result: Report = verify_dataset(folder, cluster=cluster) if is_dataset(folder) else verify_folder(folder)
    if as_json:
        print_json(result.to_dict())
    else:
        print_text(result.sentence())
        if result.problems:
            rows = [(problem.where, problem.what, problem.remedy) for problem in result.problems]
            print_table("Problems", ("where", "what", "what to do"), rows)
    if result.problems:
        more = f" (and {len(result.problems) - 1:,} more)" if len(result.problems) > 1 else ""
        first = result.problems[0]
        told = f"{first.where}: {first.what}".rstrip(".")
        raise InvalidDatasetError(f"{safe_path(folder)} is not as it was written: {told}{more}.")

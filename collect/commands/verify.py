"""`img2gps verify`: every hash, every row."""

from pathlib import Path

import rich_click as click

from img2gps.console import PATH, command, config_option, json_option, print_json, print_table, print_text


@command("verify", example="img2gps verify quad")
@click.argument("dataset", type=PATH)
@config_option
@json_option
def verify(dataset: Path, as_json: bool) -> None:
    """Recompute every hash of DATASET and check every row against schema, polygon and store.

    Exits with 4 where something is wrong. Files that no row names are counted apart: they do no harm.
    """
    from collect.verify import summary, verify_dataset
    from img2gps.errors import InvalidDatasetError
    from img2gps.text import safe_path

    result = verify_dataset(dataset)
    if as_json:
        print_json(result.to_dict())
    else:
        print_text(summary(result))
        if result.problems:
            print_table("Problems", ("where", "what"), [(problem.where, problem.what) for problem in result.problems])
    if result.problems:
        more = f" (and {len(result.problems) - 1:,} more)" if len(result.problems) > 1 else ""
        first = result.problems[0]
        told = f"{first.where}: {first.what}".rstrip(".")
        raise InvalidDatasetError(f"{safe_path(dataset)} is not as it was written: {told}{more}.")

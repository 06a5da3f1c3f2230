"""``img2gps evaluate``: what a run is worth on photos it has not seen."""

from pathlib import Path
from typing import Literal

import rich_click as click

from img2gps.console import (
    DATASET,
    PATH,
    FiniteRange,
    command,
    config_option,
    json_option,
    print_json,
    print_table,
    print_text,
    say,
)
from img2gps.text import safe_path

__all__ = ["evaluate"]

_EXAMPLE = """
img2gps evaluate runs/default-001
img2gps evaluate runs/default-001 --on other-walks --abstain 25
img2gps evaluate runs/default-001 runs/quick-001
"""


@command("evaluate", example=_EXAMPLE, short_help="Errors of a run in metres, beside what needs no model.")
@click.argument("runs", metavar="RUN...", type=PATH, nargs=-1, required=True)
@click.option(
    "--on", metavar="DATASET", type=DATASET, help="Score the photos of this dataset; those of training are left out."
)
@click.option(
    "--split",
    type=click.Choice(["test", "val", "train", "all"]),
    help="Photos to score.  [default: test, else val; the folds; all of another dataset]",
)
@click.option(
    "--abstain",
    metavar="METRES",
    type=FiniteRange(min=0, min_open=True),
    help="Also score sure answers alone: 90 % region no wider than this, not unlike the site.",
)
@click.option(
    "--where",
    type=click.Choice(["photos", "site"]),
    default="photos",
    help="Forecast the next walk on the ground of these photos, or anywhere on the site (runs with folds).",
)
@click.option("--force", is_flag=True, help="Score a split whose photos changed since the run.")
@click.option("--device", default="auto", help="cpu, cuda, mps, or auto for the best there is.")
@config_option
@json_option
def evaluate(
    runs: tuple[Path, ...],
    on: Path | None,
    split: str | None,
    abstain: float | None,
    where: Literal["photos", "site"],
    force: bool,
    device: str,
    as_json: bool,
) -> None:
    """Score runs on photos with known places: errors in metres, with intervals.

    Writes predictions.parquet, evaluation.json, plots and report.html to RUN/evaluations. Several runs are compared in
    pairs on the same photos, on a page of their own.
    """
    from train.evaluation import summary
    from train.evaluation.comparison_page import comparison_path
    from train.evaluation.document import contract_of
    from train.evaluation.evaluate import evaluate_runs

    results, comparisons = evaluate_runs(
        runs, on=on, split=split, force=force, abstain_m=abstain, where=where, device=device
    )
    if as_json:
        documents = [contract_of(result) for result in results]
        pairs = [comparison.to_dict() for comparison in comparisons]
        page = {"report": str(comparison_path(results))} if comparisons else {}
        print_json(documents[0] if len(documents) == 1 else {"runs": documents, "comparisons": pairs} | page)
        return
    for result in results:
        print_text(summary.headline(result))
        for table in (summary.figures_table(result), summary.walks_table(result)):
            print_table(table.title, table.columns, table.rows)
        for line in summary.remarks(result):
            print_text(line)
        print_text("")
    for comparison in comparisons:
        print_text(comparison.sentence("rmse_m"))
        print_text(comparison.sentence("median_m"))
    if comparisons:
        say(f"See the runs side by side: {safe_path(comparison_path(results))}")
    steps = [step for result in results for step in summary.next_steps(result)]
    for step in dict.fromkeys(steps):  # what helps one run may help the other
        say(step)

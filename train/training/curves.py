"""The curves of a run: loss and validation error over the epochs."""

from img2gps.files import write_atomic
from train.runs.folder import RunFolder

__all__ = ["draw_curves"]


def draw_curves(run: RunFolder) -> None:
    """Draw ``plots/curves.png`` from metrics.jsonl; nothing where no epoch is recorded (models without epochs)."""
    lines = run.read_metrics()
    if not lines or "train/loss" not in lines[0]:
        return
    from matplotlib.figure import Figure

    epochs = [line["epoch"] for line in lines]
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, label in (("train/loss", "training"), ("val/loss", "validation")):
        left.plot(epochs, [line.get(name) for line in lines], marker=".", label=label)
    left.set(xlabel="epoch", ylabel="loss", title="Loss", yscale="log")
    left.legend()
    for name, label in (("val/rmse_m", "RMSE"), ("val/mean_m", "mean"), ("val/median_m", "median")):
        right.plot(epochs, [line.get(name) for line in lines], marker=".", label=label)
    right.set(xlabel="epoch", ylabel="metres", title="Validation error")
    if any(line.get("val/rmse_m") is not None for line in lines):
        right.set_ylim(bottom=0)
        right.legend()
    write_atomic(run.plots_path / "curves.png", lambda file: figure.savefig(file, format="png", dpi=120))

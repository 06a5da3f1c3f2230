import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from train.config.schema import TrainConfig
from train.models.network.schedule import learning_rate


def test_step_is_what_steplr_does_when_stepped_per_epoch() -> None:
    config = TrainConfig(schedule="step", step_epochs=5, step_gamma=0.1, lr=1e-3, epochs=15)
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([parameter], lr=1e-3)
    reference = torch.optim.lr_scheduler.StepLR(optimizer, step_size=5, gamma=0.1)
    for epoch in range(15):
        assert learning_rate(config, epoch + 0.7) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step()


@given(st.floats(0, 20), st.sampled_from(["step", "cosine", "constant"]), st.floats(0, 3))
def test_the_rate_is_never_above_the_given_one_nor_below_zero(progress: float, schedule: str, warmup: float) -> None:
    config = TrainConfig(schedule=schedule, warmup_epochs=warmup, epochs=20, lr=0.1)  # type: ignore[arg-type]
    assert 0.0 <= learning_rate(config, progress) <= 0.1 * (1 + 1e-9)


def test_cosine_rises_during_warm_up_and_ends_at_zero() -> None:
    config = TrainConfig(schedule="cosine", warmup_epochs=2, epochs=10, lr=1.0)
    rates = [learning_rate(config, epoch) for epoch in (0, 1, 2, 6, 10)]
    assert 0 < rates[0] < rates[1] < rates[2] == pytest.approx(1.0)
    assert rates[3] == pytest.approx(0.5)
    assert rates[4] == pytest.approx(0.0)

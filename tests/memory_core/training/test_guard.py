"""A NaN or an infinity never reaches the parameters, and is not hushed up."""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from memory_core.training.learner import Learner, Training, TrainingError
from memory_core.training.loop import METRICS, train
from memory_core.training.metrics import Figures, Metrics
from tests.memory_core.training.learning import Line


def parameters(learner: Learner) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in learner.network.parameters()]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_bad_loss_restores_the_last_good_step_and_halves_the_step_size(bad: float) -> None:
    line = Line(bad, bad_from=4)
    learner = Learner(line.network, Training(rate=0.1, optimiser="adam"), seed=1)
    learner.update(line.loss)
    learner.update(line.loss)
    before = parameters(learner)  # the last ones whose loss is known to be finite: that of the third step
    assert learner.update(line.loss).bad is None
    assert learner.update(line.loss).bad == "loss"
    assert all(torch.equal(one, other) for one, other in zip(before, parameters(learner), strict=True))
    assert learner.rate == 0.05
    assert learner.update(line.loss).bad is None
    assert learner.rate == 0.05


def test_the_optimiser_is_restored_too() -> None:
    """A step taken back leaves no trace in the moments: what follows is as if it had never been taken."""

    def scaled(line: Line, factor: float, generator: torch.Generator) -> Tensor:
        return line.loss(generator) * factor

    def after(calls: list[str]) -> list[Tensor]:
        torch.manual_seed(1)
        line = Line()
        learner = Learner(line.network, Training(rate=0.1, optimiser="adam"), seed=1)
        for call in calls:
            if call == "halve":
                learner.rate /= 2.0
                continue
            learner.generator.manual_seed(7)
            factor = torch.nan if call == "bad" else 1.0
            learner.update(partial(scaled, line, factor))
        return parameters(learner)

    never, taken_back = after(["good", "halve", "good"]), after(["good", "good", "bad", "good"])
    assert all(torch.equal(one, other) for one, other in zip(never, taken_back, strict=True))


def test_a_bad_gradient_of_a_finite_loss_is_caught() -> None:
    line = Line()
    learner = Learner(line.network, Training(), seed=1)
    before = parameters(learner)

    def loss(generator: torch.Generator) -> Tensor:
        return torch.sqrt(line.network.weight * 0.0).sum()  # 0, with a gradient of 0 times infinity

    update = learner.update(loss)
    assert update.bad == "gradient"
    assert update.loss == 0.0
    assert all(torch.equal(one, other) for one, other in zip(before, parameters(learner), strict=True))


def test_repeated_bad_steps_halve_again_and_at_last_give_up() -> None:
    line = Line(bad_from=2, bad_steps=100)
    learner = Learner(line.network, Training(rate=1.0, optimiser="adam"), seed=1)
    learner.update(line.loss)
    for halvings in range(1, 10):
        learner.update(line.loss)
        assert learner.rate == 0.5**halvings
    with pytest.raises(TrainingError, match="in a row"):
        learner.update(line.loss)


def test_the_loop_says_so_and_goes_on(tmp_path: Path) -> None:
    line, told = Line(bad_from=6, bad_steps=2), list[str]()
    training = Training(steps=200, rate=0.1, optimiser="adam", every=10)
    learner = Learner(line.network, training, seed=1)
    train(learner, line, training, tmp_path, tell=told.append)
    assert len(told) == 2
    assert "loss not finite" in told[0]
    assert "step size now 0.05" in told[0]
    assert "step size now 0.025" in told[1]
    lines = Metrics(tmp_path / METRICS).read()
    assert [line["step"] for line in lines if line.get("event") == "restored"] == [6, 7]
    assert lines[-1]["loss"] < 0.01


def test_a_validation_that_is_not_finite_takes_the_step_back_and_is_not_saved(tmp_path: Path) -> None:
    class Doubtful(Line):
        validations = 0

        def validate(self) -> Figures:
            self.validations += 1
            return {"excess": torch.inf if self.validations == 2 else 0.5}

    line, told = Doubtful(), list[str]()
    training = Training(steps=6, every=2, rate=0.1, optimiser="adam")
    learner = Learner(line.network, training, seed=1)
    saved: list[int] = []
    learner.save = lambda path, notes: saved.append(learner.step)  # type: ignore[method-assign]
    train(learner, line, training, tmp_path, tell=told.append)
    assert told == ["step 4: validation not finite; back to the last good step, step size now 0.05"]
    assert saved == [2, 6]

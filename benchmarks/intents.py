"""`python -m benchmarks.intents`: how well the intents that ship tell held sentences, which nobody trained or tuned on.

Each sentence is told with a header before it and without. The rule that the intent "asks" replaces (a question mark, or
one at the end) stands beside it.
"""

from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from memory_core.encoder import Encoder
from memory_core.language.intents import INTENTS, Intents, load
from memory_core.training.fit_intents import inputs_of
from memory_core.training.intent_sentences import Pattern, read

HELD = Path("tests/memory_core/language/held_intents.txt")
HEADERS = ("", "8 May 2023, Ann: ")
FOLLOW_UPS = [INTENTS.index("follow_up_forward"), INTENTS.index("follow_up_backward")]


def measure(encoder: Encoder, intents: Intents, patterns: list[Pattern]) -> tuple[Tensor, Tensor]:
    """The chance of each intent and its truth (nan: not said), a row a sentence and header."""
    chances = [
        intents(inputs_of(encoder, [one.text for one in patterns], [before] * len(patterns))) for before in HEADERS
    ]
    truth = torch.tensor([[torch.nan if one is None else float(one) for one in each.labels] for each in patterns])
    return torch.cat(chances), truth.repeat(len(HEADERS), 1)


def accuracy(chances: Float[Tensor, "*any"], truth: Float[Tensor, "*any"]) -> float:
    """Percent told right, of those where the truth is said."""
    known = truth.isfinite()
    return 100 * float(((chances > 0.5) == (truth > 0.5))[known].float().mean())


def calibration_error(chances: Float[Tensor, " texts"], truth: Float[Tensor, " texts"], bins: int = 10) -> float:
    """How far chances are from shares, in points: the expected calibration error (Guo et al. 2017)."""
    chances, truth = chances[truth.isfinite()], truth[truth.isfinite()]
    place = (chances * bins).long().clamp(max=bins - 1)
    apart = [abs(float((chances - truth)[place == one].sum())) for one in range(bins)]
    return 100 * sum(apart) / len(truth)


def follow_ups(chances: Tensor, truth: Tensor) -> tuple[float, float, float]:
    """Of follow-ups the percent whose direction is the likelier one, and the percent taken for follow-ups; and the
    percent of the others taken for such: both directions' chances together above a half."""
    told, right = chances[:, FOLLOW_UPS], truth[:, FOLLOW_UPS]
    is_one: Bool[Tensor, " texts"] = right.sum(1) == 1
    direction, taken = told.argmax(1) == right.argmax(1), told.sum(1) > 0.5
    shares = (direction[is_one], taken[is_one], taken[~is_one])
    return tuple(100 * float(share.float().mean()) for share in shares)  # type: ignore[return-value]


def main() -> None:
    """Prints the tables of docs/science.md."""
    encoder = Encoder()
    intents = load(encoder)
    if intents is None:
        raise SystemExit("the weights that ship hold no intents for this encoder")
    patterns = read([HELD])
    chances, truth = measure(encoder, intents, patterns)
    print(f"{len(patterns)} sentences, each with a header and without\n")
    print(
        "| intent | sentences of it | right, % | of it found, % | others taken for it, % | calibration error, points |"
    )
    print("|---|---|---|---|---|---|")
    for place, name in enumerate(INTENTS):
        p, t = chances[:, place], truth[:, place]
        found, false = 100 * float((p > 0.5)[t == 1].float().mean()), 100 * float((p > 0.5)[t == 0].float().mean())
        print(f"| `{name}` | {int((t == 1).sum()) // len(HEADERS)} | {accuracy(p, t):.1f} | {found:.1f} | {false:.1f} "
              f"| {calibration_error(p, t):.1f} |")  # fmt: skip
    direction, found, false = follow_ups(chances, truth)
    print(f"\nfollow-ups: direction {direction:.1f} %, found {found:.1f} %, others taken for such {false:.1f} %")
    marked = torch.tensor([float("?" in each.text or "？" in each.text) for each in patterns]).repeat(len(HEADERS))
    ends = torch.tensor([float(each.text.endswith(("?", "？"))) for each in patterns]).repeat(len(HEADERS))
    print(f"rules: a question mark tells asks {accuracy(marked, truth[:, 0]):.1f} %, "
          f"one at the end only_asks {accuracy(ends, truth[:, 1]):.1f} %\n")  # fmt: skip
    for language in sorted({each.language for each in patterns}):
        mine = torch.tensor([each.language == language for each in patterns]).repeat(len(HEADERS))
        right = accuracy(chances[mine], truth[mine])
        print(f"{language}: {int(mine.sum()) // len(HEADERS)} sentences, all intents {right:.1f} %")


if __name__ == "__main__":
    main()

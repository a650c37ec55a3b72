"""Reads that search along the order of writing: from a place backward or forward to the nearest slot that matches.

A DNC's temporal links lead to what was written just before or just after. A search follows them further, past what does
not match: from slot to slot the chance to stop is how well the slot matches the key, so the weighting is that of the
first match met. With a key that matches everything it is one step along the links. What is left of a weighting (to 1)
is the chance that nothing matched.

Source: the stick-breaking form is that of the geometric attention of Csordas, Irie & Schmidhuber 2022 ("The Neural Data
Router", eq. 5), here from any weighting and in both directions. Slots are in the order of their writing.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

_LEAST = 1e-9  # a smaller start counts as that
_SURE = 20.0  # the logit of a match that nothing passes, small enough for sums over hundreds of slots
_NEVER = -1e4  # the logarithm of no chance


def latest(logits: Float[Tensor, "*batch slots"]) -> Float[Tensor, "*batch slots"]:
    """The newest slot that matches: m_k times the product over later j of 1 - m_j, m the sigmoid of the logits."""
    passed = functional.logsigmoid(-logits).cumsum(-1)
    return torch.exp(functional.logsigmoid(logits) + (passed[..., -1:] - passed))


def around(
    logits: Float[Tensor, "*batch slots"], start: Float[Tensor, "*batch slots"]
) -> tuple[Float[Tensor, "*batch slots"], Float[Tensor, "*batch slots"]]:
    """The nearest match before, and after, a place that is drawn from the weighting `start`.

    Returns:
        Both weightings: b_k = m_k sum_{i>k} s_i prod_{k<j<i} (1 - m_j), and the same the other way.
    """
    logits = logits.clamp(max=_SURE)
    match = functional.logsigmoid(logits)
    passed = functional.logsigmoid(-logits).cumsum(-1)
    before_next = functional.pad(passed[..., :-1], (1, 0))
    begun = start.clamp(min=_LEAST).log()
    # running sums, so that it costs as much as there are slots; in logarithms, as no float holds the chance to pass 300
    later = (begun + before_next).flip(-1).logcumsumexp(-1).flip(-1)
    earlier = (begun - passed).logcumsumexp(-1)
    backward = match - passed + functional.pad(later[..., 1:], (0, 1), value=_NEVER)
    forward = match + before_next + functional.pad(earlier[..., :-1], (1, 0), value=_NEVER)
    return backward.exp(), forward.exp()

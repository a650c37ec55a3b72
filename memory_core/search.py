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
    match = torch.sigmoid(logits)
    passed = functional.logsigmoid(-logits).cumsum(-1)
    before_next = functional.pad(passed[..., :-1], (1, 0))
    # reach[k, i], k < i: the chance to get from i to k, or from k to i, past all between them
    reach = torch.exp((before_next.unsqueeze(-2) - passed.unsqueeze(-1)).clamp(max=0.0)).triu(1)
    backward = (reach @ start.unsqueeze(-1)).squeeze(-1)
    forward = (start.unsqueeze(-2) @ reach).squeeze(-2)
    return match * backward, match * forward

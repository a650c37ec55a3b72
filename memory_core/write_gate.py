"""The learned write gate: how likely it is that what is written will ever be asked for, by the message alone.

It goes by how the message was said and how much it holds, never by its words or by what else the memory holds: what
knows words learns the training's conversations, and what depends on other messages could not be undone when one of
them is forgotten.
"""

from jaxtyping import Float
from torch import Tensor, nn

from memory_core.message_features import FEATURES


class WriteGate(nn.Module):
    """The write gate g_w of Graves et al. 2016 as a function of what is written.

    Args:
        hidden: units of the small network.
    """

    def __init__(self, hidden: int = 8) -> None:
        super().__init__()
        self.worth = nn.Sequential(nn.Linear(FEATURES, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def logits(self, features: Float[Tensor, "rows features"]) -> Float[Tensor, " rows"]:
        """The gate's logit for rows of these `message_features.features`."""
        told: Tensor = self.worth(features).squeeze(-1)
        return told

    def forward(self, features: Float[Tensor, "rows features"]) -> Float[Tensor, " rows"]:
        """How strongly each row is written, in (0, 1)."""
        return self.logits(features).sigmoid()

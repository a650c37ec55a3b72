"""The NTM equals its equations in loops, with any number of heads."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from memory_core.controllers import ControllerConfig
from memory_core.ntm import NTM, NTMConfig

EPSILON = 1e-6
SLOTS = 5


def weighting(vector: Tensor, memory: Tensor, before: Tensor, reach: int) -> Tensor:
    """Graves 2014, eqs. 5 to 9, in loops."""
    word, slots = memory.shape[1], len(memory)
    key, beta, gate = vector[:word], functional.softplus(vector[word]), torch.sigmoid(vector[word + 1])
    shares, gamma = torch.softmax(vector[word + 2 : -1], 0), 1 + functional.softplus(vector[-1])
    lengths = [torch.sqrt((row @ row) + EPSILON) * torch.sqrt((key @ key) + EPSILON) for row in memory]
    exponentials = [torch.exp(beta * (row @ key) / length) for row, length in zip(memory, lengths, strict=True)]
    content = [e / torch.stack(exponentials).sum() for e in exponentials]
    gated = [gate * c + (1 - gate) * w for c, w in zip(content, before, strict=True)]
    shifted = []
    for i in range(slots):
        shifted.append(sum(gated[(i - by) % slots] * shares[by + reach] for by in range(-reach, reach + 1)))
    powered = torch.stack([w**gamma for w in shifted])
    return powered / powered.sum()


@pytest.mark.parametrize(("reads", "writes", "reach"), [(1, 1, 1), (2, 1, 1), (1, 3, 2), (2, 2, 0)])
def test_outputs_and_gradients_are_those_of_the_equations(reads: int, writes: int, reach: int) -> None:
    torch.manual_seed(0)
    config = NTMConfig(SLOTS, 3, reads, writes, ControllerConfig("gru", hidden=6), reach)
    network, sequence = NTM(4, 2, config).double(), torch.randn(2, 6, 4, dtype=torch.float64)
    with torch.no_grad():
        network.address.weight.mul_(4.0)
    ours, _ = network(sequence)
    theirs = []
    for row in sequence:
        state = network.initial_state(1)
        memory, read, carried = state.memory[0], state.reads[0], state.controller
        w_read, w_write = list(state.read_weighting[0]), list(state.write_weighting[0])
        for x in row:
            hidden, carried = network.controller(torch.cat([x, read.flatten()])[None], carried)
            heads = network.address(hidden)[0].chunk(reads + writes)
            contents = network.content(hidden)[0].chunk(writes)
            w_write = [weighting(h, memory, w, reach) for h, w in zip(heads[reads:], w_write, strict=True)]
            for w, content in zip(w_write, contents, strict=True):
                memory = memory * (1 - w[:, None] * torch.sigmoid(content[:3])[None])
            for w, content in zip(w_write, contents, strict=True):
                memory = memory + w[:, None] * content[3:][None]
            w_read = [weighting(h, memory, w, reach) for h, w in zip(heads[:reads], w_read, strict=True)]
            read = torch.stack([w @ memory for w in w_read])
            theirs.append(network.output(torch.cat([hidden[0], read.flatten()])))
    expected = torch.stack(theirs).reshape(ours.shape)
    torch.testing.assert_close(ours, expected, atol=1e-9, rtol=1e-9)
    weights, chosen = list(network.parameters()), torch.sin(torch.arange(ours.numel())).reshape(ours.shape)
    for one, other in zip(
        torch.autograd.grad((ours * chosen).sum(), weights),
        torch.autograd.grad((expected * chosen).sum(), weights),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)


def test_heads_start_on_slot_0_from_where_shifts_lead() -> None:
    network = NTM(4, 2, NTMConfig(SLOTS, 3))
    state = network.initial_state(2)
    for heads in (state.read_weighting, state.write_weighting):
        assert heads[..., 0].eq(1).all()
        assert heads[..., 1:].eq(0).all()

"""Controllers alone: each kind is what PyTorch's is, and the Transformer sees its window and nothing after."""

import dataclasses

import pytest
import torch
from torch import nn

from memory_core.controllers import Controller, ControllerConfig, Plain, PlainConfig


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_recurrent_layers_are_pytorchs(kind: str) -> None:
    torch.manual_seed(0)
    config = ControllerConfig(kind, hidden=6, layers=2)  # type: ignore[arg-type]
    controller, sequence = Controller(4, config), torch.randn(3, 7, 4)
    theirs = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[kind](4, 6, 2, batch_first=True)
    theirs.load_state_dict(
        {
            f"{name}_l{layer}": controller.state_dict()[f"layers.{layer}.cell.{name}"]
            for layer in range(2)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
    )
    state, expected = controller.initial_state(3), theirs(sequence)[0]
    for time in range(7):
        hidden, state = controller(sequence[:, time], state)
        torch.testing.assert_close(hidden, expected[:, time])


def test_a_transformer_step_is_causal_attention_over_the_window() -> None:
    torch.manual_seed(0)
    config = ControllerConfig("transformer", hidden=8, heads=2, window=3)
    controller, sequence = Controller(8, config), torch.randn(1, 9, 8)
    layer = controller.layers[0]
    with torch.no_grad():
        layer.age_bias.normal_()  # type: ignore[operator]
    state = controller.initial_state(1)
    for time in range(9):
        hidden, state = controller(sequence[:, time], state)
        seen = sequence[:, max(0, time - 3) : time + 1]
        query, key, value = layer.query_key_value(layer.norm(seen)).chunk(3, -1)  # type: ignore[operator]
        found = []
        for head in range(2):
            part = slice(4 * head, 4 * head + 4)
            bias = layer.age_bias[head, : seen.shape[1]].flip(0)  # type: ignore[index]
            weights = torch.softmax(query[0, -1, part] @ key[0, :, part].T / 2.0 + bias, -1)
            found.append(weights @ value[0, :, part])
        mixed = sequence[:, time] + layer.mix(torch.cat(found))  # type: ignore[operator]
        torch.testing.assert_close(hidden, mixed + layer.feed_forward(layer.norm_after(mixed)))  # type: ignore[operator]


def test_a_transformer_forgets_what_its_window_has_passed() -> None:
    config = ControllerConfig("transformer", hidden=8, heads=2, window=3)
    network, sequence = Plain(4, 2, PlainConfig(config)), torch.randn(1, 9, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(sequence)[0][:, 8].sum(), sequence)
    assert (gradient.abs().sum(2) > 0)[0].tolist() == [False] * 5 + [True] * 4


def test_a_feed_forward_controller_carries_nothing() -> None:
    network, sequence = Plain(4, 2, PlainConfig(ControllerConfig("feedforward"))), torch.randn(1, 3, 4)
    together, _ = network(sequence)
    torch.testing.assert_close(together[:, 2:], network(sequence[:, 2:])[0])


def test_heads_that_do_not_divide_the_hidden_units_are_refused() -> None:
    with pytest.raises(ValueError, match="3 heads"):
        Controller(4, dataclasses.replace(ControllerConfig("transformer"), heads=3))

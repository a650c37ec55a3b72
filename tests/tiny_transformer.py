"""A random transformer small enough to be quick: what it means is nothing, but it is a real one."""

from pathlib import Path

import torch
from transformers import BertConfig, BertModel

from memory_core.encoder import Encoder


def save_tiny_transformer(folder: Path, encoder: Encoder, layers: int) -> None:
    """Saves one of 32 dimensions with the tokenizer of `encoder`, as `transformers` does; the same one every time."""
    encoder.tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = BertConfig(
        vocab_size=encoder.vocabulary,
        max_position_embeddings=64,
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=64,
    )
    BertModel(sizes).save_pretrained(folder)

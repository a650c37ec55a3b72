"""A slot's second key: what was said, in any language, and how a reading mixes it with what the first encoder knows.

The first encoder was taught English. How foreign a text is to it shows in the word pieces that it needs: many, short,
not of its alphabet. As far as cue or slot are foreign, the likeness of their meanings (`multilingual_encoder`) takes
the place of the reranker's word. Where nothing foreign is in play it adds nothing, and the cue is not encoded a second
time.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int, Int8
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from memory_core import weights
from memory_core.binary_codes import encode_sentence
from memory_core.encoder import Encoder, Utterance
from memory_core.language.intents import INTENTS
from memory_core.multilingual_encoder import FORM, MEANING, MultilingualEncoder
from memory_core.outdating import Outdating

WEIGHTS = Path(__file__).parent / "weights" / "meaning.safetensors"
SCHEMA = "5"
EVIDENCE = 4  # numbers that the confidence goes by
PAIR = ("meanings fit", "later fits cue", "later fits cue better", "later read beside earlier")
_LEAST, _MOST = -20.0, 3.0  # nats, between which a slot's log weight beside another's is told
_STRETCH = 400  # characters of a message that one vector stands for
_MOST_STRETCHES = 64  # of one message; a longer one is known by its beginning
_BREAK = re.compile(r"(?<=[.!?。！？؟…\n])\s*")
FEW = 2.0  # pieces that a text is taken to have besides, which tell nothing: a word alone is no language
_SCRIPT = 3  # unknown pieces from which a text may be of another script, if most of it is unknown
_SURE = 0.5  # foreign share below which a text counts as not foreign at all


class Meaning(nn.Module):
    """The parameters of the second key.

    Args:
        vocabulary: how many word pieces the first encoder has.
        width: of the multilingual encoder's vectors.

    Attributes:
        foreign: what each word piece tells of a text's being foreign; the last stands for all unknown text.
        foreign_bias: what no text at all would tell.
        likeness: nats that a likeness of 1 adds, per foreign share; then what a foreign slot gains at a likeness of 0.
        kept: how much of the reranker's word remains where all is foreign.
        asked: the weights by which the form of a text tells its intents (`language.intents`), each with its bias last.
        sure: the weights of the evidence in the confidence; the last is the bias.
        outdating: which later slot outdates an earlier one, where one is foreign: of `pairs`.
    """

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.foreign = nn.Parameter(torch.zeros(vocabulary + 1))
        self.foreign_bias = nn.Parameter(torch.zeros(()))
        self.likeness = nn.Parameter(torch.zeros(2))
        self.kept = nn.Parameter(torch.ones(()))
        self.asked = nn.Parameter(torch.zeros(len(INTENTS), width + 1))
        self.sure = nn.Parameter(torch.zeros(EVIDENCE + 1))
        self.outdating = Outdating(len(PAIR))
        self.requires_grad_(False)

    def foreign_share(self, token_ids: Int[Tensor, " pieces"]) -> float:
        """How foreign a text of these pieces is to the first encoder, in [0, 1]; 0 unless that is likely."""
        said = self._without_symbols(token_ids)
        share = float(torch.sigmoid(self.foreign_logits(said))) if len(said) else 0.0
        return 0.0 if share < _SURE else share

    def _without_symbols(self, token_ids: Int[Tensor, " pieces"]) -> Int[Tensor, " kept"]:
        """A text's pieces without those of unknown text, where these are few: an emoji is of no language."""
        unknown = token_ids >= len(self.foreign) - 1
        script = int(unknown.sum()) >= _SCRIPT and float(unknown.float().mean()) > _SURE
        return token_ids if script else token_ids[~unknown]

    def foreign_logits(self, token_ids: Int[Tensor, " pieces"]) -> Float[Tensor, ""]:
        """The log odds of a text of these pieces being foreign."""
        told = self.foreign[token_ids.long().clamp(0, len(self.foreign) - 1)]
        return told.sum() / (len(told) + FEW) + self.foreign_bias

    def parts(self, utterance: Utterance, header: int, parts: int) -> tuple[Int8[Tensor, "parts width"], float]:
        """What the slots of an utterance hold: of each part the meaning, and the foreign share of the whole.

        Args:
            header: how many of its first pieces stand before the text.
        """
        stretches = utterance.meanings
        if stretches is None or not len(stretches):
            return torch.zeros(parts, self.width, dtype=torch.int8, device=self.foreign.device), 0.0
        count = len(stretches)
        bounds = [(part * count // parts, max((part + 1) * count // parts, part * count // parts + 1))
                  for part in range(parts)]  # fmt: skip
        means = torch.stack([stretches[first:last, MEANING].mean(0) for first, last in bounds])
        return encode_sentence(means), self.foreign_share(utterance.token_ids[header:])

    def intents(self, utterance: Utterance, header: int = 0) -> tuple[Float[Tensor, " intents"], float] | None:
        """The probability of each intent by the form of a text, and how foreign it is; None where it is not foreign.

        Args:
            header: how many of its first pieces stand before the text.
        """
        share = self.foreign_share(utterance.token_ids[header:])
        if utterance.meanings is None or not len(utterance.meanings) or not share:
            return None
        return torch.sigmoid(self.intent_logits(utterance.meanings[:, FORM].mean(0))), share

    def intent_logits(self, forms: Float[Tensor, "*texts width"]) -> Float[Tensor, "*texts intents"]:
        """The log odds of each intent."""
        return forms @ self.asked[:, :-1].T + self.asked[:, -1]

    def cosines(self, held: Int8[Tensor, "slots width"], cue: Float[Tensor, " width"]) -> Float[Tensor, " slots"]:
        """How like a cue's meaning those of slots are."""
        return functional.normalize(held.float(), dim=-1) @ cue

    def pairs(
        self,
        held: Int8[Tensor, "slots width"],
        cosines: Float[Tensor, " slots"],
        logits: Float[Tensor, " slots"],
        earlier: int,
    ) -> Float[Tensor, "slots pair"]:
        """What is seen of each slot as one that was told later than another, in the order of `PAIR`.

        Args:
            held: meanings.
            cosines: with the cue's meaning.
            logits: log weights of the reading.
            earlier: the place of the other slot.
        """
        meanings = functional.normalize(held.float(), dim=-1)
        beside = (logits - logits[earlier]).clamp(_LEAST, _MOST)
        return torch.stack([meanings @ meanings[earlier], cosines, cosines - cosines[earlier], beside], -1)

    def mixed(
        self,
        logits: Float[Tensor, " slots"],
        cosines: Float[Tensor, " slots"],
        cue: float,
        slots: Float[Tensor, " slots"],
        allowed: Bool[Tensor, " slots"],
        beside: Float[Tensor, " slots"],
    ) -> Float[Tensor, " slots"]:
        """The log weights of a reading, the reranker's word mixed with the meanings' likeness.

        Args:
            logits: the reranker's.
            cue, slots: foreign shares.
            allowed: slots that are evidence; the best of them is what others are held against.
            beside: nats for what no likeness of meanings tells: when it was said, and by whom.
        """
        foreign = slots.clamp(min=cue)
        best = logits[allowed].max() if bool(allowed.any()) else logits.max()
        above = logits - best
        told = self.kept * above + self.likeness[0] * cosines + self.likeness[1] + beside
        return (1.0 - foreign) * above + foreign * told

    def confidence(
        self, known: Tensor, weights: Float[Tensor, " slots"], cosines: Tensor, cue: float, slots: Tensor
    ) -> Float[Tensor, ""]:
        """The confidence of a reading: what the reranker knows of it, and what the meanings tell, by foreign shares.

        Args:
            known: the reranker's confidence.
            weights: of the reading.
        """
        told = torch.sigmoid(self.evidence(weights, cosines) @ self.sure[:-1] + self.sure[-1])
        foreign = (slots.clamp(min=cue) * weights).sum()
        return (1.0 - foreign) * known + foreign * told

    def evidence(self, weights: Float[Tensor, " slots"], cosines: Tensor) -> Float[Tensor, " evidence"]:
        """What tells whether the memory holds what is asked: the likeness of what is read, the best one, its lead, and
        the mean of all."""
        best = cosines.topk(min(2, len(cosines))).values
        return torch.stack([(weights * cosines).sum(), best[0], best[0] - best[-1], cosines.mean()])


def stretches(text: str) -> list[str]:
    """A text cut where sentences end, into stretches that one vector can stand for."""
    found = [""]
    for sentence in _BREAK.split(text):
        if found[-1] and len(found[-1]) + len(sentence) > _STRETCH:
            found.append("")
        found[-1] = f"{found[-1]} {sentence}".strip()
    cut = [each[start : start + _STRETCH] for each in found for start in range(0, max(len(each), 1), _STRETCH)]
    return cut[:_MOST_STRETCHES]


def load(encoder: Encoder, width: int, path: Path = WEIGHTS) -> Meaning | None:
    """The second key's parameters that ship; None where they were fitted beside another first encoder.

    Args:
        width: of the multilingual encoder's vectors.

    Raises:
        weights.WeightsError: the file is missing, damaged, or of a schema that this version does not know.
    """
    try:
        with safe_open(str(path), "pt") as file:
            told = file.metadata() or {}
            if told.get("schema") != SCHEMA:
                raise weights.WeightsError(f"{path}: meanings of schema {told.get('schema')}, not {SCHEMA}")
            if told.get("transformer") != encoder.transformer_fingerprint():
                return None
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise weights.WeightsError(f"{path}: no weights ({error}); install Mneme anew") from None
    meaning = Meaning(len(encoder.tokenizer), width)
    meaning.load_state_dict(tensors)
    return meaning.requires_grad_(False).to(encoder.device)


class Languages:
    """The multilingual encoder and the parameters of the second key together: texts -> meanings.

    Args:
        encoder: the multilingual one.
        meaning: mixes what it tells into a reading.
    """

    def __init__(self, encoder: MultilingualEncoder, meaning: Meaning) -> None:
        self.encoder, self.meaning = encoder, meaning

    def of_said(self, texts: Sequence[str]) -> list[Float[Tensor, "stretches 2 width"]]:
        """The meanings and forms of messages, a row a stretch."""
        cut = [stretches(text) for text in texts]
        rows = self.of_stretches([each for one in cut for each in one])
        return list(torch.split(torch.stack(rows), [len(one) for one in cut]))

    def of_stretches(self, texts: Sequence[str]) -> list[Float[Tensor, "2 width"]]:
        """The meaning and form of each of a message's stretches."""
        return list(self.encoder.encode(texts, asking=False).to(self.meaning.foreign.device))

    def of_asked(self, texts: Sequence[str]) -> list[Float[Tensor, "one 2 width"]]:
        """The meanings and forms of cues."""
        return list(self.encoder.encode(texts, asking=True).to(self.meaning.foreign.device).unsqueeze(1))

"""Following in time with the packaged encoder: "And after that?" follows the links, an ordinary question does not."""

from typing import NamedTuple

import pytest
import torch

from memory_core import reading, writing
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.reading import Reading
from memory_core.state import EpisodicState


class Modes(NamedTuple):
    """What `read_modes` gives."""

    following: float
    forward: float
    content: float
    backward: float


FOLLOWING = 0.5  # from here the links of the last reading outweigh those of the cue's own content

AHEAD = [
    "And after that?",
    "And then?",
    "What happened next?",
    "What did I do next?",
    "What happened after that?",
    "And what happened after that?",
    "So what happened then?",
    "And then what?",
    "And afterwards?",
    "What happened afterwards?",
    "What was next?",
    "What did we do after that?",
    "Okay, and after that?",
    "After that?",
    "And what came next?",
    "Tell me what happened next.",
]
BEHIND = [
    "And before that?",
    "And before?",
    "What happened before that?",
    "What did I do before that?",
    "What came before that?",
    "And what happened before that?",
    "What was before that?",
    "And what was just before?",
    "Before that?",
    "And what about before that?",
    "What happened right before?",
    "What did I do beforehand?",
]
ORDINARY = [
    "What is my dog's name?",
    "Where did I park the car?",
    "When does my flight to Lisbon leave?",
    "What did the doctor say about my knee?",
    "Who came to my birthday party?",
    "How much did I pay for the sofa?",
    "What should I cook for dinner tonight?",
    "Which books did I want to read this summer?",
    "Where does my sister live now?",
    "What's the wifi password at the cabin?",
    "When did I start learning the cello?",
    "Who recommended that dentist?",
    "What medication am I allergic to?",
    "How do I like my coffee?",
    "What was the name of the hotel in Porto?",
    "Which school does my son go to?",
    "What did I plan for the weekend?",
    "When is our wedding anniversary?",
    "What size shoes do I wear?",
    "How long have I been vegetarian?",
    "Where did we go on holiday last year?",
    "What did my boss think of the proposal?",
    "Who is picking up the kids on Friday?",
    "What did I buy at the market?",
    "Why was I angry with Tom?",
    "What happened at the meeting on Monday?",
    "What did I do last weekend?",
    "What happened after the concert?",
    "What did I do after work on Friday?",
    "Where did I go after Rome?",
    "What is my next appointment?",
    "Did I ever tell you about my grandmother?",
]


@pytest.fixture(scope="module")
def told(encoder: Encoder, memory: EpisodicMemory) -> EpisodicState:
    """A statement, the reply to it, and the statement that followed."""
    state = memory.empty(64)
    log = [
        ("We spent the morning at the fish market in Setubal", False),
        ("That sounds lovely, did you buy anything?", True),
        ("Marta called to say that the boiler is leaking again", False),
    ]
    for source, ((text, reply), said) in enumerate(zip(log, encoder.encode([text for text, _ in log]), strict=True), 1):
        state, _ = memory.write_(state, said, source, writing.precedence_gate(memory.config, text, reply))
    return state


def after_reading(
    memory: EpisodicMemory, encoder: Encoder, state: EpisodicState, asked: str, then: str
) -> tuple[int, Reading]:
    """The slot that `asked` reads most, and what `then` reads once that reading is noted."""
    cue, follow_up = encoder.encode([asked, then])
    first = memory.read([state], [cue])[0]
    return int(first.rows[0]), memory.read([memory.note_read(state, first.rows, first.weights)], [follow_up])[0]


def test_after_that_reads_the_statement_that_followed(
    memory: EpisodicMemory, encoder: Encoder, told: EpisodicState
) -> None:
    first, then = after_reading(memory, encoder, told, "What did we do at the fish market?", "And after that?")
    assert first == 0
    assert int(then.rows[0]) == 2
    assert float(then.forward[0]) > float(then.content[0] + then.backward[0])
    assert int(then.rows[then.forward.argmax()]) == 2


def test_before_that_reads_the_statement_that_came_before(
    memory: EpisodicMemory, encoder: Encoder, told: EpisodicState
) -> None:
    first, then = after_reading(memory, encoder, told, "What did Marta say about the boiler?", "And before that?")
    assert first == 2
    assert int(then.rows[0]) == 0
    assert float(then.backward[0]) > float(then.content[0] + then.forward[0])


def test_after_that_with_a_single_slot_noted(memory: EpisodicMemory, encoder: Encoder, told: EpisodicState) -> None:
    noted = memory.note_read(told, torch.tensor([0]), torch.tensor([1.0]))
    then = memory.read([noted], encoder.encode(["And after that?"]))[0]
    assert int(then.rows[0]) == 2
    assert float(then.forward[0]) == pytest.approx(0.9 * (1 - memory.config.reply_gate), abs=0.02)


def test_following_reaches_past_a_forgotten_message(
    memory: EpisodicMemory, encoder: Encoder, told: EpisodicState
) -> None:
    said = encoder.encode(["The plumber can come on Thursday"])[0]
    state, _ = memory.write(told, said, 4)
    state, _ = memory.forget(state, 3)
    first, then = after_reading(memory, encoder, state, "What did we do at the fish market?", "And after that?")
    assert (first, int(then.rows[0])) == (0, 3)


@pytest.fixture(scope="module")
def modes(memory: EpisodicMemory, encoder: Encoder) -> dict[str, Modes]:
    """How each text reads."""
    texts = AHEAD + BEHIND + ORDINARY
    means = [cue.pooled for cue in encoder.encode(texts)]
    return {
        text: Modes(*(float(mode) for mode in reading.read_modes(memory, mean)))
        for text, mean in zip(texts, means, strict=True)
    }


@pytest.mark.parametrize("text", AHEAD)
def test_a_follow_up_goes_forward(modes: dict[str, Modes], text: str) -> None:
    assert modes[text].following > FOLLOWING
    assert modes[text].forward > max(modes[text].content, modes[text].backward)


@pytest.mark.parametrize("text", BEHIND)
def test_a_look_back_goes_backward(modes: dict[str, Modes], text: str) -> None:
    assert modes[text].following > FOLLOWING
    assert modes[text].backward > max(modes[text].content, modes[text].forward)


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_question_reads_by_its_own_content(modes: dict[str, Modes], text: str) -> None:
    assert modes[text].following < 0.1
    assert modes[text].content > 0.7

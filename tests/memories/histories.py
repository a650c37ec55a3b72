"""What users do with their memories, at random, and how memories are compared."""

import random
from datetime import UTC, datetime, timedelta

from app.memories.cache import CachedMemory
from app.memories.memories import Memories, TurnContext
from app.memories.messages import Draft, Remembered
from app.memories.replay import replay
from app.memories.serialization import load_state
from app.store import log, memories
from app.store.log import Message
from memory_core.state import EpisodicState

START = datetime(2025, 1, 1, 9, tzinfo=UTC)
WORDS = (
    "anchor", "basket", "candle", "dinner", "engine", "forest", "garden", "harbour", "island", "jacket", "kettle",
    "ladder", "market", "needle", "orange", "pencil", "quarter", "river", "saddle", "table", "uncle", "valley",
    "window", "yellow", "zebra", "my", "the", "a", "was", "is", "bought", "lost", "saw", "walked",
)  # fmt: skip
FOLLOW_UPS = ("And after that?", "What happened before that?", "And then?")


def said(content: str, session_id: str = "s", role: str = "user", external_id: str | None = None) -> Draft:
    """A message of a fixed moment."""
    return Draft(role, content, session_id, START, external_id=external_id)


def text(choose: random.Random, most: int = 30) -> str:
    """One to `most` words; often the same ones, sometimes a question, sometimes a follow-up."""
    if choose.random() < 0.1:
        return choose.choice(FOLLOW_UPS)
    return " ".join(choose.choices(WORDS, k=choose.randint(1, most))) + choose.choice([".", ".", "?"])


def draft(choose: random.Random, role: str | None = None, external_id: str | None = None) -> Draft:
    """A message of one of three sessions, by anybody, long ago or lately."""
    return Draft(
        role or choose.choice(["user", "assistant", "system"]),
        text(choose),
        choose.choice(["monday", "tuesday", "friday"]),
        START + timedelta(seconds=choose.randint(0, 10**7)),
        speaker=choose.choice([None, None, "Ada", "Bob"]),
        external_id=external_id,
        status=choose.choice(["complete", "complete", "interrupted"]),
    )


class History:
    """A user's doings: remembers, hears with replies, recalls and, where `forgets`, deletes and brings back."""

    def __init__(self, of: Memories, user_id: str, seed: int, forgets: bool = True) -> None:
        self.of, self.user_id, self.choose, self.forgets = of, user_id, random.Random(seed), forgets
        self.messages: list[Message] = []
        self.heard: list[Message] = []
        self.gone: list[str] = []
        self._external = 0

    async def go_on(self, steps: int) -> None:
        """Does so many things more."""
        for _ in range(steps):
            doings = [self.remember, self.recall_and_store, self.recall_and_store, self.recall]
            if self.forgets and self.messages:
                doings += [self.forget_any, self.forget_last, self.forget_last_cue]
                doings += [self.forget_longest, self.bring_again, self.edit, self.forget_with_replies]
            await self.choose.choice(doings)()

    async def remember(self) -> None:
        drafts = []
        for _ in range(self.choose.randint(1, 4)):
            self._external += 1
            drafts.append(draft(self.choose, external_id=self.choose.choice([None, f"e{self._external}"])))
        self._keep(await self.of.remember(self.user_id, drafts))

    async def recall_and_store(self) -> TurnContext:
        done = await self.of.recall_and_store(
            self.user_id, draft(self.choose, "user"), self.choose.randint(1, 8), history=4
        )
        self._keep(done.remembered)
        asked = done.remembered.messages[0][0]
        self.heard.append(asked)
        if self.choose.random() < 0.7:
            reply = draft(self.choose, "assistant")
            answers = (done.remembered.head, asked.seq)
            self._keep(await self.of.remember(self.user_id, [reply], answers))
        return done

    async def recall(self) -> None:
        if self.messages:
            await self.of.recall(self.user_id, text(self.choose), self.choose.randint(1, 8))

    async def forget(self, message: Message) -> None:
        await self.of.forget(self.user_id, message.id)
        self.messages.remove(message)
        if message in self.heard:
            self.heard.remove(message)
        if message.external_id:
            self.gone.append(message.external_id)

    async def forget_any(self) -> None:
        await self.forget(self.choose.choice(self.messages))

    async def forget_last(self) -> None:
        await self.forget(self.messages[-1])

    async def forget_last_cue(self) -> None:
        if self.heard:
            await self.forget(self.heard[-1])

    async def forget_longest(self) -> None:
        await self.forget(max(self.messages, key=lambda message: len(message.content)))

    async def edit(self) -> None:
        message = self.choose.choice(self.messages)
        done = await self.of.editing.edit(self.user_id, message.id, text(self.choose), None)
        self.messages.remove(message)
        if message in self.heard:
            self.heard.remove(message)
        self._keep(done)

    async def forget_with_replies(self) -> None:
        message = self.choose.choice(self.messages)
        gone = (await self.of.forget(self.user_id, message.id, with_replies=True)).messages
        assert message.id in gone
        self.gone += [one.external_id for one in self.messages if one.id in gone and one.external_id]
        self.messages = [one for one in self.messages if one.id not in gone]
        self.heard = [one for one in self.heard if one.id not in gone]

    async def bring_again(self) -> None:
        if self.gone:
            again = draft(self.choose, external_id=self.gone.pop())
            self._keep(await self.of.remember(self.user_id, [again]))

    def _keep(self, done: Remembered) -> None:
        self.messages += [message for message, _ in done.messages]


async def live_state(of: Memories, user_id: str) -> EpisodicState:
    """A copy of the memory as these memories have it."""

    async def view(live: CachedMemory) -> EpisodicState:
        return live.state.clone()

    return await of.inspect(user_id, view)


async def memory_id(of: Memories, user_id: str = "ada") -> str:
    """The id of a user's own memory; no memory's, where they have none."""
    async with of.database.reading() as connection:
        record = await memories.granted(connection, user_id)
    return record.id if record else "none"


async def stored_state(of: Memories, user_id: str) -> EpisodicState:
    """The memory as the database has it."""
    async with of.database.reading() as connection:
        head = await memories.granted(connection, user_id)
        assert head is not None
        return load_state(of.core, head, await memories.slot_rows(connection, head.id))


async def logged(of: Memories, user_id: str) -> list[Message]:
    """The whole log of a user."""
    async with of.database.reading() as connection:
        return await log.after(connection, await memory_id(of, user_id), 0, 100_000)


async def differences(of: Memories, user_id: str) -> list[str]:
    """How the stored memory differs from what its log makes of it."""
    done = await replay(of.database, of.device, user_id, write=False)
    assert done is not None and not done.foreign
    return done.differences


async def assert_whole(of: Memories, user_id: str) -> None:
    """What holds after anything: live and stored memory are equal, the log makes the same one, and counts agree."""
    live, stored = await live_state(of, user_id), await stored_state(of, user_id)
    assert differing(live, stored) == []
    assert await differences(of, user_id) == []
    messages = await logged(of, user_id)
    async with of.database.reading() as connection:
        sessions = await log.list_sessions(connection, await memory_id(of, user_id), None, 1000)
    assert {one.id: (one.messages, one.last_seq, one.started_at, one.last_at) for one in sessions} == {
        name: (len(mine), mine[-1].seq, min(m.occurred_at for m in mine), max(m.occurred_at for m in mine))
        for name in {message.session_id for message in messages}
        for mine in [[message for message in messages if message.session_id == name]]
    }
    assert {int(source) for source in live.source if source} <= {message.seq for message in messages}


def differing(one: EpisodicState, other: EpisodicState) -> list[str]:
    """The fields that are not equal bit for bit."""
    theirs = other.tensors()
    return [
        name
        for name, tensor in one.tensors().items()
        if tensor.shape != theirs[name].shape or not bool((tensor == theirs[name]).all())
    ]

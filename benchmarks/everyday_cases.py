"""The cases of everyday use: what is said, what is asked, and what a person who read the messages would expect.

A case is one line of `everyday.jsonl` (for the table) or `everyday_tuning.jsonl` (for tuning). Its messages are named,
so that its expectation can speak of them:

    {"kind": "same_form_now", "said": {"sister": "My sister's number is 0151 555 0101.", "brother": "My brother's …"},
     "query": "What is my sister's number?", "expect": {"first": "sister"}}

A message is its text, or `[when, text]`, or an object with the fields of `Said`. A line `{"series": NAME, "said": {…}}`
gives messages that several cases share (`"series": NAME` instead of `said`), each in a memory of its own.

Between them stands chatter. A message without a time is put among the chatter of the twenty days before `NOW`.
"""

import json
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

HERE = Path(__file__).resolve().parent
TABLE, TUNING, CHATTER = HERE / "everyday.jsonl", HERE / "everyday_tuning.jsonl", HERE / "everyday_chatter.json"
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)  # a Thursday
DAYS = 20  # chatter goes back so far
ASKED_BEFORE = {"asked_once": 1, "asked_three_times": 3, "asked_ten_times": 10}


class BadCase(ValueError):
    """A line that is no case; the message says which line of which file, and why."""


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _full(message: Any) -> Any:
    """A message's fields, out of its text alone or of `[when, text]`."""
    if isinstance(message, str):
        return {"content": message}
    if isinstance(message, list) and len(message) == 2:
        return {"at": message[0], "content": message[1]}
    return message


Names = Annotated[list[str], BeforeValidator(_listed)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Said(Strict):
    """A message of a case."""

    content: str = Field(min_length=1)
    role: Literal["user", "assistant", "system"] = "user"
    speaker: str | None = None
    at: AwareDatetime | None = Field(None, description="when, with the speaker's offset; else among the chatter")
    directly: bool = Field(False, description="follows the message before it, with no chatter between")
    times: int = Field(1, ge=1, description="said so often, with chatter between")
    again: bool = Field(False, description="the query is put to all else alone, too, to compare")
    turn: bool = Field(False, description="a whole turn: the memory is read, and a reply given and remembered")
    reply: str = Field("Thanks for telling me.", description="what the assistant answers to a turn")


class Action(Strict):
    """What is done after everything was said."""

    delete: str | None = Field(None, description="the message that is forgotten")
    with_replies: bool = Field(False, description="and the replies that recalled it")
    edit: str | None = Field(None, description="the message whose text becomes `content`")
    resend: str | None = Field(None, description="the message that is sent again with `content` and its external id")
    content: str = ""
    status: int | None = Field(None, description="of the answer; any success, if not given")

    @model_validator(mode="after")
    def _one(self) -> "Action":
        if sum(name is not None for name in (self.delete, self.edit, self.resend)) != 1:
            raise ValueError("an action is one of delete, edit and resend")
        return self


class Expect(Strict):
    """What must hold of the recollections, each message counted where it stands first. All that is given must hold."""

    first: Names = Field([], description="one of these is first")
    in_three: Names = Field([], description="all of these are among the first three")
    before: list[tuple[str, str]] = Field([], description="pairs: the one is found, and the other not before it")
    nowhere: str | None = Field(None, description="no recollection contains this text")
    confident: bool | None = Field(None, description="confidence is at least, or below, what the assistant doubts at")
    more_confident_than: str | None = Field(None, description="a query whose confidence is lower")
    rise_at_most: float | None = Field(None, description="of the confidence, after the messages marked `again`")
    recalled_at_most: int | None = Field(None, description="so many recollections come")
    weighed: bool = Field(False, description="every recollection has a weight above 0")


class Case(Strict):
    """One case; see the module."""

    kind: str = Field(pattern=r"^[a-z_]+$")
    language: str = "en"
    said: dict[str, Said]
    then: list[Action] = []
    query: str = Field(min_length=1)
    after_log: int = Field(0, description="the query comes after about so many characters of a program's log")
    asked_at: AwareDatetime = NOW
    request: dict[str, int | float] = Field({}, description="more fields of the recall request")
    expect: Expect

    @property
    def memory(self) -> str:
        """What the memory depends on: cases alike in this ask the same one."""
        alike = {"kind", "language", "said", "then"}
        return self.model_dump_json(include=alike) + (
            self.query if any(one.again for one in self.said.values()) else ""
        )

    @property
    def cue(self) -> str:
        """What is put to the memory: the query, after a log where the case wants one."""
        return program_log(self.after_log, self.query) + self.query

    @model_validator(mode="before")
    @classmethod
    def _plain_messages(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("said"), dict):
            return {**value, "said": {name: _full(one) for name, one in value["said"].items()}}
        return value

    @model_validator(mode="after")
    def _names_are_said(self) -> "Case":
        named = [*self.expect.first, *self.expect.in_three, *(name for pair in self.expect.before for name in pair)]
        named += [name for action in self.then for name in (action.delete, action.edit, action.resend) if name]
        unknown = [name for name in named if name.removesuffix(".reply") not in self.said]
        if unknown:
            raise ValueError(f"no message is called {', '.join(unknown)}")
        if self.expect == Expect():
            raise ValueError("nothing is expected")
        return self


class Asked(Strict):
    """A fact and its question, one line for the kinds of asking again: each of `ASKED_BEFORE`, and what follows.

    `asked_otherwise`: it was asked for in other words; `answered_before`: and was answered; `never_told`: without the
    fact, asking again does not make the memory surer.
    """

    kind: Literal["asked"]
    language: str = "en"
    fact: str
    query: str
    otherwise: list[str] = Field(min_length=2, description="the same question in other words")
    reply: str

    def cases(self) -> Iterator[Case]:
        """The cases of this fact."""

        def case(kind: str, said: dict[str, Said], **expect: Any) -> Case:
            return Case(kind=kind, language=self.language, said=said, query=self.query, expect=Expect(**expect))

        fact = {"fact": Said(content=self.fact)}
        for kind, times in ASKED_BEFORE.items():
            yield case(kind, {**fact, "asking": Said(content=self.query, times=times)}, first=["fact"])
        others = {f"asking-{number}": Said(content=text) for number, text in enumerate(self.otherwise)}
        yield case("asked_otherwise", {**fact, **others}, first=["fact"])
        answered: dict[str, Said] = {}
        for number, text in enumerate([self.query, *self.otherwise]):
            answered[f"asking-{number}"] = Said(content=text)
            answered[f"reply-{number}"] = Said(content=self.reply, role="assistant", directly=True)
        yield case("answered_before", {**fact, **answered}, first=["fact"])
        yield case("never_told", {"asking": Said(content=self.query, times=3, again=True)}, rise_at_most=0.02)


def program_log(characters: int, seed: str) -> str:
    """The log of a program, of at least so many characters; other lines for another seed."""
    chance, lines, size = random.Random(seed), [], 0
    parts = ("gateway", "scheduler", "worker-3", "cache", "mailer", "index")
    said = (
        "request {} took {} ms", "retrying job {} in {} s", "connection {} closed after {} packets",
        "flushed {} entries, {} left", "could not read page {} of {}: timed out", "lease {} extended by {} s",
    )  # fmt: skip
    at = NOW - timedelta(hours=1)
    while size < characters:
        at += timedelta(milliseconds=chance.randint(3, 900))
        level = chance.choice(("INFO", "INFO", "WARN", "ERROR"))
        text = chance.choice(said).format(chance.randint(1, 99_999), chance.randint(1, 999))
        lines.append(f"{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03d} {level} {chance.choice(parts)}: {text}")
        size += len(lines[-1]) + 1
    return "\n".join(lines) + "\n\n" if lines else ""


class Timed(Strict):
    """A message at its time, by the name that the case gives it; chatter has none."""

    name: str | None
    at: AwareDatetime
    said: Said


def read_cases(path: Path, kinds: Sequence[str] = ()) -> list[Case]:
    """The cases of a file, in order; only those of `kinds`, if any are given.

    Raises:
        BadCase: a line is no case, or a kind is unknown.
    """
    cases: list[Case] = []
    series: dict[str, Any] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            if not isinstance(fields, dict):
                raise ValueError("a line is a JSON object")
            if "series" in fields and "kind" not in fields:
                series[fields["series"]] = fields["said"]
            elif fields.get("kind") == "asked":
                cases += Asked.model_validate(fields).cases()
            else:
                if "series" in fields:
                    fields["said"] = series[fields.pop("series")]
                cases.append(Case.model_validate(fields))
        except (KeyError, ValueError) as error:
            raise BadCase(f"{path.name}, line {number}: {error}") from None
    known = list(dict.fromkeys(case.kind for case in cases))
    unknown = [kind for kind in kinds if kind not in known]
    if unknown:
        raise BadCase(f"no such kind: {', '.join(unknown)}; there are {', '.join(known)}")
    return [case for case in cases if not kinds or case.kind in kinds]


def read_chatter(tuning: bool) -> dict[str, list[str]]:
    """By language, what is said between; the English of the two files of cases differs."""
    chatter: dict[str, list[str]] = json.loads(CHATTER.read_text(encoding="utf-8"))
    english = chatter["en"]
    return {**chatter, "en": english[0::2] if tuning else english[1::2]}


def timeline(case: Case, chatter: dict[str, list[str]], seed: int) -> list[Timed]:
    """The case's messages among the chatter of its language (English where it has none), in the order of time."""
    between = chatter.get(case.language, chatter["en"])
    gap = timedelta(days=DAYS) / len(between)
    timed = [
        Timed(name=None, at=NOW - timedelta(days=DAYS) + gap * place, said=Said(content=text))
        for place, text in enumerate(between)
    ]
    timed += _placed(case, random.Random(f"{seed} {case.memory}"))
    return sorted(timed, key=lambda one: one.at)


def _placed(case: Case, chance: random.Random) -> Iterator[Timed]:
    """The case's messages at their times; those without one at chance places, in order, half a day before `NOW`."""
    free = sum(said.times for said in case.said.values() if said.at is None and not said.directly)
    parts = iter([(part + chance.uniform(0.2, 0.8)) / max(free, 1) for part in range(free)])
    at = NOW - timedelta(days=DAYS)
    for name, said in case.said.items():
        for _ in range(said.times):
            if said.at is not None:
                at = said.at
            elif said.directly:
                at += timedelta(minutes=1)
            else:
                at = NOW - timedelta(days=DAYS) + timedelta(days=DAYS - 0.5) * next(parts)
            yield Timed(name=name, at=at, said=said)

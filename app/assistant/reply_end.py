"""Where a reply ends: at a sentence, though the token limit cut it, and before it goes round in circles.

What streams cannot be taken back. So near the limit a sentence is held until it is whole, and one that was begun before
that ends with an ellipsis; a model that says the same again and again is stopped. A small model also likes to react as
it did before: what it said in the replies before can be left out.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

_ZONE: Final = 40  # tokens before the limit in which a new sentence waits until it is whole
_SENTENCE_END: Final = re.compile(r"[.!?…][\"'”’)\]*]*(?=\s)|[。！？]|\n")
_WHOLE: Final = re.compile(r"[.!?…。！？][\"'”’)\]*]*$")
_NEVER: Final = re.compile(r"(?!)")
_TAIL: Final = 700
_AGAIN: Final = re.compile(r"(.{16,200}?)\1\1$|(.{4,15}?)\2{5}$", re.DOTALL)
_FEWEST_LETTERS: Final = 3  # different ones, in what counts as said again; else it is a line or an indentation
_FEWEST_WORDS: Final = 5
_SAID_TOO_OFTEN: Final = 3


class ReplyEnd:
    """Watches one reply.

    Args:
        max_tokens: its longest; a piece counts as a token.
        before: what is left out of it, as it was said before.

    Attributes:
        in_circles: whether the model repeats itself and should be stopped.
    """

    def __init__(self, max_tokens: int, before: "SaidBefore | None" = None) -> None:
        self._before = before or SaidBefore()
        self._first_held = max_tokens - min(_ZONE, max_tokens // 2)
        self._tokens = 0
        self._shown = self._held = ""
        self._sentences = Counter[str]()
        self._last_sentence = self._sentence = ""
        self.in_circles = False

    def feed(self, text: str) -> str:
        """What may be shown now that this piece has come."""
        self._tokens += 1
        self._watch(text)
        self._held += self._before.feed(text)
        if self._tokens <= self._first_held:
            return self._show(len(self._held))
        begun = bool(self._shown) and not _is_whole(self._shown)
        ends = [match.end() for match in _SENTENCE_END.finditer(self._held)]
        if begun and not ends:
            return self._show(len(self._held))
        return self._show(ends[-1] if ends else 0)

    def finish(self, reason: str | None) -> tuple[str, str | None]:
        """The last piece, and why the reply ends: what the server said, or `repetition`."""
        self._held += self._before.finish()
        if self.in_circles:
            reason = "repetition"
        elif reason != "length":
            return self._show(len(self._held)), reason
        if self._shown.strip() and _is_whole(self._shown):
            return "", reason
        self._held = self._held.rstrip()
        if not _is_whole(self._shown + self._held):
            self._held += "…"
        return self._show(len(self._held)), reason

    def _show(self, length: int) -> str:
        shown, self._held = self._held[:length], self._held[length:]
        self._shown += shown
        return shown

    def _watch(self, text: str) -> None:
        match = _AGAIN.search((self._shown + self._held)[-_TAIL:])
        if match is not None and len({letter for letter in match[0] if letter.isalnum()}) >= _FEWEST_LETTERS:
            self.in_circles = True
        *whole, self._sentence = _SENTENCE_END.split(self._sentence + text)
        for sentence in map(_plain, whole):
            if len(sentence.split()) < _FEWEST_WORDS:
                continue
            self._sentences[sentence] += 1
            if sentence == self._last_sentence or self._sentences[sentence] >= _SAID_TOO_OFTEN:
                self.in_circles = True
            self._last_sentence = sentence


class SaidBefore:
    """Leaves out of a reply the sentences of earlier ones, unless it has no others; or the reply, where it is one.

    Args:
        replies: the earlier ones.
        whole: a reply is left out that is one of these; none is left out in part.
    """

    def __init__(self, replies: Iterable[str] = (), whole: bool = False) -> None:
        self._end, self._whole = _NEVER if whole else _SENTENCE_END, whole
        parts = (part for reply in replies for part in self._end.split(f"{_WHOLE.sub('', reply.strip())}\n"))
        self._known = {said for said in map(_plain, parts) if said}
        self._sentence = self._left_out = ""
        self._handed_on = 0  # characters of the sentence
        self._shown = False

    def feed(self, text: str) -> str:
        """What may go on now that this piece has come: what begins like a known sentence waits until it is whole."""
        self._sentence += text
        shown = ""
        while (end := self._end.search(self._sentence)) is not None:
            sentence, rest = self._sentence[: end.end()], self._sentence[end.end() :]
            if self._handed_on or _plain(sentence[: end.start()]) not in self._known:
                shown += sentence[self._handed_on :]
            else:
                self._left_out += sentence
            self._sentence, self._handed_on = rest, 0
        begun = _plain(_WHOLE.sub("", self._sentence))
        if self._handed_on or not any(known.startswith(begun) for known in self._known):
            shown += self._sentence[self._handed_on :]
            self._handed_on = len(self._sentence)
        return self._show(shown)

    def finish(self) -> str:
        """The last piece."""
        last = self._sentence[self._handed_on :]
        if not self._handed_on and _is_whole(last) and _plain(_WHOLE.sub("", last.strip())) in self._known:
            self._left_out, last = self._left_out + last, ""
        return self._show(last) if last.strip() or self._shown or self._whole else self._left_out + last

    def _show(self, text: str) -> str:
        text = text if self._shown else text.lstrip() if self._left_out else text
        self._shown = self._shown or bool(text.strip())
        return text


def _plain(sentence: str) -> str:
    return " ".join(sentence.lower().split())


def _is_whole(text: str) -> bool:
    return _WHOLE.search(text.rstrip()) is not None

"""Who changes what the rules of language tell of a text raises their version, or older memories would seem to match.

The digest is of what the rules tell of the sentences that lie beside this file and of the table of times. Where it has
changed, raise `memory_core.language.VERSION`, write the new pair below, and say in the changelog that memories are to
be replayed. Where only the texts have changed, write the new digest.
"""

import hashlib
from datetime import datetime, timedelta, timezone
from pathlib import Path

from memory_core.allocation import EpisodicConfig
from memory_core.language import VERSION
from memory_core.language.events import day_told, event_named
from memory_core.language.header import header, header_words
from memory_core.language.sentences import sentences
from memory_core.language.times import named_span, told_span, without_time
from memory_core.message_features import feature_bits
from memory_core.writing import precedence_gate
from tests.memory_core.language.test_times import ASKED

TOLD = ("5", "5591e324e9777f84")
AT = datetime(2026, 11, 26, 19, 30, tzinfo=timezone(timedelta(hours=-8)))


def texts() -> list[str]:
    lines = [line for path in sorted(Path(__file__).parent.glob("*.txt")) for line in path.read_text().splitlines()]
    lines += [line.split("|")[0].strip() for line in ASKED.splitlines()]
    return [line for line in lines if line and line[0] not in "#![" and "|" not in line]


def test_rules_that_tell_otherwise_are_of_another_version() -> None:
    told = hashlib.sha256(repr([header("Ann", AT), header(None, AT), header_words()]).encode())
    for text in texts():
        decided = (
            named_span(text, AT),
            told_span(text, AT),
            without_time(text, AT),
            day_told(text, AT),
            event_named(text),
            feature_bits(text, "Ann", reply=False),
            precedence_gate(EpisodicConfig(), " ".join(sentences(text)), reply=False),
        )
        told.update(repr((text, decided)).encode())
    assert (VERSION, told.hexdigest()[:16]) == TOLD

"""The read modes' initial prototypes: cues that ask for a neighbour in time, whatever it was about."""

FOLLOW_UPS = (
    "And after that?",
    "And then?",
    "And then what happened?",
    "What happened next?",
    "What happened after that?",
    "What did I do next?",
    "What did I do after that?",
    "What came next?",
    "What next?",
    "Then what?",
    "And what did I do then?",
    "What did I say after that?",
)
LOOK_BACKS = (
    "And before that?",
    "And before?",
    "And what was before that?",
    "What happened just before?",
    "What happened before that?",
    "What did I do just before?",
    "What did I do before that?",
    "What came before?",
    "What happened earlier?",
    "What did I say before that?",
)

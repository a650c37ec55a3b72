"""Questions that take reasoning, answered by the networks of `memory_core`: no user, no memory of theirs."""


class BadQuestion(ValueError):
    """A question, or what it is about, that a network cannot be asked; `field` of the request is to blame."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field

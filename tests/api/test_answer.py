"""`POST /v1/answer`: a story and a question in, the answer out; what the network never saw is named."""

from app.api.answer import MOST_SENTENCES
from tests.api.service import Service

STORY = ["Mary went to the garden.", "John went to the office.", "Mary moved to the hallway."]


async def test_an_answer_comes_with_its_probability_and_the_sentences_read(service: Service) -> None:
    found = await service.post("/v1/answer", {"story": STORY, "question": "Where is Mary?"})
    assert set(found) == {"answer", "probability", "supporting"}
    assert (found["answer"], found["probability"] > 0.9) == ("hallway", True)
    assert set(found["supporting"][0]) == {"sentence", "weight"}
    assert found["supporting"][0]["sentence"] == STORY[2]


async def test_words_that_the_network_never_saw_are_named_where_they_stand(service: Service) -> None:
    body = {"story": [*STORY, "Mary ate a pizza."], "question": "Who ate the pizza?"}
    refused = await service.post("/v1/answer", body, 422)
    said = "words that the network never saw: ate, pizza"
    assert [(entry["pointer"], entry["detail"]) for entry in refused["errors"]] == [
        ("#/story/3", said),
        ("#/question", said),
    ]
    assert refused["detail"] == f"story/3: {said}"


async def test_bounds_are_told(service: Service) -> None:
    for body, pointer in (
        ({"story": [], "question": "Where is Mary?"}, "#/story"),
        ({"story": STORY[:1] * (MOST_SENTENCES + 1), "question": "Where is Mary?"}, "#/story"),
        ({"story": ["Mary " * 41], "question": "Where is Mary?"}, "#/story/0"),
        ({"story": STORY}, "#/question"),
        ({"story": STORY, "question": "?"}, "#/question"),
        ({"story": STORY, "question": "Where is Mary?", "user_id": "ada"}, "#/user_id"),
    ):
        refused = await service.post("/v1/answer", body, 422)
        assert refused["errors"][0]["pointer"] == pointer
    longest = {"story": STORY[:1] * MOST_SENTENCES, "question": "Where is Mary?"}
    assert (await service.post("/v1/answer", longest))["answer"]

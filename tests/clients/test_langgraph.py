"""LangGraph's store and LangChain's history on the real server: as LangGraph's own store does it, and remembering."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.graph import END, START, StateGraph
from langgraph.store.base import BaseStore, GetOp, MatchCondition, PutOp, SearchOp
from langgraph.store.base import ListNamespacesOp as ListOp
from langgraph.store.memory import InMemoryStore

from benchmarks.serving import Server
from mneme_client import Mneme
from mneme_client.chat_history import MnemeChatMessageHistory
from mneme_client.langgraph import MnemeStore
from tests.clients.conftest import ADMIN_KEY

ITEMS: list[tuple[tuple[str, ...], str, dict[str, Any]]] = [
    (("docs", "a"), "1", {"text": "The ferry leaves at noon.", "score": 4, "tags": ["sea", "trip"]}),
    (("docs", "a"), "2", {"text": "A red bicycle", "score": 5.5, "deep": {"colour": "red", "n": 1}}),
    (("docs", "b", "v1"), "1", {"text": "Bread needs salt.", "score": 1, "open": True}),
    (("docs", "b", "v2"), "3", {"text": "Bread needs time.", "score": 2, "open": False}),
    (("notes", "ü b"), "k/?#", {"text": "Odd names are kept.", "score": 3}),
    (("notes",), "none", {"nothing": None, "list": [], "score": -1, "zero": "a\0b\ud800"}),
]  # fmt: skip


@pytest.fixture
def store(server: Server, user: str) -> Iterator[MnemeStore]:
    store = MnemeStore(server.url, ADMIN_KEY, user_id=user)
    yield store
    store.close()


def filled(store: BaseStore) -> BaseStore:
    store.batch([PutOp(namespace, key, value) for namespace, key, value in ITEMS])
    return store


def seen(items: Any) -> list[tuple[Any, ...]]:
    return sorted((one.namespace, one.key, repr(one.value)) for one in items)


SEARCHES: list[tuple[tuple[str, ...], dict[str, Any] | None]] = [
    ((), None), (("docs",), None), (("docs", "b"), None), (("docs", "b", "v1"), None), (("doc",), None),
    (("docs",), {"score": 4}), (("docs",), {"score": {"$eq": 4}}), (("docs",), {"score": {"$ne": 4}}),
    ((), {"score": {"$gt": 2}}), ((), {"score": {"$gte": 2, "$lt": 5.5}}), ((), {"score": {"$lte": 1}}),
    ((), {"open": True}), ((), {"open": False, "score": 2}), ((), {"deep": {"colour": "red"}}),
    ((), {"deep": {"n": {"$gte": 2}}}), ((), {"tags": ["sea", "trip"]}), ((), {"tags": ["sea"]}),
]  # fmt: skip
LISTS: list[dict[str, Any]] = [
    {}, {"prefix": ("docs",)}, {"suffix": ("v1",)}, {"prefix": ("docs", "*"), "suffix": ("v2",)}, {"max_depth": 1},
    {"prefix": ("docs",), "max_depth": 2}, {"prefix": ("docs", "*", "v1")}, {"suffix": ("b", "*")},
    {"limit": 2}, {"limit": 2, "offset": 1}, {"prefix": ("none",)},
]  # fmt: skip


def test_it_finds_and_lists_what_langgraph_s_own_store_does(store: MnemeStore) -> None:
    own = filled(InMemoryStore())
    filled(store)
    for namespace, key, value in ITEMS:
        item = store.get(namespace, key)
        assert item is not None and (item.value, item.key, item.namespace) == (value, key, namespace)
    assert store.get(("docs", "a"), "3") is None
    for prefix, wanted in SEARCHES:
        found = store.search(prefix, filter=wanted, limit=100)
        assert seen(found) == seen(own.search(prefix, filter=wanted, limit=100)), (prefix, wanted)
    for chosen in LISTS:
        assert store.list_namespaces(**chosen) == own.list_namespaces(**chosen), chosen
    pages = [store.search(("docs",), limit=2, offset=offset) for offset in (0, 2, 4)]
    assert [len(page) for page in pages] == [2, 2, 0]
    assert len({(one.namespace, one.key) for page in pages for one in page}) == 4
    with pytest.raises(ValueError, match="Unsupported operator"):
        store.search((), filter={"score": {"$in": [1]}})


def test_a_later_put_replaces_and_a_deleted_item_is_gone(store: MnemeStore, mneme: Mneme, user: str) -> None:
    store.put(("a",), "k", {"text": "My dog is called Biskit."})
    first = store.get(("a",), "k")
    store.put(("a",), "k", {"text": "My dog is called Biscuit."})
    second = store.get(("a",), "k")
    assert first is not None and second is not None
    assert second.value == {"text": "My dog is called Biscuit."}
    assert second.created_at == first.created_at and second.updated_at > first.updated_at
    assert [one.content for one in mneme.messages(user)] == ["My dog is called Biscuit."]
    store.put(("a",), "k", {"text": "My dog is called Biscuit.", "more": 1})  # the same text, another value
    assert store.get(("a",), "k").value["more"] == 1  # type: ignore[union-attr]
    store.delete(("a",), "k")
    store.delete(("a",), "k")
    assert store.get(("a",), "k") is None and store.list_namespaces() == [] and list(mneme.messages(user)) == []


def test_a_query_ranks_by_meaning_and_leaves_out_what_is_not_indexed(store: MnemeStore) -> None:
    for key, text in (("dog", "My dog is called Biscuit."), ("job", "I work in a bakery."), ("car", "The car is red.")):
        store.put(("memories",), key, {"text": text})
    store.put(("memories",), "hidden", {"text": "My dog is called Secret."}, index=False)
    store.put(("memories",), "title", {"title": "The dog's birthday", "body": "noise " * 30}, index=["title"])
    found = store.search(("memories",), query="What is my dog called?", limit=10)
    assert found[0].key == "dog" and found[0].score is not None and found[0].score > 0
    assert len(found) == 5
    assert next(one for one in found if one.key == "hidden").score is None
    assert [one.key for one in store.search(("memories",), query="What is my dog called?", limit=1)] == ["dog"]
    assert store.search(("other",), query="What is my dog called?") == []


def test_a_large_value_is_kept_verbatim_and_one_too_large_is_refused(store: MnemeStore) -> None:
    for size in (5_000, 31_000):
        value = {"text": "ü" * size, "n": [1, {"deep": [[[[[[[[[1]]]]]]]]]}]}
        store.put(("large",), "k", value)
        assert store.get(("large",), "k").value == value  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="more than 32000 characters"):
        store.put(("large",), "k", {"text": "x" * 33_000})


def test_an_item_lives_as_long_as_it_was_put_for(store: MnemeStore, mneme: Mneme, user: str) -> None:
    store.put(("a",), "short", {"text": "soon gone"}, ttl=0.02)
    store.put(("a",), "long", {"text": "stays"}, ttl=60)
    assert store.get(("a",), "long", refresh_ttl=False) is not None
    time.sleep(1.3)
    assert store.get(("a",), "short") is None
    assert [one.key for one in store.search(("a",))] == ["long"]
    assert [one.content for one in mneme.messages(user)] == ["stays"]
    store.put(("a",), "short", {"text": "soon gone"}, ttl=0.001)
    time.sleep(0.1)
    assert store.sweep_ttl(user) == 1


async def test_operations_at_once_read_before_they_write(server: Server, user: str) -> None:
    store = MnemeStore(server.url, ADMIN_KEY, user_id=user)
    done = await store.abatch([
        PutOp(("a",), "k", {"n": 1}), GetOp(("a",), "k"), PutOp(("a",), "k", {"n": 2}), SearchOp(("a",)), ListOp(),
    ])  # fmt: skip
    assert done == [None, None, None, [], []]
    item, found, listed = await store.abatch([
        GetOp(("a",), "k"), SearchOp(("a",)), ListOp((MatchCondition("prefix", ("a",)),))
    ])  # fmt: skip
    assert item.value == {"n": 2} and found[0].value == {"n": 2} and listed == [("a",)]  # type: ignore[union-attr,index]
    assert await store.aget(("a",), "none") is None


def test_a_label_names_the_user_to_whom_the_items_belong(server: Server, mneme: Mneme, user: str) -> None:
    store = MnemeStore(server.url, ADMIN_KEY, user_label=1)
    store.put(("memories", user), "dog", {"text": "My dog is called Biscuit."})
    store.put(("memories", f"{user} & Co"), "cat", {"text": "My cat is called Muffin."})
    assert mneme.recall(user, "What is my dog called?").recalled[0].content == "My dog is called Biscuit."
    assert [one.key for one in store.search(("memories", f"{user} & Co"))] == ["cat"]
    everybody_s = store.search(("memories",), limit=1000)
    assert {one.key for one in everybody_s if user in ".".join(one.namespace)} == {"dog", "cat"}
    assert store.list_namespaces(prefix=("memories", user)) == [("memories", user)]
    with pytest.raises(ValueError, match="names its user"):
        store.put(("memories",), "x", {"a": 1})
    with pytest.raises(ValueError, match="either"):
        MnemeStore(server.url)


class Talk(TypedDict):
    user: str
    said: str
    answer: str


def a_graph(store: BaseStore) -> Any:
    """Keeps what is told, and answers a question by what was told."""

    def node(state: Talk, *, store: BaseStore) -> dict[str, str]:
        mine = ("memories", state["user"])
        if not state["said"].endswith("?"):
            store.put(mine, str(len(store.search(mine, limit=1000))), {"text": state["said"]})
            return {"answer": "Noted."}
        found = store.search(mine, query=state["said"], limit=1)
        return {"answer": found[0].value["text"] if found else "I do not know."}

    graph = StateGraph(Talk)
    graph.add_node("talk", node)
    graph.add_edge(START, "talk")
    graph.add_edge("talk", END)
    return graph.compile(store=store)


def test_a_graph_remembers_over_two_sessions_and_a_restart_of_the_server(server: Server, user: str) -> None:
    first = a_graph(MnemeStore(server.url, ADMIN_KEY, user_label=1))
    for said in ("My dog is called Biscuit.", "I work in a bakery in Leiden.", "We took the ferry."):
        assert first.invoke({"user": user, "said": said, "answer": ""})["answer"] == "Noted."
    server.restart()
    second = a_graph(MnemeStore(server.url, ADMIN_KEY, user_label=1))
    for said, answer in (
        ("What is my dog called?", "My dog is called Biscuit."),
        ("Where do I work?", "I work in a bakery in Leiden."),
    ):
        assert second.invoke({"user": user, "said": said, "answer": ""})["answer"] == answer
        told = asyncio.run(second.ainvoke({"user": user, "said": said, "answer": ""}))
        assert told["answer"] == answer
    assert (
        second.invoke({"user": f"{user}-else", "said": "Where do I work?", "answer": ""})["answer"] == "I do not know."
    )


def test_a_chat_history_keeps_messages_as_they_were(server: Server, mneme: Mneme, user: str) -> None:
    history = MnemeChatMessageHistory(user, "s1", server.url, ADMIN_KEY)
    said = [
        SystemMessage("Be brief."),
        HumanMessage("My dog is called Biscuit.", id="h1"),
        AIMessage("", tool_calls=[{"name": "note", "args": {"dog": "Biscuit"}, "id": "t1"}]),
        ToolMessage("done", tool_call_id="t1"),
        HumanMessage([{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": "data:,x"}}]),
        AIMessage("A fine dog.", additional_kwargs={"mood": "good"}),
    ]
    history.add_messages(said)
    assert history.messages == said
    assert mneme.recall(user, "What is my dog called?", k=1).recalled[0].content == "My dog is called Biscuit."
    asyncio.run(history.aadd_messages([HumanMessage("x" * 20_000, id="h2")]))
    again = asyncio.run(MnemeChatMessageHistory(user, "s1", server.url, ADMIN_KEY).aget_messages())
    assert again[: len(said)] == said and again[-1].content == "x" * 20_000
    assert MnemeChatMessageHistory(user, "s2", server.url, ADMIN_KEY).messages == []
    history.clear()
    history.clear()
    assert history.messages == [] and list(mneme.messages(user)) == []

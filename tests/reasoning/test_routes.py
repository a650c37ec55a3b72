"""Routes: which stations a question names, and what the answer says."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.reasoning import BadQuestion
from app.reasoning.routes import MOST_EDGES, find_route, stations_of
from memory_core.tasks.graphs import underground

NAMES = underground().nodes
MAP = [("Mill", "red", "Pond"), ("Pond", "red", "Hill"), ("Hill", "blue", "Farm"), ("Isle", "", "Rock")]


@pytest.mark.parametrize(
    ("question", "start", "goal"),
    [
        ("How do I get from Oxford Circus to Baker Street?", "Oxford Circus", "Baker Street"),
        ("what's the way to BAKER STREET from oxford circus", "Oxford Circus", "Baker Street"),
        ("Brixton, Kings Cross St Pancras", "Brixton", "King's Cross St. Pancras"),
        ("Wie komme ich von Bank nach Elephant and Castle?", "Bank", "Elephant & Castle"),
        ("Heathrow Terminal 4 to Bank", "Heathrow Terminal 4", "Bank"),
        ("I am at Hyde Park Corner and want to go to Green Park", "Hyde Park Corner", "Green Park"),
    ],
)
def test_a_question_names_its_stations_in_the_order_that_it_means(question: str, start: str, goal: str) -> None:
    first, second = stations_of(question, NAMES)
    assert (NAMES[first], NAMES[second]) == (start, goal)


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("From Oxford Circus to Backer Street", "and names one; the nearest names: Baker Street"),
        ("Oxfort Circus to Paddingtn", "the nearest names: Paddington, Oxford Circus"),
        ("Hello!", "the question must name two stations of the map$"),
        ("Bank to Oval or Angel", "more than two"),
    ],
)
def test_a_station_that_is_not_there_is_told_with_the_nearest_names(question: str, told: str) -> None:
    with pytest.raises(BadQuestion, match=told) as caught:
        find_route(question)
    assert caught.value.field == "question"


def test_the_way_on_a_map_of_ones_own_is_told_in_words() -> None:
    found = find_route("from Mill to Farm", MAP)
    assert found.stations == ("Mill", "Pond", "Hill", "Farm")
    assert found.lines == ("red", "red", "blue")
    assert found.shortest and 0.5 < found.probability <= 1.0
    assert found.text == "From Mill: red, 2 stops to Hill; then blue, 1 stop to Farm. No way has fewer stops."


def test_what_cannot_be_answered_is_told() -> None:
    with pytest.raises(BadQuestion, match="no way leads from Mill to Rock"):
        find_route("Mill to Rock", MAP)
    with pytest.raises(BadQuestion, match="at least one edge") as caught:
        find_route("Mill to Rock", [])
    assert caught.value.field == "graph"
    with pytest.raises(BadQuestion, match=f"at most {MOST_EDGES} edges"):
        find_route("Mill to Rock", MAP * MOST_EDGES)


def test_the_command_tells_the_way_and_what_is_wrong(tmp_path: Path) -> None:
    runner = CliRunner()
    told = runner.invoke(app, ["route", "How do I get from Oxford Circus to Baker Street?"])
    assert told.exit_code == 0 and "Baker Street. No way has fewer stops." in told.stdout
    wrong = runner.invoke(app, ["route", "From Bank to Nowhere Town"])
    assert wrong.exit_code == 1 and "names one" in wrong.output
    (tmp_path / "map.csv").write_text("from,line,to\nMill,red,Pond\nPond\n", encoding="utf-8")
    broken = runner.invoke(app, ["route", "Mill to Pond", "--graph", str(tmp_path / "map.csv")])
    assert broken.exit_code == 1 and "row 3" in broken.output

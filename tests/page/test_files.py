"""What the page's files may hold."""

from app.api.page import FOLDER


def test_the_page_asks_nothing_of_other_machines() -> None:
    ours = [
        file for file in FOLDER.rglob("*") if file.suffix in (".js", ".html", ".css") and "vendor" not in file.parts
    ]
    assert len(ours) > 20
    for file in ours:
        text = file.read_text()
        assert "//cdn" not in text and "https://" not in text, file
        assert "innerHTML" not in text and "dangerouslySet" not in text and "eval(" not in text, file
        assert "localStorage" not in text or file.name == "main.js", file


def test_every_vendored_library_has_its_licence_and_version() -> None:
    told = (FOLDER / "vendor" / "README.md").read_text()
    for file in (FOLDER / "vendor").glob("*.js"):
        assert f"`{file.name}`" in told
        licence = "preact" if file.stem == "hooks" else file.stem
        assert (FOLDER / "vendor" / f"{licence}.LICENSE").is_file()

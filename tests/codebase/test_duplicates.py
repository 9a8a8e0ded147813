"""The command that finds code which looks alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import duplicates

LINES = (
    "    first = {name} + 1",
    "    if first > 2:",
    "        return {name}",
    "    for item in [first]:",
    "        {name} = call(item)",
    "    return not {name}",
)


def write(folder: Path, name: str, lines: tuple[str, ...], word: str) -> duplicates.Source:
    path = folder / f"{name}.py"
    body = "\n".join(line.format(name=word) for line in lines)
    path.write_text(f'def {name}({word}):\n    """Do {word}."""\n{body}\n', "utf-8")
    return duplicates.read_python(path, path.name)


@pytest.mark.parametrize(("count", "is_pair"), [(5, False), (6, True)])
def test_six_lines_of_one_shape_are_a_pair_whatever_their_names(
    tmp_path: Path, count: int, is_pair: bool
) -> None:
    sources = [
        write(tmp_path, name, LINES[-count:], word)
        for name, word in (("one", "apple"), ("other", "pear"))
    ]
    found = duplicates.find_pairs(sources)
    assert found == ({("one.py: one", "other.py: other")} if is_pair else set())


def test_what_a_class_declares_and_a_list_of_arguments_are_no_pair(tmp_path: Path) -> None:
    fields = "".join(f"    field_{number}: int = {number}\n" for number in range(8))
    arguments = "".join(f"        word_{number}=word_{number},\n" for number in range(8))
    sources = []
    for name in ("one", "other"):
        path = tmp_path / f"{name}.py"
        text = f"class {name}:\n{fields}\ndef call_{name}():\n    return make(\n{arguments}    )\n"
        path.write_text(text, "utf-8")
        sources.append(duplicates.read_python(path, path.name))
    assert duplicates.find_pairs(sources) == set()


def test_a_template_is_compared_by_its_lines(tmp_path: Path) -> None:
    lines = (
        "<h1>{{ word }}</h1>",
        "{% if word %}",
        "<p>{{ word }}</p>",
        "{% endif %}",
        "<ul>",
        "<li>a</li>",
    )
    sources = []
    for name in ("one", "other"):
        path = tmp_path / f"{name}.html"
        path.write_text("\n".join(lines).replace("word", name), "utf-8")
        sources.append(duplicates.read_template(path, path.name))
    assert duplicates.find_pairs(sources) == {("one.html", "other.html")}


def test_every_place_that_is_listed_is_there() -> None:
    listed = duplicates.read_listed_pairs()
    assert listed
    for place in {place for pair in listed for place in pair}:
        name = place.partition(":")[0]
        folder = "repermit" if name.endswith(".py") else "templates"
        assert (duplicates.ROOT / folder / name).exists(), place

"""CONTRIBUTING.md: the files and names that it links to exist."""

import re

import pytest

from helpers import ROOT

FOLDER = ROOT / ".github"
LINKS = re.findall(r"\[([^\]]+)\]\(([^)#]+)\)", (FOLDER / "CONTRIBUTING.md").read_text(encoding="utf-8"))
NAMES = [(text.strip("`"), target) for text, target in LINKS if text.startswith("`")]


@pytest.mark.parametrize("target", sorted({target for _, target in LINKS}))
def test_linked_files_exist(target):
    assert (FOLDER / target).exists()


@pytest.mark.parametrize(("name", "target"), NAMES)
def test_linked_names_are_defined(name, target):
    source = (FOLDER / target).read_text(encoding="utf-8")
    assert re.search(rf"^(def|class) {name}\b|^{name}\b.* = ", source, re.MULTILINE)


def test_commands_name_files_that_exist():
    text = (FOLDER / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for path in re.findall(r"\b(?:pysot|test|tools|experiments)/[\w/.]+\.(?:py|sh|yaml)\b", text):
        assert (ROOT / path).exists(), path

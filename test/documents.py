"""READMEs in two languages: what must be equal in a pair, and the layout of each. Run this file to check all pages.

Columns are those of a terminal: a Chinese character has two. Sections are compared in their order; titles are not.
"""

import re
import sys
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = 120
FROM_CONTENTS = 2  # sections from which a README has a table of contents
CHINESE = ".zh-CN.md"
_HEADING = re.compile(r"(#{1,6}) +(.*)")
_FENCE = re.compile(r" *(```+)(\S*)")
_ITEM = re.compile(r" *(?:[*-]|\d+\.) ")
_CODE = re.compile(r"(`+)(.+?)\1")
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)|^\[[^\]]+\]: +(\S+)|src=\"([^\"]+)\"")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_COMMENT = re.compile(r"(?:^|\s+)#(?:\s.*)?$")


@dataclass
class Section:
    """A heading and what follows up to the next one: prose, and blocks of code as (language, lines)."""

    level: int
    title: str
    first_line: int
    prose: list[str] = field(default_factory=list)
    blocks: list[tuple[str, list[str]]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join([self.title, *self.prose])


def readmes() -> list[Path]:
    """Return the English READMEs of the repository, that of the root first."""
    folders = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    found = [path for folder in folders for path in folder.rglob("*.md") if path.name.lower() == "readme.md"]
    return [ROOT / "README.md", *sorted(path for path in found if "output" not in path.parts)]


def chinese_of(path: Path) -> Path:
    """Return the path of the Chinese README beside an English one."""
    return path.with_name(path.name.removesuffix(".md") + CHINESE)


def sections(text: str) -> list[Section]:
    """Split a document at its headings; what comes before the first is a section of level 0."""
    found, fence = [Section(0, "", 1)], ""
    for number, line in enumerate(text.splitlines(), 1):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1] == fence and not mark[2]:
                fence = ""
            else:
                found[-1].blocks[-1][1].append(line.strip())
        elif mark:
            fence = mark[1]
            found[-1].blocks.append((mark[2], []))
        elif heading := _HEADING.match(line):
            found.append(Section(len(heading[1]), heading[2].strip(), number))
        else:
            found[-1].prose.append(line)
    return found


def links(text: str) -> list[str]:
    """Return the targets of the links and pictures of a text."""
    return [match[2] or match[3] or match[4] for line in text.splitlines() for match in _LINK.finditer(line)]


def anchors(text: str) -> list[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    found, seen = [], Counter()
    for section in sections(text)[1:]:
        title = _LINK.sub(lambda match: match[1] or "", section.title).replace("`", "").lower()
        name = re.sub(r"[^\w\- ]", "", title).replace(" ", "-")
        found.append(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def columns(line: str) -> int:
    """Return the width of a line on a terminal."""
    return sum(1 + (unicodedata.east_asian_width(sign) in "WF") for sign in line)


def without_comment(line: str) -> str:
    """Return a line of code without the comment at its end."""
    return _COMMENT.sub("", line).strip()


def _commands(block: tuple[str, list[str]]) -> tuple[str, list[str]]:
    """Return a block of code without comments, which are translated."""
    lines = (without_comment(line) for line in block[1])
    return block[0], [line for line in lines if line]


def _content(section: Section) -> dict[str, object]:
    """Return what a section must have in common with its translation."""
    prose = "\n".join(section.prose)
    without_code = _CODE.sub(" ", section.text)
    without_links = _LINK.sub(lambda match: f" {match[1] or ''} ", without_code)
    targets = {re.sub(r"#.*", "", target).replace(CHINESE, ".md") for target in links(prose)}
    return {
        "blocks of code": [_commands(block) for block in section.blocks],
        "inline code": {match[2] for match in _CODE.finditer(section.text)},
        "figures": Counter(_NUMBER.findall(without_links)),
        "links": targets - {""},
        "list items": sum(bool(_ITEM.match(line)) for line in section.prose),
        "table rows": sum(line.lstrip().startswith("|") for line in section.prose),
    }


def pair_problems(english: str, chinese: str) -> list[str]:
    """Return how two languages of a document differ in headings, commands, code, figures, links, lists and tables."""
    pair = sections(english), sections(chinese)
    levels = [[section.level for section in language] for language in pair]
    if levels[0] != levels[1]:
        titles = [[f"{'#' * section.level} {section.title}" for section in language] for language in pair]
        return [f"headings: {len(levels[0])} in English, {len(levels[1])} in Chinese: {titles[0]} and {titles[1]}"]
    problems = []
    for first, second in zip(*pair, strict=True):
        contents = _content(first), _content(second)
        for name, ours in contents[0].items():
            theirs = contents[1][name]
            if ours != theirs:
                place = f"line {first.first_line} and {second.first_line}, {first.title!r}"
                problems.append(f"{place}: {name} differ: {_difference(ours, theirs)}")
    return problems


def _difference(ours: object, theirs: object) -> str:
    if isinstance(ours, (Counter, set)):
        return f"only English {sorted(ours - theirs)}, only Chinese {sorted(theirs - ours)}"
    if isinstance(ours, list):
        lines = [[f"{language}: {line}" for language, block in blocks for line in block] for blocks in (ours, theirs)]
        return _difference(*map(Counter, lines)) + f" ({len(ours)} and {len(theirs)} blocks)"
    return f"{ours} and {theirs}"


def layout_problems(path: Path) -> list[str]:
    """Return lines that are too long, links that lead nowhere, and what the table of contents of a README lacks."""
    text = path.read_text(encoding="utf-8")
    problems = [
        f"line {number}: {columns(line)} columns, at most {COLUMNS}"
        for number, line in enumerate(text.splitlines(), 1)
        if columns(line) > COLUMNS
    ]
    prose = "\n".join(section.text for section in sections(text))
    problems += [problem for target in links(_CODE.sub(" ", prose)) if (problem := _link_problem(path, target))]
    chapters = [name for section, name in zip(sections(text)[1:], anchors(text), strict=True) if section.level == 2]
    if path.parent != ROOT and len(chapters) >= FROM_CONTENTS:
        before = "\n".join(section.text for section in sections(text) if section.level < 2)
        missing = [name for name in chapters if f"#{name}" not in map(unquote, links(before))]
        problems += [f"the table of contents lacks #{name}" for name in missing]
    return problems


def _link_problem(path: Path, target: str) -> str:
    if re.match(r"[a-z]+:", target):
        return ""
    file, _, anchor = target.partition("#")
    linked = path.parent / unquote(file) if file else path
    if not linked.exists():
        return f"link to {target}: {file} does not exist"
    if linked.is_dir() or linked.suffix != ".md":
        return ""
    if path.name.endswith(CHINESE) and chinese_of(linked).exists() and chinese_of(linked) != path:
        return f"link to {target}: there is a Chinese page, {chinese_of(linked).name}"
    if anchor and unquote(anchor) not in anchors(linked.read_text(encoding="utf-8")):
        return f"link to {target}: no heading of {linked.name} has this anchor"
    return ""


def problems_of(path: Path) -> list[str]:
    """Return all problems of an English README and of the Chinese one beside it."""
    other = chinese_of(path)
    if not other.exists():
        return [*layout_problems(path), f"{other.name} does not exist"]
    texts = [page.read_text(encoding="utf-8") for page in (path, other)]
    return [
        *layout_problems(path),
        *(f"{other.name}: {problem}" for problem in layout_problems(other)),
        *pair_problems(*texts),
    ]


if __name__ == "__main__":
    names = {Path(name).resolve() for name in sys.argv[1:]}
    pages = {path: problems_of(path) for path in readmes() if not names or path in names}
    for page, found in pages.items():
        for problem in found:
            print(f"{page.relative_to(ROOT)}: {problem}")
    sys.exit(any(pages.values()))

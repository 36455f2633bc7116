"""READMEs: equal in two languages, short lines, links that lead somewhere, commands that are run, old names."""

import ast
import importlib
import json
import re
import shlex
import subprocess
import sys
from collections import Counter

import pytest
import readme_commands

import documents
from helpers import ROOT

PAGES = documents.readmes()
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
WORDS = 800  # of the README of the root
ENGLISH = """# Title

[中文](README.zh-CN.md)

Words with 3 figures and `code`.

## First

```
python tools/train.py --cfg x    # a comment
```

* an item with [a link](other.md)
* another, 12.5 ms

| a | b |
|---|---|
| 1 | 2 |

### Deeper

Text.
"""
CHINESE = """# 标题

[English](README.md)

3 个数字与 `code`。

## 第一节

```
python tools/train.py --cfg x    # 注释
```

* 一项，有[链接](other.md)
* 另一项，12.5 毫秒

| 甲 | 乙 |
|---|---|
| 1 | 2 |

### 更深

文字。
"""


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_a_page_in_both_languages(page):
    assert documents.problems_of(page) == []


def test_all_pages_are_found():
    assert {"README.md", "test/README.md", "tools/README.md", "training_dataset/coco/readme.md"} <= {*IDS}
    assert len(PAGES) >= 14


def test_the_readme_is_short():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) <= WORDS


def test_a_pair_without_differences():
    assert documents.pair_problems(ENGLISH, CHINESE) == []
    assert documents.pair_problems(ENGLISH, ENGLISH) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("### Deeper\n", "", "headings: 4 in English, 3 in Chinese|headings: 3 in English, 4 in Chinese"),
        ("### Deeper", "## Deeper", "headings"),
        ("--cfg x ", "--cfg y ", "blocks of code differ"),
        ("    # a comment", " --max_step 2    # a comment", "blocks of code differ"),
        ("```\n\n*", "```\n\n```\npython tools/test.py\n```\n\n*", "blocks of code differ"),
        ("3 figures", "4 figures", "figures differ: only English \\['4'\\], only Chinese \\['3'\\]"),
        ("12.5 ms", "12.6 ms", "figures differ"),
        ("| 1 | 2 |", "| 1 | 3 |", "figures differ"),
        ("| 1 | 2 |\n", "| 1 | 2 |\n| x | y |\n", "table rows differ: 4 and 3"),
        ("`code`", "`other`", "inline code differ"),
        ("(other.md)", "(another.md)", "links differ"),
        ("* another", "another", "list items differ: 1 and 2"),
    ],
)
def test_one_language_that_moves_on_alone_is_found(old, new, problem):
    assert old in ENGLISH
    changed = ENGLISH.replace(old, new, 1)
    assert re.search(problem, " ".join(documents.pair_problems(changed, CHINESE)))
    assert documents.pair_problems(changed, ENGLISH), "in the other direction too"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_a_figure_of_a_real_page_that_changes_alone_is_found(page):
    english, chinese = (path.read_text(encoding="utf-8").splitlines() for path in (page, documents.chinese_of(page)))
    assert documents.pair_problems("\n".join(english), "\n".join(chinese)) == []
    heading = next(index for index, line in enumerate(english) if line.startswith("# "))
    added = [*english[: heading + 1], "", "99991", *english[heading + 1 :]]
    assert documents.pair_problems("\n".join(added), "\n".join(chinese))
    assert documents.pair_problems("\n".join(english), "\n".join([*chinese, "## 新"]))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x" * 121, "line 1: 121 columns"),
        ("好" * 61, "line 1: 122 columns"),
        ("[a](missing.md)", "missing.md does not exist"),
        ("[a](#nothing)", "no heading of README.md has this anchor"),
        ("[a](other.md#two)", "no heading of other.md has this anchor"),
        ("# T\n\n* [A](#a)\n* [C](#c)\n\n## A\n\n## B\n\n## C", "the table of contents lacks #b"),
    ],
)
def test_layout_that_is_wrong_is_found(tmp_path, text, problem):
    (tmp_path / "other.md").write_text("# One\n", encoding="utf-8")
    page = tmp_path / "README.md"
    page.write_text(text, encoding="utf-8")
    assert [found for found in documents.layout_problems(page) if problem in found]


def test_layout_that_is_right(tmp_path):
    (tmp_path / "other.md").write_text("# One `x.py`: two\n\n# One `x.py`: two\n", encoding="utf-8")
    page = tmp_path / "README.md"
    page.write_text(
        "# T\n\n* [A](#a)\n* [b](#b)\n* [c](other.md#one-xpy-two-1)\n* [C](#c)\n\n## A\n\n## B\n\n## C\n\n"
        "`[no](link)`\n",
        encoding="utf-8",
    )
    assert documents.layout_problems(page) == []


def test_a_chinese_page_links_to_chinese_pages(tmp_path):
    for name in ("other.md", "other.zh-CN.md"):
        (tmp_path / name).write_text("# X\n", encoding="utf-8")
    page = tmp_path / "README.zh-CN.md"
    page.write_text("[甲](other.md)\n", encoding="utf-8")
    assert "there is a Chinese page" in documents.layout_problems(page)[0]


COMMANDS = {
    command: page for page in PAGES for command in readme_commands.commands_of(page)
}  # those of the Chinese pages are the same


def test_every_command_has_a_test_or_a_reason():
    without = [(str(page.relative_to(ROOT)), command) for command, page in COMMANDS.items() if not _rule(command)]
    assert without == [], "add a rule to test/readme_commands.py: the test that runs it, or why none does"
    assert len(COMMANDS) > 100


def _rule(command):
    return readme_commands.rule_of(command)


@pytest.mark.parametrize("rule", readme_commands.RULES, ids=lambda rule: rule.pattern)
def test_a_rule(rule):
    """It is of a command that exists, and its tests exist and call the tool."""
    commands = [command for command in COMMANDS if _rule(command) is rule]
    assert commands, "no README has such a command: remove the rule"
    assert bool(rule.tests) != bool(rule.reason)
    for test in rule.tests:
        file, _, name = test.partition("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, test


def test_commands_without_a_rule_are_found():
    assert _rule("python tools/unknown.py --cfg x") is None
    assert _rule("python tools/train.py --cfg experiments/quickstart/config.yaml").tests


def test_the_tools_take_the_arguments_of_the_commands():
    """Their parsers accept every option, and the configs exist."""
    by_tool = {}
    for command in COMMANDS:
        names = re.findall(r"(?:^|(?:python|hon|\d) )tools/(\w+\.py)", command)
        if names and not re.search(r"\.\.\.|<name>|^tools/", command):
            text = re.sub(r"experiments/(NAME|<name>)/", "experiments/quickstart/", command).split(" && ")[0]
            text = text.replace("$CONFIG", "experiments/quickstart/config.yaml").replace(" SET ROOT", " otb ROOT")
            by_tool.setdefault(names[0], []).append(shlex.split(text))
    assert Counter({name: len(lists) for name, lists in by_tool.items()}).total() > 80
    done = subprocess.run(
        [sys.executable, str(ROOT / "test" / "tools" / "command_faults.py")],
        input=json.dumps(by_tool),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


def test_old_names_can_be_imported_and_new_names_exist():
    page = (ROOT / "pysot" / "README.md").read_text(encoding="utf-8")
    chapter = next(section for section in documents.sections(page) if section.title == "Old names and new names")
    imports = "\n".join(chapter.blocks[0][1])
    assert imports.count("import") >= 29
    exec(compile(imports, "pysot/README.md", "exec"), {})
    rows = [line.split("|")[1:3] for line in chapter.prose if line.startswith("| `")]
    assert len(rows) >= 15
    for _, new in rows:
        first, *others = re.findall(r"`([\w.]+)`", new)
        module, _, name = first.rpartition(".")
        for found in (name, *others):
            assert hasattr(importlib.import_module(module), found), f"{module}.{found}"

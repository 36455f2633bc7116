"""public_address_statement.md, which Ascend's ModelZoo asks for, lists the public addresses in the code, and no others.

modelzoo_level.txt has the states that ModelZoo knows.
"""

import ipaddress
import re
from pathlib import Path

import pytest

from helpers import ROOT

STATEMENT = ROOT / "public_address_statement.md"
HEADER = ["类型", "开源代码地址", "文件名", "公网IP地址/公网URL地址/域名/邮箱地址", "用途说明"]
FOLDERS = ("pysot", "tools", "experiments", "training_dataset", "testing_dataset", "pretrained_models")
KINDS = {".py", ".sh", ".js", ".html", ".css", ".yaml", ".txt", ".Dockerfile"}
HOST = r"(?:[\w-]+\.)+[A-Za-z]{2,}"
URL = re.compile(rf"\bhttps?://{HOST}[^\s\"'<>]*")
BARE_HOST = re.compile(rf"(?<![\w/@.-]){HOST}/[^\s\"'<>,)]+")
KNOWN_ENDS = (".com", ".org", ".io", ".net", ".cn")  # other names with a dot before a slash are files
EMAIL = re.compile(rf"[\w.+-]+@{HOST}")
IP = re.compile(r"(?<![\w.=])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])")  # after == it is a version
LEVELS = {
    "FuncStatus": ("OK", "NOK"),
    "PrecisionStatus": ("OK", "POK", "NOK"),
    "AutoTune": ("OK", "POK", "NOK"),
    "PerfStatus": ("PERFECT", "OK", "POK", "NOK"),
    "GPUStatus": ("OK", "NOK"),
    "NPUMigrationStatus": ("OK", "POK", "NOK"),
}


def addresses(text: str) -> set[str]:
    """Return the public addresses in a text: URLs, hosts with a path, e-mail addresses and IPv4 addresses."""
    urls = {match.rstrip(".,;:)`") for match in URL.findall(text)}
    rest = URL.sub(" ", text)
    hosts = {match for match in BARE_HOST.findall(rest) if match.partition("/")[0].endswith(KNOWN_ENDS)}
    numbers = {match for match in IP.findall(rest) if _is_public(match)}
    return urls | hosts | numbers | {*EMAIL.findall(rest)}


def _is_public(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def code_files() -> list[Path]:
    folders = [path for name in FOLDERS for path in (ROOT / name).rglob("*")]
    tests = [*(ROOT / "test").glob("*.sh"), *(ROOT / "test/docker").iterdir(), ROOT / "setup.py"]
    files = [path for path in [*folders, *tests, ROOT / "requirements.txt"] if path.suffix in KINDS]
    return sorted(path for path in files if path.is_file() and not path.name.startswith("test_"))


def rows() -> list[list[str]]:
    lines = [line for line in STATEMENT.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_statement_lists_the_addresses_of_the_code():
    header, line, *entries = rows()
    assert header == HEADER and set("".join(line)) == {"-"} and all(len(row) == 5 and all(row) for row in entries)
    listed = [(row[2], row[3].strip("`")) for row in entries]
    found = {
        (path.relative_to(ROOT).as_posix(), address)
        for path in code_files()
        for address in addresses(path.read_text(encoding="utf-8"))
    }
    assert {*listed} == found and listed == sorted(set(listed))
    assert {row[0] for row in entries} <= {"自研", "开源代码引入"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see https://www.example.com/a/{file}.html, and", {"https://www.example.com/a/{file}.html"}),
        ("(github.com/HonglinChu/SiamTrackers), and", {"github.com/HonglinChu/SiamTrackers"}),
        ("FROM quay.io/ascend/cann:${CANN}", {"quay.io/ascend/cann:${CANN}"}),
        ("mail to some.one@example.org now", {"some.one@example.org"}),
        ("8.8.8.8 and 127.0.0.1, 192.168.1.2, 0.0.0.0", {"8.8.8.8"}),
        ("package==5.0.0.93", set()),
        ("http://... or pysot/core/config.py, http://, numpy.org", set()),
        ("config.yaml/x or tracker.json/y", set()),
    ],
)
def test_addresses_are_found(text, found):
    assert addresses(text) == found


def test_the_levels_are_those_of_modelzoo():
    lines = (ROOT / "modelzoo_level.txt").read_text(encoding="utf-8").splitlines()
    levels = dict(line.split(":") for line in lines)
    assert len(levels) == len(lines) and {*levels} <= {*LEVELS}
    assert all(level in LEVELS[name] for name, level in levels.items())

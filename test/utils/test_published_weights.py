"""Weights by name: the table, and files that are recognised by a recorded or a first seen hash."""

import hashlib
import os
import re

import pytest

from file_server import FileServer
from helpers import ROOT
from pysot.models.backbone import BACKBONES
from pysot.utils import published_weights
from pysot.utils.download import DownloadError
from pysot.utils.published_weights import PUBLISHED, PublishedWeights, fetch_weights, find_weights

CONTENT = b"weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SHARED = ROOT.parent / "shared" / "data" / "weights"
PAGE = (ROOT / "pretrained_models" / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def server():
    with FileServer(CONTENT) as running:
        yield running


def publish(monkeypatch, server, **values) -> None:
    """Name the server's file `mine`."""
    weights = PublishedWeights("mine.pth", server.address, **values)
    monkeypatch.setitem(published_weights.PUBLISHED, "mine", weights)


@pytest.mark.parametrize("name", PUBLISHED)
def test_entries(name):
    weights = PUBLISHED[name]
    assert re.fullmatch(r"([0-9a-f]{8}|[0-9a-f]{64})?", weights.sha256) and weights.url.startswith("https://")
    assert re.fullmatch(r"[\w-]+\.(pth|pt)", weights.file)
    assert weights.url.endswith(weights.file) != bool(weights.offered)
    if weights.convert is not None:
        assert weights.convert[0] in BACKBONES and weights.convert[1] != weights.file
    if weights.offered:
        assert (ROOT / "experiments" / name / "config.yaml").exists()


def test_no_file_has_two_names():
    assert len({weights.file for weights in PUBLISHED.values()}) == len(PUBLISHED)


def test_the_page_has_the_same_tables():
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\| \[.*", PAGE, re.M)]
    expected = []
    for name, weights in PUBLISHED.items():
        row = [f"[{name}]", weights.licence or "not recorded", weights.figures_text or "not recorded"]
        if weights.convert is not None:
            known = "below" if len(weights.sha256) == 64 else f"`{weights.sha256}` ..."
            row[1:1] = [f"`{weights.file}`", known]
        expected.append(row)
    assert rows == expected


def test_the_page_has_the_complete_hashes():
    complete = {weights.file: weights.sha256 for weights in PUBLISHED.values() if len(weights.sha256) == 64}
    assert {file: sha256 for sha256, file in re.findall(r"^([0-9a-f]{64})  (\S+)$", PAGE, re.M)} == complete


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_page_has_the_address(name):
    """A long address is that of a folder on GitHub; the page names the file in it."""
    weights = PUBLISHED[name]
    address = re.search(rf"^\[{name}\]: (\S+)$", PAGE, re.M)[1]
    folder = address.replace("/tree/", "/raw/") + "/"
    assert address == weights.url or weights.url.startswith(folder)
    if address != weights.url:
        assert f"`{weights.url.removeprefix(folder)}`" in PAGE
    if weights.convert is None:
        assert weights.file == f"{name}.pth" and (not weights.offered or f"`{weights.offered}`" in PAGE)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared")
@pytest.mark.parametrize("name", ["nanotrackv3", "mobilenetv2_bottleneck"])
def test_recorded_hashes_are_those_of_the_published_files(name, tmp_path):
    fetched = fetch_weights(name, tmp_path, (SHARED / PUBLISHED[name].file).as_uri())
    assert not fetched.is_first_seen and fetched.sha256 == PUBLISHED[name].sha256
    assert os.listdir(tmp_path) == [PUBLISHED[name].file]


def test_names_that_are_none():
    with pytest.raises(ValueError, match="name of weights is 'nanotrack'; known: .*; did you mean nanotrackv3"):
        find_weights("nanotrack")
    with pytest.raises(ValueError, match="known: alexnet, .*siamrpn_r50_l234_dwxcorr_otb$"):
        find_weights("")


def test_a_recorded_hash(server, tmp_path, monkeypatch):
    publish(monkeypatch, server, sha256=SHA256)
    for _ in range(2):
        assert fetch_weights("mine", tmp_path) == (tmp_path / "mine.pth", SHA256, False)
    assert os.listdir(tmp_path) == ["mine.pth"] and len(server.requests) == 1


@pytest.mark.parametrize("known", ["", SHA256[:8]])
def test_the_first_seen_hash_is_compared_from_then_on(server, tmp_path, monkeypatch, known):
    publish(monkeypatch, server, sha256=known)
    path, record = tmp_path / "mine.pth", tmp_path / "mine.pth.sha256"
    assert fetch_weights("mine", tmp_path) == (path, SHA256, True)
    assert record.read_text() == f"{SHA256}  mine.pth\n"
    assert fetch_weights("mine", tmp_path) == (path, SHA256, False)

    path.unlink()
    server.content = CONTENT + b"changed"
    server.version = '"2"'
    with pytest.raises(DownloadError, match=rf"expected sha256 {SHA256}, got .* delete {record}\. By hand"):
        fetch_weights("mine", tmp_path)
    assert os.listdir(tmp_path) == [record.name]


def test_a_file_with_another_hash_stays(server, tmp_path, monkeypatch):
    publish(monkeypatch, server, sha256=SHA256)
    (tmp_path / "mine.pth").write_bytes(b"own")
    with pytest.raises(ValueError, match=f"mine.pth has another hash: expected sha256 {SHA256}, got .*Move it away"):
        fetch_weights("mine", tmp_path)
    assert (tmp_path / "mine.pth").read_bytes() == b"own" and server.requests == []


@pytest.mark.parametrize("text", ["", "no hash", f"{SHA256[:-1]}  mine.pth\n", f"{'0' * 64}  mine.pth\n"])
def test_a_damaged_record(server, tmp_path, monkeypatch, text):
    publish(monkeypatch, server, sha256=SHA256[:8])
    (tmp_path / "mine.pth.sha256").write_text(text)
    with pytest.raises(ValueError, match=f"mine.pth.sha256: expected a sha256 of 64 .* starts with {SHA256[:8]}, got"):
        fetch_weights("mine", tmp_path)
    assert server.requests == []


def test_how_to_bring_a_file_by_hand(server, tmp_path, monkeypatch):
    publish(monkeypatch, server, sha256=SHA256)
    server.status = 503
    words = rf"503 .*By hand.* save {server.address} as {tmp_path / 'mine.pth'} \(sha256 {SHA256}\)"
    with pytest.raises(DownloadError, match=words):
        fetch_weights("mine", tmp_path)


def test_weights_that_only_a_browser_can_fetch(server, tmp_path, monkeypatch):
    publish(monkeypatch, server, offered="model.pth")
    with pytest.raises(ValueError, match=rf"page for a browser.* save model.pth of {server.address} as .*mine.pth"):
        fetch_weights("mine", tmp_path)
    assert server.requests == [] and os.listdir(tmp_path) == []
    (tmp_path / "mine.pth").write_bytes(CONTENT)
    assert fetch_weights("mine", tmp_path) == (tmp_path / "mine.pth", SHA256, True)
    (tmp_path / "mine.pth").unlink()
    assert fetch_weights("mine", tmp_path, server.address) == (tmp_path / "mine.pth", SHA256, False)

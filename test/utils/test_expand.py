import pytest

from pysot.utils.expand import expand_paths


def names(paths):
    return [path.name for path in paths]


def test_braces_globs_and_order(tmp_path):
    for number in (1, 2, 9, 10, 11):
        (tmp_path / f"checkpoint_e{number}.pth").touch()
    assert names(expand_paths([f"{tmp_path}/checkpoint_e{{9..11}}.pth"], "--snapshot")) == [
        f"checkpoint_e{n}.pth" for n in (9, 10, 11)
    ]
    assert names(expand_paths([f"{tmp_path}/*.pth"], "--snapshot")) == [
        f"checkpoint_e{n}.pth" for n in (1, 2, 9, 10, 11)
    ]
    assert names(expand_paths([f"{tmp_path}/*e1.pth", f"{tmp_path}/checkpoint_e{{1,2}}.pth"], "--snapshot")) == [
        "checkpoint_e1.pth",
        "checkpoint_e2.pth",
    ]


def test_nothing_is_left_out_in_silence(tmp_path):
    (tmp_path / "checkpoint_e1.pth").touch()
    with pytest.raises(FileNotFoundError, match="--snapshot: no file .*checkpoint_e2.pth"):
        expand_paths([f"{tmp_path}/checkpoint_e{{1..2}}.pth"], "--snapshot")
    with pytest.raises(FileNotFoundError, match="no file .*missing"):
        expand_paths([f"{tmp_path}/missing*.pth"], "--snapshot")


def test_equal_names_and_odd_characters(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.pth").touch()
    with pytest.raises(ValueError, match="have the same name"):
        expand_paths([f"{tmp_path}/{{a,b}}/model.pth"], "--snapshot")
    odd = tmp_path / "mine [1].pth"
    odd.touch()
    assert expand_paths([str(odd)], "--snapshot") == [odd]

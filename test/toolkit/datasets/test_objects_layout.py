"""Sets of object masks: the layouts of DAVIS and YouTube-VOS, and what in them cannot be used."""

import json
import shutil

import cv2
import numpy as np
import pytest

from object_sets import HEIGHT, WIDTH, draw_labels, make_davis, make_youtube_vos, write_frame, write_labels
from pysot.toolkit.datasets import load_dataset, missing_frames
from pysot.toolkit.datasets.label_files import LabelFiles
from pysot.utils.label_images import read_numbers


def test_davis_2017(tmp_path):
    make_davis(tmp_path / "DAVIS", frames=5)
    dataset = load_dataset("DAVIS2017", tmp_path)
    alpha = dataset.sequences[0]
    assert [sequence.name for sequence in dataset.sequences] == ["alpha", "beta"] and dataset.protocol == "objects"
    assert (len(alpha), alpha.width, alpha.height) == (5, WIDTH, HEIGHT)
    assert alpha.labels.objects == {1: 0, 2: 0} and alpha.labels.asked == (0, 1, 2, 3, 4)
    assert np.array_equal(alpha.labels.read(3), draw_labels(3))
    assert alpha.labels.start_mask(2).box.tolist() == [110, 30, 24, 30]
    assert not dataset.hidden_truth and not missing_frames(dataset)
    assert "DAVIS2017 has 30 sequences, 2 of them are here" in dataset.remarks[0]


def test_davis_2016_joins_the_objects(tmp_path):
    make_davis(tmp_path, frames=3, year=2016)
    labels = load_dataset("DAVIS2016", tmp_path).sequences[0].labels
    assert labels.joined and labels.objects == {1: 0}
    assert np.array_equal(labels.read(1), draw_labels(1) > 0)
    shutil.copytree(tmp_path / "ImageSets" / "2016", tmp_path / "ImageSets" / "2017")
    write_labels(tmp_path / "Annotations" / "480p" / "alpha" / "00000.png", draw_labels(0))
    assert load_dataset("DAVIS2016", tmp_path).sequences[0].labels.objects == {1: 0}
    assert load_dataset("DAVIS2017", tmp_path).sequences[0].labels.objects == {1: 0, 2: 0}


def test_the_list_of_davis_2016_names_frames_and_masks(tmp_path):
    make_davis(tmp_path, frames=2, year=2016)
    (tmp_path / "ImageSets" / "2016").rename(tmp_path / "ImageSets" / "480p")
    lines = [f"/JPEGImages/480p/beta/{i:05d}.jpg /Annotations/480p/beta/{i:05d}.png" for i in range(2)]
    (tmp_path / "ImageSets" / "480p" / "val.txt").write_text("\n".join(lines) + "\n")
    assert [sequence.name for sequence in load_dataset("davis2016", tmp_path).sequences] == ["beta"]


def test_a_set_without_lists_has_all_sequences(tmp_path, caplog):
    make_davis(tmp_path, frames=2)
    shutil.rmtree(tmp_path / "ImageSets")
    assert len(load_dataset("DAVIS2017", tmp_path)) == 2
    assert "no ImageSets/2017/val.txt" in caplog.text and "all 2 sequences" in caplog.text


def test_results_can_be_scored_without_frames(tmp_path):
    make_davis(tmp_path, frames=4)
    shutil.rmtree(tmp_path / "JPEGImages")
    dataset = load_dataset("DAVIS2017", tmp_path)
    assert len(dataset.sequences[0]) == 4 and dataset.sequences[0].width == WIDTH
    assert len(missing_frames(dataset)) == 2


def test_the_parts_of_davis_whose_truth_is_on_a_server(tmp_path):
    make_davis(tmp_path, frames=3)
    (tmp_path / "ImageSets" / "2017" / "val.txt").rename(tmp_path / "ImageSets" / "2017" / "test-dev.txt")
    for mask in (tmp_path / "Annotations").rglob("*.png"):
        if mask.stem != "00000":
            mask.unlink()
    assert load_dataset("DAVIS2017-test-dev", tmp_path).hidden_truth


@pytest.mark.parametrize("with_meta", [True, False])
def test_youtube_vos(tmp_path, with_meta):
    make_youtube_vos(tmp_path / "valid", with_meta=with_meta)
    dataset = load_dataset("YouTube-VOS", tmp_path)
    labels = dataset.sequences[0].labels
    assert labels.objects == {1: 0, 2: 2} and labels.asked == (0, 1, 2, 3, 4, 5) and dataset.hidden_truth
    assert labels.start_mask(2).box.tolist() == [102, 30, 24, 30]


def test_of_all_frames_the_server_takes_every_fifth(tmp_path):
    make_youtube_vos(tmp_path / "YouTube-VOS", step=1)
    sequence = load_dataset("YouTube-VOS", tmp_path).sequences[0]
    assert len(sequence) == 30 and sequence.labels.objects == {1: 0, 2: 10}
    assert sequence.labels.asked == (0, 5, 10, 15, 20, 25)


def test_any_folder_of_this_layout_is_a_set(tmp_path):
    make_youtube_vos(tmp_path / "mine", with_meta=False)
    assert load_dataset("mine", tmp_path).protocol == "objects"
    with pytest.raises(FileNotFoundError, match="JPEGImages/<video>/00000.jpg"):
        load_dataset("other", tmp_path)


def test_names_of_files_that_people_and_their_systems_make(tmp_path):
    for frame in range(11):
        write_frame(tmp_path / "mine" / "JPEGImages" / "My dog" / f"img_{frame}.JPG", frame)
        write_labels(tmp_path / "mine" / "Annotations" / "My dog" / f"img_{frame}.PNG", draw_labels(frame))
    for junk in ("Annotations/.DS_Store", "Annotations/.cache/1.png", "Annotations/My dog/._img_0.PNG"):
        (tmp_path / "mine" / junk).parent.mkdir(exist_ok=True)
        (tmp_path / "mine" / junk).touch()
    dataset = load_dataset("mine", tmp_path / "mine")
    labels = dataset.sequences[0].labels
    assert [sequence.name for sequence in dataset.sequences] == ["My dog"] and not dataset.remarks
    assert labels.objects == {1: 0, 2: 0} and np.array_equal(labels.read(10), draw_labels(10))
    (tmp_path / "DAVIS" / "ImageSets" / "2017").mkdir(parents=True)
    for folder in ("JPEGImages", "Annotations"):
        shutil.copytree(tmp_path / "mine" / folder / "My dog", tmp_path / "DAVIS" / folder / "480p" / "My dog")
    (tmp_path / "DAVIS" / "ImageSets" / "2017" / "val.txt").write_text("My dog\n")
    assert load_dataset("DAVIS2017", tmp_path).sequences[0].name == "My dog"


def test_black_and_white_masks_are_of_one_object(tmp_path):
    make_davis(tmp_path / "mine", videos=["alpha"], frames=4, year=2016)
    labels = load_dataset("mine", tmp_path).sequences[0].labels
    assert labels.joined and labels.objects == {1: 0} and labels.start_mask(1).pixels.any()
    write_labels(tmp_path / "mine" / "Annotations" / "480p" / "alpha" / "00000.png", draw_labels(0))
    assert not load_dataset("mine", tmp_path).sequences[0].labels.joined


def test_a_set_without_any_sequence_shows_what_is_expected(tmp_path):
    for folder in ("JPEGImages", "Annotations"):
        (tmp_path / "mine" / folder).mkdir(parents=True)
    with pytest.raises(ValueError, match=r"has no sequence in .*mine; expected(?s:.*)JPEGImages/"):
        load_dataset("mine", tmp_path)


def test_label_images_need_an_object():
    with pytest.raises(ValueError, match="at least one object to track"):
        LabelFiles([None], False, {})


def test_an_empty_folder_shows_what_is_expected(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no data set DAVIS2017(?s:.*)ImageSets/2017/val.txt"):
        load_dataset("DAVIS2017", tmp_path)


def remarks_after(tmp_path, damage) -> str:
    """Return the remarks on a set of two sequences, of which `damage` changed alpha; beta must be left."""
    make_davis(tmp_path, frames=3)
    damage(tmp_path / "Annotations" / "480p" / "alpha", tmp_path / "JPEGImages" / "480p" / "alpha")
    dataset = load_dataset("DAVIS2017", tmp_path)
    assert [sequence.name for sequence in dataset.sequences][-1] == "beta"
    return f"{len(dataset)}: {'; '.join(dataset.remarks)}"


def test_an_empty_first_mask(tmp_path):
    remarks = remarks_after(tmp_path, lambda masks, frames: write_labels(masks / "00000.png", draw_labels(0, [])))
    assert remarks.startswith("1: sequence alpha is left out: mask ") and "00000.png is empty" in remarks


def test_an_object_that_never_appears(tmp_path):
    labels = np.where(draw_labels(0) == 2, 3, draw_labels(0))
    remarks = remarks_after(tmp_path, lambda masks, frames: write_labels(masks / "00000.png", labels))
    assert remarks.startswith("2: alpha: object 2 has no pixel in mask ") and "it is never tracked" in remarks


def test_several_objects_that_never_appear_are_one_sentence(tmp_path):
    labels = np.where(draw_labels(0) == 2, 9, draw_labels(0))
    remarks = remarks_after(tmp_path, lambda masks, frames: write_labels(masks / "00000.png", labels))
    assert remarks.startswith("2: alpha: objects 2, 3, 4 ... have no pixel in mask ") and remarks.count("never") == 1


def test_frames_without_a_mask_in_davis(tmp_path):
    remarks = remarks_after(tmp_path, lambda masks, frames: (masks / "00001.png").unlink())
    assert remarks.startswith("2: alpha: 1 of 3 frames have no mask in ") and "the first 00001.png;" in remarks


def test_a_first_mask_in_colours(tmp_path):
    colours = np.repeat(draw_labels(0)[..., None], 3, axis=2) * 100
    remarks = remarks_after(tmp_path, lambda masks, frames: cv2.imwrite(str(masks / "00000.png"), colours))
    assert remarks.startswith("1: sequence alpha is left out: mask ") and "00000.png is a colour image" in remarks


def test_a_first_mask_of_another_size(tmp_path):
    remarks = remarks_after(tmp_path, lambda masks, frames: write_labels(masks / "00000.png", draw_labels(0)[:-1]))
    assert f"00000.png has {WIDTH} x {HEIGHT - 1} pixels, its frame {WIDTH} x {HEIGHT}" in remarks


@pytest.mark.parametrize(
    "damage, reason",
    [
        (lambda masks, frames: (masks / "00000.png").unlink(), "frame 1 is not annotated"),
        (lambda masks, frames: shutil.rmtree(masks), "no mask in"),
        (lambda masks, frames: (frames / "00001.jpg").unlink(), "00001.png has no frame"),
        (lambda masks, frames: (frames / "00001.png").touch(), "alpha has two frames 00001, with different suffixes"),
        (lambda masks, frames: (masks / "00000.png").write_bytes(b"\x89PNG\r\n\x1a\nabc"), "cannot be decoded"),
    ],
)
def test_files_that_are_missing_or_damaged(tmp_path, damage, reason):
    remarks = remarks_after(tmp_path, damage)
    assert remarks.startswith("1: sequence alpha is left out: ") and reason in remarks


def test_a_set_of_which_nothing_can_be_used(tmp_path):
    make_davis(tmp_path, videos=["alpha"], frames=2)
    (tmp_path / "Annotations" / "480p" / "alpha" / "00000.png").unlink()
    with pytest.raises(ValueError, match=r"no sequence that can be used:\n  - sequence alpha is left out"):
        load_dataset("DAVIS2017", tmp_path)


@pytest.mark.parametrize(
    "objects, reason",
    [
        ({}, "does not have the objects of video 00a"),
        ({"1": {"frames": []}}, "object 1 of video 00a needs a number and a list of frames"),
        ({"1": {"frames": [["00000"]]}}, "object 1 of video 00a needs a number and a list of frames"),
        ({"cat": {"frames": ["00000"]}}, "object cat of video 00a needs a number"),
        ({"1": {"frames": ["00001"]}}, "object 1 of video 00a is on frame 00001, which does not exist"),
        ({"3": {"frames": ["00005"]}}, "has a mask to start on"),
    ],
)
def test_a_meta_json_that_does_not_fit(tmp_path, objects, reason):
    make_youtube_vos(tmp_path)
    (tmp_path / "meta.json").write_text(json.dumps({"videos": {"00a": {"objects": objects}}}))
    with pytest.raises(ValueError, match=reason):
        load_dataset("YouTube-VOS", tmp_path)


def test_an_object_of_meta_json_without_a_mask(tmp_path):
    make_youtube_vos(tmp_path)
    meta = json.loads((tmp_path / "meta.json").read_text())
    meta["videos"]["00a"]["objects"]["3"] = {"frames": ["00010"]}
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    dataset = load_dataset("YouTube-VOS", tmp_path)
    assert dataset.sequences[0].labels.objects == {1: 0, 2: 2}
    assert "object 3 of meta.json has no pixel in" in dataset.remarks[0] and "00010.png" in dataset.remarks[0]


def test_255_is_background_in_palette_images(tmp_path):
    labels = draw_labels(0)
    labels[:5] = 255
    write_labels(tmp_path / "a.png", labels)
    assert np.array_equal(read_numbers(tmp_path / "a.png"), draw_labels(0))
    assert np.array_equal(read_numbers(tmp_path / "a.png", joined=True), draw_labels(0) > 0)


def test_255_alone_in_a_palette_image_is_the_object_of_davis_2016(tmp_path):
    write_labels(tmp_path / "a.png", np.where(draw_labels(0), 255, 0))
    assert np.array_equal(read_numbers(tmp_path / "a.png", joined=True), draw_labels(0) > 0)


def test_grey_images_of_16_bits_have_numbers(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), draw_labels(0).astype(np.uint16))
    assert np.array_equal(read_numbers(tmp_path / "a.png"), draw_labels(0))
    cv2.imwrite(str(tmp_path / "a.png"), draw_labels(0).astype(np.uint16) * 300)
    assert read_numbers(tmp_path / "a.png").max() == 255

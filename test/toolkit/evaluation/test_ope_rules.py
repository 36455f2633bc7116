"""Rules of one-pass sets: which frames count in which set, and by whose definition.

Scores against the toolkits' published numbers (test/parity) and against `literal_ope`; protocols and hidden truth of
JSON files; raw OTB sequences; results that are too long.
"""

import json
import math
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers import ROOT
from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.evaluation.ope_official import OFFICIAL_RULES
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.protocols import find_protocol
from pysot.toolkit.report.draw_files import draw
from pysot.toolkit.report.html_report import write_report
from pysot.toolkit.report.one_pass_tables import attribute_rows, ope_rows, ope_table, ope_video_rows, remarks_of
from pysot.toolkit.report.score_plots import one_pass_plots
from pysot.toolkit.results.files import save_ope
from pysot.utils.otb import SPANS, protocol_slices

sys.path.insert(0, str(Path(__file__).parent))
import literal_ope as literal  # noqa: E402

PARITY = ROOT / "test" / "parity"
NAN = math.nan
OLD = {"auc": "success", "precision20": "precision20", "norm_precision20": "norm_precision20"}


# against published numbers


@pytest.mark.parametrize("name", ["LaSOT", "UAV123", "DTB70"])
def test_numbers_of_the_original(name):
    expected = json.loads((PARITY / "ope_small.expected.json").read_text())[name]
    dataset = load_dataset(name, PARITY / "ope_small")
    folders = [PARITY / "ope_small" / "results" / name / tracker for tracker in expected]
    scores = score_trackers(dataset, folders).to_json()
    for tracker, numbers in expected.items():
        score = scores[tracker]
        assert [score[key] for key in OLD] == pytest.approx([numbers[key] for key in OLD.values()], abs=1e-6)
        for video, values in numbers["videos"].items():
            video_score = [score["videos"][video][key] for key in ("auc", "precision20")]
            assert video_score == pytest.approx(list(values.values()), abs=1e-6)


@pytest.fixture
def got10k(tmp_path):
    """Return a folder with the validation part, its labels, and images that are empty files."""
    shutil.copytree(PARITY / "got10k_small" / "val", tmp_path / "GOT-10k" / "val")
    for video in (tmp_path / "GOT-10k" / "val").glob("GOT*"):
        for number in range(1, len((video / "groundtruth.txt").read_text().splitlines()) + 1):
            (video / f"{number:08d}.jpg").touch()
    return tmp_path


def test_numbers_of_the_got10k_toolkit(got10k):
    """Cover and not absence counts, boxes are clipped to the frame, all three repetitions count; same in both modes."""
    expected = json.loads((PARITY / "got10k_small.expected.json").read_text())
    dataset = load_dataset("GOT-10k", got10k)
    folders = [PARITY / "got10k_small" / "results" / name for name in expected]
    scores = score_trackers(dataset, folders, mode="both").to_json()
    keys = ("ao", "sr50", "sr75")
    for tracker, numbers in expected.items():
        score = scores[tracker]
        assert [score[key] for key in keys] == pytest.approx([numbers[key] for key in keys], abs=1e-6)
        official = [score["official"][key] for key in (*keys, "fps")]
        assert official == pytest.approx(list(numbers.values())[:4], abs=1e-6)
        by_video = [score["videos"][video]["ao"] for video in numbers["videos"]]
        assert by_video == pytest.approx(list(numbers["videos"].values()), abs=1e-6)
    rows = ope_rows(score_trackers(dataset, folders, mode="official"), "official")
    assert rows[0] == ["Tracker Name", "AO", "SR 0.50", "SR 0.75", "FPS"]
    assert rows[1][:2] == ["one", f"{expected['one']['ao']:.3f}"]


def test_got10k_without_cover_uses_what_it_has_and_says_so(got10k):
    dataset = load_dataset("GOT-10k", got10k)
    json_set = {
        sequence.name: {
            "video_dir": sequence.name,
            "img_names": [Path(path).name for path in sequence.frame_paths],
            "gt_rect": [box.tolist() for box in sequence.ground_truth],
        }
        for sequence in dataset.sequences
    }
    (got10k / "bare").mkdir()
    (got10k / "bare" / "GOT-10k.json").write_text(json.dumps(json_set))
    bare = load_dataset("GOT-10k", got10k / "bare")
    text = ope_table(score_trackers(bare, [PARITY / "got10k_small" / "results" / "one"]))
    assert "3 of 3 sequences of GOT-10k do not say what covers the target" in text and "no size of images" in text
    for sequence in dataset.sequences:
        json_set[sequence.name] |= {
            "cover": sequence.visible.astype(int).tolist(),
            "width": sequence.width,
            "height": sequence.height,
        }
    (got10k / "bare" / "GOT-10k.json").write_text(json.dumps(json_set))
    complete = score_trackers(load_dataset("GOT-10k", got10k / "bare"), [PARITY / "got10k_small" / "results" / "one"])
    assert remarks_of(complete) == ()
    assert complete.to_json() == score_trackers(dataset, [PARITY / "got10k_small" / "results" / "one"]).to_json()
    for label in (got10k / "GOT-10k" / "val").glob("*/cover.label"):
        label.unlink()
    assert load_dataset("GOT-10k", got10k).sequences[0].visible is not None  # from absence.label


# against `literal_ope`


def odd_set(folder, name, seed=0, videos=3, frames=40, absent=True):
    """Write a JSON and results with irregular boxes; return (truth, boxes, absent) by video.

    Truth has boxes left of the image, without size, of NaN, at 0; results have NaN, no size and a first box that is
    not the truth.
    """
    rng = np.random.default_rng(seed)
    meta, results = {}, {}
    for index in range(videos):
        truth = np.concatenate([rng.uniform(2, 120, (frames, 2)), rng.uniform(10, 50, (frames, 2))], axis=1)
        boxes = truth + rng.normal(0, 6, (frames, 4)) * [1, 1, 0.5, 0.5]
        truth[3], truth[8], truth[9], truth[14] = NAN, [0, 0, 0, 0], [-40, 10, 60, 30], [0, 20, 30, 30]
        boxes[5], boxes[6], boxes[7, 2], boxes[20], boxes[3], boxes[4, 3] = NAN, NAN, -3, [30, 30, 0, 20], NAN, 0
        gone = rng.random(frames) < 0.25 if absent else np.zeros(frames, bool)
        gone[0] = False
        meta[f"v{index}"] = {
            "video_dir": f"v{index}",
            "img_names": [f"v{index}/{number:04d}.jpg" for number in range(frames)],
            "gt_rect": truth.tolist(),
            "attr": ["Fast"] if index else ["Fast", "Small"],
        }
        if absent:
            meta[f"v{index}"]["absent"] = (~gone).astype(int).tolist()
        results[f"v{index}"] = (truth.tolist(), boxes.tolist(), gone)
        (folder / "m").mkdir(exist_ok=True)
        (folder / "m" / f"v{index}.txt").write_text(
            "".join(",".join(f"{number:.17g}" for number in box) + "\n" for box in boxes)
        )
    (folder / f"{name}.json").write_text(json.dumps(meta))
    return results


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "name",
    ["OTB100", "UAV123", "UAV20L", "UAV123_10fps", "LaSOT", "LaSOT_ext", "TC128", "DTB70", "NFS30", "UAVDT", "mine"],
)
def test_every_cell_of_the_table(tmp_path, name):
    """Success, precision and normalised precision in pysot's arithmetic and in that of OTB's toolkit and its copies."""
    results = odd_set(tmp_path, name, absent=name.lower().startswith("lasot"))
    scores = score_trackers(load_dataset(name, tmp_path), [tmp_path / "m"], mode="both")
    score = scores.to_json()["m"]
    for mode, script in (("pysot", literal.pysot), ("official", literal.otb)):
        numbers = score if mode == "pysot" else score["official"]
        by_video = {video: script(*parts) for video, parts in results.items()}
        for key in OLD:
            mean = np.mean([values[key] for values in by_video.values()])
            assert numbers[key] == pytest.approx(mean, abs=1e-9), (mode, key)
            for video, values in by_video.items():
                assert numbers["videos"][video][key] == pytest.approx(values[key], abs=1e-9)
        assert numbers["attributes"]["Small"] == pytest.approx(by_video["v0"]["auc"], abs=1e-9)
    assert score["auc"] != score["official"]["auc"] and "Why they differ" in ope_table(scores, "both")
    assert ("no toolkit of its own" in ope_table(scores, "both")) == (name.lower() not in OFFICIAL_RULES)


def test_missing_repetitions_are_reported(got10k):
    """A missing repetition between others is an error.

    Different numbers of repetitions, or times of some videos only, give a note.
    """
    shutil.copytree(PARITY / "got10k_small" / "results" / "three", got10k / "m")
    dataset, video = load_dataset("GOT-10k", got10k), got10k / "m" / "GOT-10k_Val_000001"
    (video / "GOT-10k_Val_000001_time.txt").unlink()
    (video / "GOT-10k_Val_000001_003.txt").unlink()
    scores = score_trackers(dataset, [got10k / "m"], mode="official")
    text = ope_table(scores, "official")
    assert "different numbers of repetitions (1 with 2, 2 with 3)" in text and "FPS covers 2 of 3 videos" in text
    assert scores.to_json()["m"]["official"]["videos"]["GOT-10k_Val_000001"]["fps"] is None
    (video / "GOT-10k_Val_000001_001.txt").rename(video / "GOT-10k_Val_000001_004.txt")
    (video / "GOT-10k_Val_000001_002.txt").rename(video / "GOT-10k_Val_000001_001.txt")
    problem = score_trackers(dataset, [got10k / "m"]).trackers[0].problems[0]
    assert "has no GOT-10k_Val_000001_002.txt, but later repetitions" in problem


def test_trackingnet_as_its_devkit(tmp_path):
    results = odd_set(tmp_path, "TrackingNet", absent=False)
    for video, (truth, boxes, _) in results.items():
        valid = [[1, 1, 5, 5] if box[0] != box[0] or min(box[2:]) < 0 else box for box in boxes]
        results[video] = truth, valid
        save_ope(tmp_path / "m", video, valid)
    scores = score_trackers(load_dataset("TrackingNet", tmp_path), [tmp_path / "m"], mode="official")
    expected = [literal.trackingnet(truth, np.round(boxes, 4).tolist()) for truth, boxes in results.values()]
    for key, value in scores.trackers[0].official.numbers.items():
        assert value == pytest.approx(np.mean([video[key] for video in expected]), abs=1e-9), key
    assert ope_rows(scores, "official")[0] == ["Tracker Name", "Success", "Norm Precision AUC", "Precision AUC"]


def test_got10k_by_the_script(got10k):
    dataset, folder = load_dataset("GOT-10k", got10k), PARITY / "got10k_small" / "results" / "three"
    overlaps = []
    for sequence in dataset.sequences:
        runs = [
            np.loadtxt(folder / sequence.name / f"{sequence.name}_{number:03d}.txt", delimiter=",").tolist()
            for number in (1, 2, 3)
        ]
        cover = np.loadtxt(got10k / "GOT-10k" / "val" / sequence.name / "cover.label").tolist()
        overlaps += literal.got10k([box.tolist() for box in sequence.ground_truth], runs, cover, (160, 120))
    assert score_trackers(dataset, [folder]).to_json()["three"]["ao"] == pytest.approx(np.mean(overlaps), abs=1e-12)


def test_modes_in_tables_and_on_the_page(tmp_path):
    odd_set(tmp_path, "LaSOT")
    dataset = load_dataset("LaSOT", tmp_path)
    scores = score_trackers(dataset, [tmp_path / "m"], mode="vot", with_timelines=True)  # the older name
    assert ope_rows(scores, "official")[0] == ["Tracker Name", "Success", "Norm Precision", "Precision"]
    assert ope_rows(scores, "both")[0][1:3] == ["Success pysot", "Success official"]
    assert ope_rows(scores)[0][1] == "Success"
    assert ope_rows(scores, "official")[1][1] == f"{scores.trackers[0].official.numbers['auc']:.3f}"
    assert attribute_rows(scores, "official")[1] != attribute_rows(scores)[1]
    assert ope_video_rows(scores, "official")[0][1] == "m Success"
    assert draw(one_pass_plots(scores, True)[0], tmp_path / "out.png").is_file()
    page = write_report(tmp_path / "out.html", scores, {}).read_text()
    assert (
        "Success official" in page
        and "The curves are in the arithmetic of pysot" in page
        and "toolkit takes the first box" in page
    )
    with pytest.raises(ValueError, match="mode is 'otb'; known: both, official, pysot, vot"):
        score_trackers(dataset, [tmp_path / "m"], mode="otb")


# protocols of JSON files


def write_json(path, **more):
    video = {
        "video_dir": "v",
        "img_names": ["v/1.jpg", "v/2.jpg"],
        "gt_rect": [[1, 2, 3, 4]] * 2,
        "width": 50,
        "height": 40,
    }
    path.write_text(json.dumps({"v": video | more}))


@pytest.mark.parametrize("name", ["UAVDT", "DTB70", "UAV112", "OTB99", "NFS", "VisDrone", "a set", "got10k"])
@pytest.mark.parametrize("more", [{}, {"attr": ["Fast"]}])
def test_a_json_without_vot_tags_is_tracked_in_one_pass(tmp_path, caplog, name, more):
    write_json(tmp_path / f"{name}.json", **more)
    assert load_dataset(name, tmp_path).protocol == "one pass" and not caplog.text


def test_a_json_with_vot_tags_has_restarts(tmp_path, caplog):
    write_json(tmp_path / "mine.json", occlusion=[])
    assert load_dataset("mine", tmp_path).protocol == "supervised"
    write_json(tmp_path / "mine.json", anchor=[1, 0])
    assert load_dataset("mine", tmp_path).protocol == "multistart"


@pytest.mark.parametrize(
    "name, more, protocol, message",
    [
        ("OTB100", {"occlusion": []}, "one pass", "json of OTB100 has VOT tags"),
        ("VOT2016", {}, "supervised", "json of VOT2016 has no VOT tags"),
        ("VOT-mine", {}, "one pass", "VOT-mine begins with VOT, but its json has no VOT tags"),
        ("VOT2018", {"occlusion": [1]}, "supervised", ""),
    ],
)
def test_a_name_that_contradicts_its_json_is_reported(tmp_path, caplog, name, more, protocol, message):
    write_json(tmp_path / f"{name}.json", **more)
    assert load_dataset(name, tmp_path).protocol == protocol
    assert message in caplog.text and (message or "tags" not in caplog.text)


@pytest.mark.parametrize("name", ["GOT-10k-test", "TrackingNet", "hidden"])
@pytest.mark.parametrize(
    "truth", [{"gt_rect": [[1, 2, 3, 4]]}, {"gt_rect": [1, 2, 3, 4]}, {"gt_rect": [], "init_rect": [1, 2, 3, 4]}]
)
def test_a_json_with_hidden_truth(tmp_path, name, truth):
    write_json(tmp_path / f"{name}.json", **truth)
    dataset = load_dataset(name, tmp_path)
    first, second = dataset.sequences[0].ground_truth
    assert dataset.hidden_truth and first.tolist() == [1, 2, 3, 4] and np.isnan(second).all()


def test_odd_values_of_a_json(tmp_path):
    write_json(tmp_path / "GOT-10k.json", anchor=None, attr="FM", cover=[1, None], gt_rect=[[1, 2, 3, 4], None])
    sequence = load_dataset("GOT-10k", tmp_path).sequences[0]
    assert sequence.attributes == ("FM",) and sequence.visible.tolist() == [True, False]
    assert np.isnan(sequence.ground_truth[1]).all()


def test_names_whose_results_would_be_times(tmp_path):
    video = {"video_dir": "v", "img_names": ["v/1.jpg"], "gt_rect": [[1, 2, 3, 4]]}
    content = {"run": video, "run_time": video}
    (tmp_path / "mine.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="the result file of run_time would have the name of the time file of run;"):
        find_protocol(load_dataset("mine", tmp_path))


def test_a_json_with_some_of_the_truth_is_refused(tmp_path):
    write_json(tmp_path / "hidden.json", img_names=["v/1.jpg", "v/2.jpg", "v/3.jpg"])
    with pytest.raises(ValueError, match="3 frames and ground truth for 2"):
        load_dataset("hidden", tmp_path)


# raw OTB


def raw_otb(folder, name, numbers, lines, suffix=""):
    (folder / name / "img").mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (folder / name / "img" / f"{number:04d}.jpg").touch()
    (folder / name / f"groundtruth_rect{suffix}.txt").write_text("".join(f"{number},2,30,40\n" for number in lines))


# images in the folder, lines of ground truth, and number of frames of published results
RAW = {
    "David": (range(1, 771), range(300, 771), 471),
    "Tiger1": (range(1, 355), range(1, 355), 349),
    "BlurCar1": (range(247, 989), range(247, 989), 742),
    "BlurCar3": (range(3, 360), range(3, 360), 357),
    "BlurCar4": (range(18, 398), range(18, 398), 380),
    "Diving": (range(1, 232), range(1, 216), 215),
    "Football1": (range(1, 75), range(1, 75), 74),
    "Freeman3": (range(1, 461), range(1, 461), 460),
    "Freeman4": (range(1, 284), range(1, 284), 283),
}


@pytest.mark.parametrize("spelt", [str, str.lower])
def test_raw_otb_has_the_frames_of_published_results(tmp_path, spelt):
    assert {name.lower() for name in RAW} == {*SPANS}
    for name, (numbers, lines, _) in RAW.items():
        raw_otb(tmp_path / "OTB100", spelt(name), numbers, lines)
    for sequence in load_dataset("OTB100", tmp_path).sequences:
        first, last = SPANS[sequence.name.lower()]
        assert len(sequence) == RAW[{name.lower(): name for name in RAW}[sequence.name.lower()]][2]
        image_numbers = [int(Path(path).stem) for path in sequence.frame_paths]
        truth_numbers = [int(region[0]) for region in sequence.ground_truth]
        assert image_numbers == truth_numbers == list(range(first, last + 1))


def test_parts_of_otb_videos():
    complete, images = (slice(None), slice(None)), [f"{number:04d}.jpg" for number in range(1, 500)]
    assert protocol_slices("Deer", images[:71], 71) == complete
    assert protocol_slices("tiger1", images[:349], 349) == complete  # renumbered
    assert protocol_slices("David", images[:10], 10) == complete  # another video of that name
    assert protocol_slices("David", ["a.jpg", "b.jpg"], 471) == complete
    assert protocol_slices("Tiger1", images[:354], 349) == (slice(5, 354), slice(None))


def test_human4_has_one_target(tmp_path):
    """The first file is empty in the set as distributed; if it is not, its target is still no part of OTB100."""
    raw_otb(tmp_path / "OTB100", "Human4", range(1, 4), (), ".1")
    raw_otb(tmp_path / "OTB100", "Human4", range(1, 4), range(3), ".2")
    assert [sequence.name for sequence in load_dataset("OTB100", tmp_path).sequences] == ["Human4-2"]
    raw_otb(tmp_path / "OTB100", "Human4", range(1, 4), range(3), ".1")
    assert [sequence.name for sequence in load_dataset("OTB100", tmp_path).sequences] == ["Human4-2"]


@pytest.mark.shared
def test_spans_against_published_results(shared):
    for folder in (shared / "data" / "results" / "OTB100").iterdir():
        for name, (_, _, frames) in RAW.items():
            assert len((folder / f"{name}.txt").read_text().splitlines()) == frames, (folder.name, name)


def test_sequences_of_one_name_in_two_classes(tmp_path):
    for kind in ("cat", "dog"):
        raw_otb(tmp_path / "LaSOT" / kind, "x-1", range(1, 4), range(1, 4))
    reason = "x-1: two sequences have this name, that in .*cat/x-1 and that in .*dog/x-1; rename one"
    with pytest.raises(ValueError, match=reason):
        load_dataset("LaSOT", tmp_path)


# results that are too long


@pytest.mark.parametrize("name", ["LaSOT", "lasot_ext"])
def test_extra_lines_of_lasot(tmp_path, name):
    """As in its toolkit (monkey-17 has results with 26 extra lines), the first lines count, and the table says so.

    In other sets extra lines are an error.
    """
    results = odd_set(tmp_path, name)
    before = score_trackers(load_dataset(name, tmp_path), [tmp_path / "m"]).to_json()
    for path in (tmp_path / "m").glob("*.txt"):
        path.write_text(path.read_text() + "not, a, box\n" * 26)
    scores = score_trackers(load_dataset(name, tmp_path), [tmp_path / "m"])
    assert scores.to_json() == before and "has 26 lines more than frames: the first 40 count" in ope_table(scores)
    (tmp_path / f"{name}.json").rename(tmp_path / "mine.json")
    score = score_trackers(load_dataset("mine", tmp_path), [tmp_path / "m"]).trackers[0]
    assert "66 lines for 40 frames" in score.problems[0]
    (tmp_path / "mine.json").rename(tmp_path / f"{name}.json")
    (tmp_path / "m" / "v0.txt").write_text("1,2,3,4\n" * 39)
    score = score_trackers(load_dataset(name, tmp_path), [tmp_path / "m"]).trackers[0]
    assert "39 lines for 40 frames" in score.problems[0]
    assert set(results) == {"v0", "v1", "v2"}

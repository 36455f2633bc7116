"""Tags of the quick-start data match the rendered images and the ground truth."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from quickstart_scenes import PLAIN, TAG_NAMES, difference, draw_test_scene, without_target

for _name in ("skimage", "matplotlib"):  # they ship the photographs
    pytest.importorskip(_name)

from pysot.datasets.quickstart.render import OCCLUDED_SHARE, compute_tags, render_frame  # noqa: E402


@pytest.mark.parametrize("index", [2, 6])
def test_occlusion_is_set_where_the_target_is_covered(photos, index):
    scene = replace(draw_test_scene(photos, index, **PLAIN), shutter=0.0)
    flags, covered, reported = [], [], []
    for t in range(0, len(scene), 3):
        image, visible = render_frame(scene, t)
        bare, everything = render_frame(replace(scene, occluders=()), t)
        assert everything == 1.0
        target = difference(bare, render_frame(without_target(replace(scene, occluders=())), t)[0])
        covered.append((difference(image, bare) & target).sum() / target.sum())
        reported.append(1 - visible)
        flags.append(compute_tags(scene, np.full(len(scene), visible))["occlusion"][t])
    flags, covered = np.array(flags), np.array(covered)
    np.testing.assert_allclose(reported, covered, atol=0.06)
    assert 2 <= flags.sum() < len(flags) / 2
    assert covered[flags].min() > OCCLUDED_SHARE * 0.6 and covered[~flags].max() < OCCLUDED_SHARE * 1.6
    assert 0.25 < covered.max() < 0.8


def test_camera_motion_is_set_where_the_background_moves(photos):
    scene = without_target(replace(draw_test_scene(photos, 0, **PLAIN), occluders=(), distractors=()))
    scene = replace(scene, noise=np.zeros_like(scene.noise))
    images = [render_frame(scene, t)[0].astype(float) for t in range(len(scene))]
    moved = np.array([0.0] + [np.abs(b - a).mean() for a, b in zip(images, images[1:], strict=False)])
    flags = compute_tags(scene, np.ones(len(scene)))["camera_motion"]
    assert 5 < flags.sum() < len(flags) - 5
    assert moved[flags].min() > moved[~flags].max()


def test_illum_change_is_set_where_the_light_changes(photos):
    scene = without_target(replace(draw_test_scene(photos, 4), occluders=(), distractors=()))
    scene = replace(scene, camera=np.repeat(scene.camera[:1], len(scene), axis=0), noise=np.zeros_like(scene.noise))
    scene = replace(scene, contrast=np.ones(len(scene)))
    mean = np.array([render_frame(scene, t)[0].mean() for t in range(len(scene))])
    change = np.abs(np.diff(np.log(mean), prepend=np.log(mean[0])))
    flags = compute_tags(scene, np.ones(len(scene)))["illum_change"]
    assert 5 < flags.sum() < len(flags) / 2
    assert change[flags].min() > 0.004 and change[~flags].max() < 0.013


def test_size_and_motion_tags_follow_from_the_ground_truth(photos):
    for index in range(8):
        scene = draw_test_scene(photos, index)
        flags = compute_tags(scene, np.ones(len(scene)))
        polygons = np.array([scene.target.polygon(t) for t in range(len(scene))]).reshape(-1, 4, 2).astype(np.float32)
        side = np.sqrt([cv2.contourArea(polygon) for polygon in polygons])
        growth = np.abs(np.diff(side)) / side[1:]
        expected = np.concatenate([[False], growth > 0.005])
        assert (flags["size_change"] == expected).mean() > 0.98
        centres = polygons.mean(axis=1)
        for t in range(6, len(scene)):
            turn = np.linalg.norm((centres[t] - centres[t - 1]) - (centres[t - 4] - centres[t - 5])) / side[t]
            assert flags["motion_change"][t] == (turn > 0.03) or abs(turn - 0.03) < 1e-3
        assert not any(flags[name][0] for name in TAG_NAMES)


def test_tags_overlap_and_some_frames_have_none(photos):
    every = []
    for index in range(8):
        scene = draw_test_scene(photos, index)
        flags = compute_tags(scene, np.ones(len(scene)))
        assert tuple(sorted(flags)) == TAG_NAMES
        every.append(np.stack([flags[name] for name in TAG_NAMES]))
    every = np.concatenate(every, axis=1)
    assert every[[0, 1, 2, 4]].any(axis=1).all()
    assert (every.sum(axis=0) >= 2).mean() > 0.1 and (every.sum(axis=0) == 0).mean() > 0.1

"""Scenes of the quick-start data's test split."""

from dataclasses import replace

import numpy as np

from pysot.datasets.quickstart.data import QuickstartSettings, draw_recipe
from pysot.datasets.quickstart.photos import SPLITS
from pysot.datasets.quickstart.scene import draw_scene

TAG_NAMES = ("camera_motion", "illum_change", "motion_change", "occlusion", "size_change")
PLAIN = dict(defocus=0.0, light=0.0)


def draw_test_scene(photos, index, frames=100, **changes):
    """Draw scene `index` of the test split; `changes` go to its recipe."""
    rng = np.random.default_rng([0, SPLITS["test"].number, index])
    recipe = draw_recipe(rng, QuickstartSettings("test", 0, 8, frames), index)
    return draw_scene(rng, replace(recipe, **changes), photos, SPLITS["test"].objects)


def without_target(scene):
    return replace(scene, target=replace(scene.target, mask=np.zeros_like(scene.target.mask)))


def difference(a, b):
    """Return (H, W) bool, true where two images differ by more than rounding."""
    return np.abs(a.astype(int) - b.astype(int)).max(axis=2) > 3

"""Steps of tools/check_device.py, the most informative first.

Add later benchmarks here. Together they must stay within six minutes.
"""

from pysot.benchmarks.supervise import Step

_PACKAGE = "pysot.benchmarks"

MAKE_DATA = Step("data of its own", f"{_PACKAGE}.networks:make_data", 60, 75)

STEPS = (
    Step("versions and ceilings", f"{_PACKAGE}.device_limits:measure", 30, 60),
    Step("forward", f"{_PACKAGE}.correctness:forward", 40, 60, required=True),
    Step("losses and gradients", f"{_PACKAGE}.correctness:losses_and_gradients", 40, 60, required=True),
    Step(
        "a step that waits for nothing",
        f"{_PACKAGE}.correctness:no_waits",
        30,
        60,
        kinds=("cuda",),
        skip_reason="torch can forbid waits on CUDA only; for an NPU the tests count waits in its simulator",
        required=True,
    ),
    Step("bad batches", f"{_PACKAGE}.training_checks:bad_batches", 30, 60, required=True),
    Step(
        "steps as a graph",
        f"{_PACKAGE}.training_checks:steps_as_graph",
        30,
        60,
        kinds=("cuda", "npu"),
        skip_reason="a CPU has no graphs",
        required=True,
    ),
    Step("ways to correlate", f"{_PACKAGE}.correctness:correlation", 20, 60, required=True),
    Step("a run and its checkpoints", f"{_PACKAGE}.training_checks:run_and_checkpoints", 40, 90, required=True),
    Step("the step and its kernels", f"{_PACKAGE}.step_speed:frozen_step", 50, 60),
    Step("forms of the step", f"{_PACKAGE}.step_speed:step_forms", 40, 75),
    Step("precisions and layouts", f"{_PACKAGE}.step_speed:variants", 50, 60),
    Step("speed of the ways to correlate", f"{_PACKAGE}.step_speed:correlation", 25, 60),
    Step("loader", f"{_PACKAGE}.loader_speed:loaders", 40, 60),
    Step("a run of tools/train.py", f"{_PACKAGE}.loader_speed:train_run", 60, 120),
    Step("tracking", f"{_PACKAGE}.tracking:track", 40, 60, required=True),
    Step("tracking in lockstep", f"{_PACKAGE}.tracking:lockstep", 30, 60, required=True),
    Step("tracking with masks", f"{_PACKAGE}.mask_tracking:masks", 20, 60, required=True),
    Step("forms of a tracking step", f"{_PACKAGE}.tracking_forms:forms", 30, 60, required=True),
    Step("without anchors", f"{_PACKAGE}.without_anchors:points", 40, 90, required=True),
    Step("an exported network", f"{_PACKAGE}.exported:exports", 30, 60),
    Step("the unfrozen step", f"{_PACKAGE}.step_speed:unfrozen_step", 30, 60),
    Step("the plain way", f"{_PACKAGE}.step_speed:plain_step", 40, 60),
    Step("several cards", f"{_PACKAGE}.multi_card:scale", 90, 135),
    Step(
        "compiled forms",
        f"{_PACKAGE}.step_speed:compiled_step",
        150,
        0,
        kinds=("cpu", "cuda"),
        skip_reason="torch.compile is not supported on an NPU",
    ),
)

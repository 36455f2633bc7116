"""The steps of tools/check_device.py, in the order in which a few minutes teach most. Later benchmarks are added here, within the six minutes."""

from pysot.benchmarks.supervise import Step

_HERE = "pysot.benchmarks"

OWN_DATA = Step("data of its own", f"{_HERE}.networks:make_data", 60, 75)

STEPS = (
    Step("versions and ceilings", f"{_HERE}.ceilings:measure", 30, 60),
    Step("forward", f"{_HERE}.correctness:forward", 40, 60, decides=True),
    Step("losses and gradients", f"{_HERE}.correctness:losses_and_gradients", 40, 60, decides=True),
    Step(
        "a step that waits for nothing",
        f"{_HERE}.correctness:no_waits",
        30,
        60,
        kinds=("cuda",),
        otherwise="torch can forbid waiting on CUDA only; for an NPU the tests count what its simulator sees",
        decides=True,
    ),
    Step("bad batches", f"{_HERE}.training_checks:bad_batches", 30, 60, decides=True),
    Step("ways to correlate", f"{_HERE}.correctness:correlation", 20, 60, decides=True),
    Step("a run and its checkpoints", f"{_HERE}.training_checks:run_and_checkpoints", 40, 90, decides=True),
    Step("the step and its kernels", f"{_HERE}.step_speed:step", 50, 60),
    Step("precisions and layouts", f"{_HERE}.step_speed:variants", 50, 60),
    Step("speed of the ways to correlate", f"{_HERE}.step_speed:correlation", 25, 60),
    Step("loader", f"{_HERE}.loading:loaders", 40, 60),
    Step("a run of tools/train.py", f"{_HERE}.loading:train_run", 60, 120),
    Step("tracking", f"{_HERE}.tracking:track", 40, 60, decides=True),
    Step("the unfrozen step", f"{_HERE}.step_speed:unfrozen", 30, 60),
    Step("the plain way", f"{_HERE}.step_speed:plain", 40, 60),
    Step("several cards", f"{_HERE}.cards:scale", 90, 135),
    Step(
        "compiled forms",
        f"{_HERE}.step_speed:compiled",
        150,
        0,
        kinds=("cpu", "cuda"),
        otherwise="torch.compile is not for an NPU here",
    ),
)

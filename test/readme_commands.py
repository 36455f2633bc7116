"""Which test runs each command of the READMEs, in its small form, or why none does.

A rule has a pattern that the whole command matches. The first rule that matches a command counts.
"""

import re
from pathlib import Path
from typing import NamedTuple

from documents import sections, without_comment

_CANN = "needs CANN, or a tool of Ascend's driver"
_TOOLS = "test/tools/test_"
_MARK = re.compile(r"python3? (?!-c)|bash |(?:\./)?(?:tools|test)/\S+\.(?:sh|py)\b|pip install|torchrun ")
_CROPS = (
    "test/datasets/raw/test_coco.py::test_scripts_make_what_training_reads",
    "test/datasets/raw/test_imagenet.py::test_scripts",
    "test/datasets/raw/test_youtube_bb.py::test_the_commands_of_the_folder",
)
_PROGRAMS = (
    "python",
    "python3",
    "bash",
    "pip",
    "torchrun",
    "source",
    "export",
    "eval",
    "for",
    "cd",
    "docker",
    "sbatch",
    "kubectl",
    "msprof",
    "aoe",
    "atc",
    "tensorboard",
    "hccn_tool",
    "npu-smi",
    "git",
    "taskset",
    "apt-get",
    "srun",
    "unzip",
)


class Rule(NamedTuple):
    """`tests` are FILE::TEST, or a reason says why nothing runs the command."""

    pattern: str
    tests: tuple[str, ...] = ()
    reason: str = ""


def _run(pattern: str, *tests: str) -> Rule:
    return Rule(pattern, tests)


def _not_run(pattern: str, reason: str) -> Rule:
    return Rule(pattern, reason=reason)


RULES = [
    # The shell.
    _not_run(r"cd [\w/.]+", "changes the folder only; the command after it is run"),
    _not_run(r"export CONFIG=\S+ SNAPSHOT=\S+", "names files for the commands after it"),
    _not_run(r"source /usr/local/Ascend\S+", _CANN),
    _not_run(r"hccn_tool .*|for i in [\d ]+; do hccn_tool .*", _CANN),
    _run(
        r"python3 -m venv .venv && source .venv/bin/activate",
        f"{_TOOLS}scripts.py::test_quickstart_fails_runs_resumes_and_reuses",
    ),
    # Installation: the scripts of the two first commands do it on every clean checkout.
    _not_run(r"pip install -r requirements.txt", "test/setup_env.sh does it before the tests"),
    _not_run(r"pip install torch_npu==\S+ pyyaml", "test/run_tests.sh does it before the tests of the Ascend path"),
    _run(
        r"pip install '?(-e '?)?\.?\S*\[\S+\]'?",
        "test/core/test_wheel.py::test_its_base_has_no_torch_and_its_extras_are_pinned",
    ),
    _not_run(
        r"python -m venv .venv-vot && .*|pip install vot-trax==\S+",
        "test/run_tests.sh does it before the tests with vot-toolkit",
    ),
    _not_run(
        r"pip install --no-deps vot-toolkit==\S+ .*|pip install tqdm six .*",
        "installs from a package registry; the tests have vot-toolkit 0.9.0 in an environment of its own",
    ),
    _not_run(r"pip install triton", "no GPU in the tests"),
    # Containers and tools of vendors.
    _not_run(r"docker build .*", "needs Docker; test/docker/test_docker.py runs the steps of the image for a CPU"),
    _run(
        r"python test/docker/build_without_docker.py cpu \.\./image",
        "test/docker/test_docker.py::test_the_steps_give_an_image_that_works",
    ),
    _not_run(r"msprof .*|aoe .*", _CANN),
    _not_run(r"tensorboard --logdir .*", "opens a page that a person looks at"),
    # Words of a text: a command without its arguments, or with some of them.
    _not_run(
        r"tools/\w+\.py .+|python tools/<name>.py --help|torchrun --\S+ \.\.\.", "a part of a command, in a sentence"
    ),
    # The two first commands, and the tests.
    _run(r"bash test/quickstart.sh", f"{_TOOLS}scripts.py::test_quickstart_fails_runs_resumes_and_reuses"),
    _not_run(r"bash test/run_tests.sh.*", "it runs the tests; continuous integration runs it on a clean checkout"),
    _not_run(r"python -m pytest -m npu", "test/run_tests.sh runs it on simulated NPUs"),
    # Launch scripts.
    _run(r"bash test/train_full_8p.sh --nnodes=2 .*", f"{_TOOLS}launch.py::test_two_machines"),
    _run(
        r"bash test/train_full_8p.sh( --data_path=\S+)?",
        f"{_TOOLS}examples.py::test_eight_cards",
        "test/npu/test_npu_launch.py::test_full_8p_ended_by_max_steps_and_evaluated_on_the_cards",
    ),
    _run(
        r"bash test/train_performance_[18]p.sh.*",
        f"{_TOOLS}launch.py::test_performance_on_several_ranks",
        "test/npu/test_npu_launch.py::test_performance_8p",
    ),
    _run(
        r"bash test/train_full_1p.sh.*|bash test/train_eval_[18]p.sh .*",
        f"{_TOOLS}launch.py::test_full_1p_then_again_then_a_range",
    ),
    _run(
        r'eval "\$\(python test/npu_sim\)"( && bash test/train_full_8p.sh .*)?',
        "test/npu/test_npu_launch.py::test_full_8p_ended_by_max_steps_and_evaluated_on_the_cards",
    ),
    _run(
        r"python test/npu_sim (train.py \.\.\.|torchrun .*|test/npu_sim/tests/\w+.py)",
        "test/npu/test_npu.py::test_the_simulator_is_the_cpu",
    ),
    # Several machines.
    _run(
        r"python tools/prepare_data.py .*(--part \d+/\d+|--merge)",
        "test/datasets/test_parts.py::test_parts_and_merge_equal_one_run",
    ),
    _run(
        r"python par_crop.py 511 \d+ --part \d+/\d+", "test/datasets/test_parts.py::test_par_crop_and_gen_json_in_parts"
    ),
    _run(
        r"sbatch (--gres=gpu:8 )?test/cluster/train.sbatch .*",
        "test/cluster/test_cluster.py::test_training_on_two_nodes_with_slurm",
    ),
    _run(
        r"(PARTS=8 )?sbatch .*test/cluster/prepare.sbatch .*",
        "test/cluster/test_cluster.py::test_preparation_in_an_array_with_slurm",
    ),
    _run(
        r"sbatch .*test/cluster/evaluate.sbatch.*",
        "test/cluster/test_cluster.py::test_evaluation_in_an_array_with_slurm",
    ),
    _not_run(r"export DATASET=\S+ DATASETDIR=\S+ RESULTS=\S+", "names folders for the commands after it"),
    _run(
        r"kubectl apply -f test/cluster/(storage|volcano_train|prepare_job).yaml",
        "test/cluster/test_manifests.py::test_schema",
    ),
    _not_run(r"kubectl (wait|patch) .*", "needs a Kubernetes cluster"),
    # Data.
    _run(
        r"python (training_dataset/\w+/)?par_crop.py 511 \d+.* && python (training_dataset/\w+/)?gen_json.py.*", *_CROPS
    ),
    _run(r"cd training_dataset/\w+ && python par_crop.py .*", *_CROPS),
    _run(r"python (par_crop.py 511 \d+|gen_json.py)( --root \S+)?( --out \.)?( --with-masks)?", *_CROPS),
    _run(
        r"python tools/extract_frames.py .*|python tools/prepare_data.py (csv|cvat) .*|python tools/check_data.py .*",
        "test/datasets/test_prepare_data.py::test_from_a_folder_of_videos_to_a_training_run",
        f"{_TOOLS}examples.py::test_own_data_from_cvat_to_a_tracker",
    ),
    _run(
        r"python tools/prepare_data.py \w+ \S+ .*--with-masks.*",
        "test/datasets/test_prepare_data.py::test_masks_are_prepared_described_and_packed",
    ),
    _run(r"python tools/prepare_data.py .*", "test/datasets/test_prepare_data.py::test_chosen_sequences"),
    _run(
        r"python tools/get_weights.py( [\w ]+)?",
        f"{_TOOLS}get_weights.py::test_a_download_that_is_cut_off_goes_on",
        f"{_TOOLS}get_weights.py::test_the_list",
    ),
    _run(r"python tools/convert_pretrained.py .*", f"{_TOOLS}train.py::test_convert_pretrained"),
    _run(r"python tools/pack_data.py .*", "test/datasets/test_pack.py::test_a_prepared_set_uses_its_pack"),
    # Training.
    _run(r"torchrun --nproc_per_node=\d tools/train.py .*", f"{_TOOLS}train.py::test_two_processes"),
    _run(
        r"(OMP_NUM_THREADS=1 )?python tools/train.py --cfg experiments/siammask\S+ ?.*",
        "test/engine/test_mask_training.py::test_the_refinement_starts_from_the_base_stage",
    ),
    _run(
        r"python tools/train.py .*TRAIN.PROFILE .*",
        "test/engine/test_profile.py::test_the_steps_of_the_window_are_in_the_trace",
        "test/npu/test_npu_profile.py::test_steps_of_the_window_are_recorded_and_results_are_the_same",
    ),
    _run(
        r"python tools/train.py --cfg experiments/nanotrackv3\S+ .*",
        f"{_TOOLS}train.py::test_a_network_without_anchors_trains_and_resumes",
    ),
    _run(r"python tools/train.py .*", f"{_TOOLS}train.py::test_train_resume_track_and_score"),
    # Tracking and scores.
    _run(
        r"python tools/test.py .*--check-against .*",
        f"{_TOOLS}snapshot_config.py::test_results_are_compared_with_published_ones",
    ),
    _run(r"python tools/test.py --engine .*", f"{_TOOLS}engine_commands.py::test_results_are_those_of_the_snapshot"),
    _run(
        r"python tools/test.py .*--dataset (DAVIS\d+) .*",
        f"{_TOOLS}objects_commands.py::test_davis_is_tracked_drawn_and_scored",
    ),
    _run(r"python tools/test.py .*", f"{_TOOLS}track.py::test_a_set_is_tracked_kept_drawn_and_scored"),
    _run(
        r"python tools/eval.py .*",
        f"{_TOOLS}eval.py::test_table_and_json_without_torch",
        f"{_TOOLS}eval.py::test_a_report_of_the_command",
    ),
    _run(r"python tools/make_vot_set.py .*", "test/datasets/raw/test_vot_export.py::test_the_command"),
    _run(r"python tools/hp_search.py .*", f"{_TOOLS}hp_search.py::test_results_equal_those_of_the_test_tool"),
    _not_run(
        r"python tools/demo.py --engine \S+ --provider om.*",
        "needs an Ascend chip; test/deploy/test_om_engine.py has the engine with a stand-in for it",
    ),
    _run(r"python tools/demo.py --engine .*", f"{_TOOLS}engine_commands.py::test_the_demo"),
    _run(r"python tools/demo.py .*", f"{_TOOLS}demo.py::test_one_target"),
    _run(
        r"python tools/vot_workspace.py .*|\.venv-vot/bin/vot .*",
        f"{_TOOLS}vot_workspace.py::test_results_are_those_of_test_py",
    ),
    _not_run(r"python test/byte_checks.py .*", "for developers: compares two commits, with the team's data"),
    # Results.
    _run(
        r"python tools/reproduce.py( \w+-VOT2018)? --verify .*|python tools/reproduce.py nanotrackv3-VOT2018 .*",
        f"{_TOOLS}reproduce.py::test_a_published_tracker",
        f"{_TOOLS}reproduce.py::test_verification",
    ),
    _run(r"python tools/reproduce.py", f"{_TOOLS}reproduce.py::test_the_list"),
    _run(
        r"python tools/reproduce.py (quickstart|siamrpn_mobilev2_small)( --seeds [\d,]+)?",
        f"{_TOOLS}reproduce.py::test_quickstart_leaves_everything_in_one_folder",
    ),
    _run(
        r"python tools/reproduce.py siamrpn_r50_l234_dwxcorr_8gpu\S* .*",
        f"{_TOOLS}reproduce.py::test_the_published_run_on_eight_cards",
    ),
    # Export.
    _run(r"python tools/export.py .*--format om .*", "test/deploy/test_ascend.py::test_script_by_hand"),
    _run(r"python tools/export.py .*", "test/deploy/test_export_tool.py::test_the_command"),
    # The machine.
    _run(
        r"python tools/doctor.py( --run)?",
        f"{_TOOLS}doctor_tool.py::test_a_machine_that_is_ready",
        "test/npu/test_npu_launch.py::test_doctor",
    ),
    _run(r"python tools/check_device.py( --minutes 6)?", f"{_TOOLS}check_device.py::test_the_short_form_on_a_cpu"),
    # Examples.
    _run(r"bash tools/examples/own_data.sh .*", f"{_TOOLS}examples.py::test_own_data_from_cvat_to_a_tracker"),
    _run(r"python tools/examples/other_tracker.py .*", f"{_TOOLS}examples.py::test_a_tracker_of_another_repository"),
    _run(r"bash tools/examples/compare_checkpoints.sh .*", f"{_TOOLS}examples.py::test_two_checkpoints_compared"),
    _run(r"bash tools/examples/train_8_cards.sh .*", f"{_TOOLS}examples.py::test_eight_cards"),
    _run(r"bash tools/examples/deploy.sh .*", f"{_TOOLS}examples.py::test_deploy"),
    # Benchmarks.
    _run(r"python tools/benchmark.py train .*", f"{_TOOLS}benchmark.py::test_train"),
    _run(r"python tools/benchmark.py scale .*", f"{_TOOLS}benchmark.py::test_scale"),
    _run(r"python tools/benchmark.py xcorr .*", f"{_TOOLS}benchmark.py::test_xcorr"),
    _run(r"python tools/benchmark.py hp-search .*", f"{_TOOLS}benchmark.py::test_hp_search"),
    _run(
        r"(OMP_NUM_THREADS=1 taskset -c 0 )?python tools/benchmark.py (loader|prepare|eval) .*",
        f"{_TOOLS}benchmark.py::test_data_of_its_own",
    ),
    _run(r"python tools/benchmark.py track( .*)?", "test/benchmarks/test_tracking_speed.py::test_rows"),
    _run(
        r"python tools/benchmark.py test( .*)?|python -m pysot.benchmarks.plain_test",
        "test/benchmarks/test_set_speed.py::test_rows",
    ),
    _run(r"python tools/benchmark.py deploy .*", "test/benchmarks/test_deploying.py::test_rows"),
    _not_run(
        r"python tools/benchmark.py (index|eval-many) .*",
        "makes data of published sizes; minutes even in the smallest form",
    ),
]


def commands_of(page: Path) -> list[str]:
    """Return the commands in the blocks of code of a page, and those in its prose that name a script or program."""
    found = []
    for section in sections(page.read_text(encoding="utf-8")):
        for language, lines in section.blocks:
            if language in ("", "bash", "sh"):
                found += _commands_of_block(lines)
        for code in re.findall(r"`([^`]+)`", " ".join(section.prose)):
            if _MARK.match(code) and not code.endswith((".py", ".sh")) or re.match(r"(python|bash) \S+", code):
                found.append(code)
    return found


def _commands_of_block(lines: list[str]) -> list[str]:
    joined = re.sub(r" *\\\n *", " ", "\n".join(lines)).splitlines()
    commands = [re.sub(r" +", " ", without_comment(line)).removeprefix("$ ").strip() for line in joined]
    commands = [re.sub(r"^\w+=\$\((.*)\)$", r"\1", command) for command in commands]  # the output in a variable
    return [command for command in commands if _is_command(command)]


def _is_command(line: str) -> bool:
    first = re.sub(r"^([A-Z_]+=\S+ )+", "", line).split(" ")[0]
    return first in _PROGRAMS or first.startswith(".venv")


def rule_of(command: str) -> Rule | None:
    """Return the first rule that matches a command."""
    return next((rule for rule in RULES if re.fullmatch(rule.pattern, command)), None)

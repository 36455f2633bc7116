"""Track a data set with the plain tracker and score the results, the baseline of `tools/benchmark.py test`.

python -m pysot.benchmarks.plain_test --config experiments/<name>/config.yaml --dataset VOT2018 --results_dir FOLDER

It does what tools/test.py does with one target per process. Protocol, result files and scores are those of the toolkit;
its threads decode frames ahead for this tracker too.
"""

import argparse
import functools
import logging
from pathlib import Path

import torch

from pysot.benchmarks.case_builder import build_plain_tracker, read_case
from pysot.benchmarks.plain_tracker import PlainTracker
from pysot.models.model_builder import build_model
from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.experiments.parallel import run_in_processes
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.report.summary import score_text
from pysot.utils.device import seed_everything
from pysot.utils.device_builder import open_device
from pysot.utils.model_load import load_pretrain

logger = logging.getLogger(__name__)


def build_in_process(config: str, opts: list[str], device_name: str, snapshot: str | None, number: int) -> PlainTracker:
    """Build the tracker of process `number`; without a snapshot its weights are those of an untrained tools/test.py."""
    case = read_case(config, opts)
    device = open_device(device_name, case.cfg)
    if device.type == "cpu":
        torch.set_num_threads(1)
    seed_everything(0)
    model = build_model(case.cfg)
    if snapshot:
        load_pretrain(model, snapshot)
    return build_plain_tracker(model.to(device), case.cfg)


def main() -> None:
    """Run the command. Raises RuntimeError if a video failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--snapshot")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--datasetdir", default="testing_dataset")
    parser.add_argument("--results_dir", required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--opts", nargs=argparse.REMAINDER, default=[])
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    dataset = load_dataset(args.dataset, args.datasetdir)
    folder = Path(args.results_dir) / dataset.name / (Path(args.snapshot).stem if args.snapshot else "untrained")
    build = functools.partial(build_in_process, args.config, args.opts, args.device, args.snapshot)
    failed = run_in_processes(build, args.workers, dataset, folder).failed
    if failed:
        raise RuntimeError(f"videos failed: {failed}")
    if not dataset.hidden_truth:
        logger.info("%s", score_text(score_trackers(dataset, [folder]), spread=True))


if __name__ == "__main__":
    main()

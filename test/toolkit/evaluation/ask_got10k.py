"""Print the report of a got10k experiment on a set and a tracker's results, as a line of JSON.

test_got10k.py executes it in an environment with got10k.
"""

import json
import sys

import matplotlib

matplotlib.use("Agg")

from got10k.experiments import ExperimentDTB70, ExperimentGOT10k  # noqa: E402

name, root, results, tracker, reports = sys.argv[1:]
experiment = {"GOT-10k": ExperimentGOT10k, "DTB70": ExperimentDTB70}[name](root)
experiment.result_dir, experiment.report_dir = results, reports
print(json.dumps(experiment.report([tracker])[tracker]))

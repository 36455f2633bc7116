"""Stand-in of ATC: records its arguments, and writes an .om that the stand-in of ais_bench computes.

The arguments are appended to calls.json beside the .om. With ATC_FAILS in its environment it prints 30 lines and fails.
"""

import json
import os
import sys
from pathlib import Path

if os.environ.get("ATC_FAILS"):
    for number in range(30):
        print(f"E{number}: no kernel")
    sys.exit(1)
options = dict(argument.removeprefix("--").split("=", 1) for argument in sys.argv[1:])
record = Path("calls.json")
calls = json.loads(record.read_text()) if record.is_file() else []
record.write_text(json.dumps([*calls, options]))
aipp: dict[str, str] = {}
if "insert_op_conf" in options:
    lines = Path(options["insert_op_conf"]).read_text().splitlines()
    aipp = dict(line.strip().split(": ") for line in lines if ": " in line)
batches = options.get("dynamic_batch_size", "")
content = {
    "model": options["model"],
    "shapes": [[int(size) for size in each.split(":")[1].split(",")] for each in options["input_shape"].split(";")],
    "batches": [int(batch) for batch in batches.split(",")] if batches else [],
    "aipp": aipp,
}
Path(f"{options['output']}.om").write_text(json.dumps(content))
print("ATC run success")

#!/usr/bin/env bash
# Train on one node of several: bash test/cluster/train_node.sh NODES NODE HOST PORT FOLDER [--name=value ...]
# NODE counts from 0; HOST is node 0, whose PORT must be free. Node 0 writes snapshots, logs and scores to FOLDER, the
# others only logs, to FOLDER/node<NODE>. Further arguments are those of test/train_full_8p.sh.
# The same command goes on from the last snapshot.
set -euo pipefail
REPO="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
[ "$#" -ge 5 ] || { echo "usage: bash $0 NODES NODE HOST PORT FOLDER [--name=value ...]" >&2 && exit 2; }
nodes="$1" node="$2" host="$3" port="$4" folder="$5"
shift 5
[ "$node" -eq 0 ] || folder="$folder/node$node"
exec bash "$REPO/test/train_full_8p.sh" --nnodes="$nodes" --node_rank="$node" --master_addr="$host" \
    --master_port="$port" --output_path="$folder" "$@"

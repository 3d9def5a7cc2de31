#!/bin/bash
# A sweep on many machines of a SLURM cluster, without Dask: each task of the array computes its own part, whichever
# task comes last completes the result. Killed, timed out or requeued tasks lose the unit they were at: submit again.
#
#   sbatch --array=1-16 examples/cluster/slurm_array.sh ZOO.zarr OUT.zarr --keep reduced
#
#SBATCH --job-name=taskvec
#SBATCH --cpus-per-task=8
#SBATCH --mem=8G
#SBATCH --time=02:00:00
#SBATCH --requeue
set -euo pipefail
zoo=$1 out=$2
shift 2
exec taskvec sweep "$zoo" -o "$out" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --progress off "$@"

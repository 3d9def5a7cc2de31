#!/bin/bash
# A sweep by Dask workers within one SLURM job: one worker a task, with all cores of the task.
#
#   sbatch --ntasks=16 examples/cluster/slurm_dask.sh ZOO.zarr OUT.zarr --keep reduced
#
#SBATCH --job-name=taskvec
#SBATCH --cpus-per-task=8
#SBATCH --mem-per-cpu=1G
#SBATCH --time=02:00:00
set -euo pipefail
zoo=$1 out=$2
shift 2
file=$PWD/scheduler-$SLURM_JOB_ID.json
trap 'rm -f "$file"; kill $(jobs -p) 2>/dev/null || true' EXIT
dask scheduler --scheduler-file "$file" --no-dashboard &
srun dask worker --scheduler-file "$file" --nthreads 1 --memory-limit 0 --no-dashboard &
until [ -s "$file" ]; do sleep 0.2; done
taskvec sweep "$zoo" -o "$out" --scheduler "$file" "$@"

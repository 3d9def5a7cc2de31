#!/bin/bash
# A sweep by Dask workers on machines that ssh reaches and that see the same folders; HOSTS is a file of their names.
#
#   examples/cluster/ssh.sh HOSTS ZOO.zarr OUT.zarr --keep reduced
#
set -euo pipefail
hosts=$1 zoo=$2 out=$3
shift 3
port=${PORT:-8786} ssh=${SSH:-ssh}
address=tcp://$(hostname -f):$port
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
dask scheduler --port "$port" --no-dashboard &
while read -r host; do
  # -tt: the worker ends with the connection
  $ssh -tt "$host" "cd '$PWD' && dask worker $address --nthreads 1 --memory-limit 0 --no-dashboard" </dev/null &
done <"$hosts"
taskvec sweep "$zoo" -o "$out" --scheduler "$address" "$@"

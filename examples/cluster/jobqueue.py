"""A sweep by workers that dask-jobqueue submits to SLURM while it runs: ``pip install 'taskvec[dask]' dask-jobqueue``.

python examples/cluster/jobqueue.py ZOO.zarr OUT.zarr
"""

import sys

from dask_jobqueue import SLURMCluster

import taskvec
from taskvec.workers.dask import Dask

# one unit at a time (cores=1), computed with the eight cores that SLURM gives (job_cpu)
cluster = SLURMCluster(cores=1, job_cpu=8, memory="8GB", walltime="02:00:00", worker_extra_args=["--memory-limit", "0"])
cluster.adapt(maximum_jobs=16)
zoo, out = sys.argv[1:]
taskvec.sweep(zoo, out, keep="reduced", engine=Dask(scheduler=cluster.scheduler_address), progress="auto")

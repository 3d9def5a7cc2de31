"""Who computes the units of a sweep in the place of this process: workers of a Dask cluster, or one shard of many."""

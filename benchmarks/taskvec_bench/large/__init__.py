"""What sweeps of thousands take: time, memory, faults. ``python -m taskvec_bench.large``"""

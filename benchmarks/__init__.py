"""Benchmarks of siftgrad against its peers, in one process run, threads equal: `python -m benchmarks`.

Each script prints a table and writes results/<name>.json: every raw sample, the machine, the versions.
"""

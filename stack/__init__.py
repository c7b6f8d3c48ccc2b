"""The embedded services and processes behind `make up`, and the small commands of `powernode`.

In production only `serve`, `migrate` and `worker_alive` run; the rest is for one person's machine and for tests.
"""

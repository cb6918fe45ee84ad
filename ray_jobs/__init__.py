"""WHERE and WHEN: the only folder that imports ray. `python -m ray_jobs --help` lists the jobs."""

"""Tiny random-weight checkpoints of the families that the backends load, one module a family.

What a reader gets wrong: nothing here is a mock. Each is the upstream architecture at toy size, saved by the
library's own `save_pretrained`; a backend loads it as it loads the real weights.
"""

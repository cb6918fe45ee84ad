"""Small real models and classical algorithms that run on a CPU without any download at run time."""

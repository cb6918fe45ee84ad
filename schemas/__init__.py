"""WHAT a sample is: columns, gates, verdicts, manifest and release layout. No ray, no torch."""

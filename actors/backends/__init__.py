"""Implementations of the roles, one file a model family; heavy libraries are imported here only."""

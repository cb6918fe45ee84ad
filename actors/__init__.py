"""HOW a sample changes: one module a stage, roles, operations on arrays, backends."""

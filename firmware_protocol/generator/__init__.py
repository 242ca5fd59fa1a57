"""Everything that is generated from the spec: one module a language."""

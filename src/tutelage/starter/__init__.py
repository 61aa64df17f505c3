"""A first configuration for a table: what its columns are, which family fits, and the YAML."""

"""Templates of other projects: read as data, rendered in a limited child process."""

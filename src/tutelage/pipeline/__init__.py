"""The stages in order: prepare, baseline, train, evaluate, report."""

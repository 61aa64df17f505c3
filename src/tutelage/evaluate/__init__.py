"""Answers of every arm, their scores with intervals, and the verdict."""

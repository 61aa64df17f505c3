"""What a task is, where its rows come from, and the built-in tasks."""

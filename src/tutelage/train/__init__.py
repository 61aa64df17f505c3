"""Training: the plan, the step, the loop, and checkpoints that survive anything."""

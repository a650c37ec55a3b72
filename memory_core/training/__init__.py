"""Training: one loop for whatever is learnt, checkpoints that resume exactly, a guard against NaN, runs of tasks."""

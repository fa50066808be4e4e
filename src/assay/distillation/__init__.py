"""Distillation: many teachers' predictions and a few DFT labels made into the training set of one student."""

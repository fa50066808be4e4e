"""Every method on one potential and the same frames: which ranks, which flags, whose error bars hold, at what cost."""

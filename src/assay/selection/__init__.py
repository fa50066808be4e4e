"""Which frames or atoms to label next: one file per technique, `(array, n, …) → indices` and what each adds."""

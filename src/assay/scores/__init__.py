"""How far from home a prediction is. One file per method; bigger is less trustworthy."""

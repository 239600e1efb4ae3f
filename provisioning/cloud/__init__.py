"""Clouds behind one Protocol: what they show, how they fail, and the drivers that `connect` picks from."""

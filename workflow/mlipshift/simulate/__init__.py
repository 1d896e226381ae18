"""Molecules in motion: batched dynamics and what is observed in them, energy surfaces, bonds that are stretched.

It imports base, catalogue, data, shift, prior, labelling, learn and mitigate.
"""

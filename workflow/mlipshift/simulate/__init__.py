"""Molecules in motion: batched dynamics of what this workflow trains, and what is observed in them.

It imports base, catalogue, data, shift, prior, learn and mitigate.
"""

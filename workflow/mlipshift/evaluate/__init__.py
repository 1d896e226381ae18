"""Predictions against reference labels: statistics, comparisons, diagnosis, published values.

It imports base, catalogue, shift and mitigate; no network, no engine.
"""

"""Predictions against reference labels: statistics, comparisons, diagnosis, published values.

It imports base, shift and mitigate; no network, no engine. What it knows of methods is given to it.
"""

"""A run of the workflow: configuration, console, locks, run records, and which module re-runs which rule.

It imports base and catalogue, and none of the stages.
"""

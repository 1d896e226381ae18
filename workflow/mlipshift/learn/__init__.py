"""The networks trained here: backbones, training by strategy, and Potential, which predicts what a strategy promises.

It imports base, catalogue, data and shift.
"""

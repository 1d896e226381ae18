"""Molecules in motion: dynamics, and what tells of it beforehand, energy surfaces and bonds that are stretched.

It imports base, catalogue, data, shift, prior, labelling, learn, mitigate and external.
"""

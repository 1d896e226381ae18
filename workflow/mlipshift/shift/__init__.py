"""How far a structure lies from the training data: radius graphs, Laplacian spectra, measures of shift.

It imports base and catalogue.
"""

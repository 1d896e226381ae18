"""Models from elsewhere behind one call: registry, capability, one module per family.

It imports base, catalogue, data, shift, learn and mitigate.
"""

"""What can be done at test time: radius refinement, test-time training, distillation, and which of them to choose.

It imports base, catalogue, data, shift and learn.
"""

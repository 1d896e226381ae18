"""Labels of a cheap, general method: one module per engine.

It imports base and catalogue. Never import an xTB engine in a process with torch: their OpenMP runtimes clash.
"""

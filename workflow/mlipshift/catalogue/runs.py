"""What tables and figures say of a run of dynamics: the columns that tell one from another, how a radius moves."""

RUN = (
    *("molecule", "run", "model", "scheme", "geometries", "on_the_fly", "corrected"),
    *("forces", "ensemble", "precision"),
)
# how the radius of a graph moves along a trajectory: what it is called
FIXED, FRAME, SMOOTH = "fixed", "frame", "smooth"
MOVING = {FIXED: "fixed", FRAME: "chosen at every step", SMOOTH: "follows smoothly"}

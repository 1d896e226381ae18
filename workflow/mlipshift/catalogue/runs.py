"""What tables and figures say of a run of dynamics, by the columns that tell one from another."""

RUN = (
    *("molecule", "run", "model", "scheme", "geometries", "on_the_fly", "corrected"),
    *("forces", "ensemble", "precision"),
)

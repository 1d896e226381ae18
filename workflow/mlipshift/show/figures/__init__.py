"""One module per figure, of its name: NEEDS, the columns of its tables, and draw(); the others hold shared parts."""

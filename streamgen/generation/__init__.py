"""Generation: the process that runs the model, its stages and its schedule."""

"""Studies of trained nets: grids of recipes, what is measured on them, and their figures."""

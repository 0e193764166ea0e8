"""Good files of every kind, ways to spoil them, and what reads them."""

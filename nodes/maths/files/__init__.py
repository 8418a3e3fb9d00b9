"""The files that predictions are saved in, and those that the Explorer's page reads."""

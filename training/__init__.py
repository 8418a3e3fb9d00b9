"""Training the bundled model from nothing, on the scenes that `bundled` draws."""

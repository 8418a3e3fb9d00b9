"""What the definitions of several nodes share: their inputs, and the checks of what comes in by them."""

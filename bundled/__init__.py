"""The drawn scenes whose truth is known, and in `model` the small model that was trained on them."""

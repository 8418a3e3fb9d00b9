"""The bundled example: drawn scenes whose truth is known, and the small model that is trained on them."""

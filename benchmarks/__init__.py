"""How true the maps are, measured on scenes whose truth is known, beside other methods."""

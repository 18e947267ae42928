"""Values of intensities, and samples drawn from them."""

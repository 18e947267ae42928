"""Events on the host: tables, weights, binning, files. Nothing here knows of devices or of physics."""

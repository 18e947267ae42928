"""Physics as pure functions of arrays: no compilation, no state, no devices."""

"""The one place that knows devices: placing events, sums over events, values per event."""

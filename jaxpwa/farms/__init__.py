"""Many independent tasks at once: in processes of this machine, or wherever an executor runs them."""

"""PyPWA's names on top of jaxpwa."""

"""From events and a model to a fit: parameters, costs, minimisation, results."""

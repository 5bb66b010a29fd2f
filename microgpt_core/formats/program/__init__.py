"""A trained model as one Python file: formulas, model, sampling and weights, in nothing but Python."""

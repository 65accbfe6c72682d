"""How good a model is: the field's protocols on labelled photos, and what a threshold means on unlabelled ones."""

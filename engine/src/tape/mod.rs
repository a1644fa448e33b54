//! Straight-line code of a model.

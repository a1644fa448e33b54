//! Derivatives of models.

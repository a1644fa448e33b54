//! Covariance of the parameters at the solution.

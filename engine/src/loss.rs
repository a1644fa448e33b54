//! Robust losses, in SciPy's convention: cost = 1/2 S^2 sum rho(z), z = (r/S)^2, S the loss scale.

use serde::{Deserialize, Serialize};

/// The shape of a loss.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// rho(z) = z: ordinary least squares.
    #[default]
    Linear,
    /// rho(z) = 2 (sqrt(1 + z) - 1): smooth, linear in |r| far out.
    SoftL1,
    /// rho(z) = z for z <= 1, 2 sqrt(z) - 1 beyond.
    Huber,
    /// rho(z) = ln(1 + z).
    Cauchy,
    /// rho(z) = arctan(z): bounded.
    Arctan,
    /// rho(z) = (1 - (1 - z)^3)/3 for z <= 1, 1/3 beyond: the biweight of Beaton & Tukey (Technometrics 16 (1974) 147). A
    /// point beyond S has no pull at all, so the scale must fit the noise and the start must not be far.
    Tukey,
}

impl LossKind {
    /// All kinds with the names used in job files and flags.
    pub const NAMES: [(&'static str, LossKind); 6] = [
        ("linear", LossKind::Linear),
        ("soft_l1", LossKind::SoftL1),
        ("huber", LossKind::Huber),
        ("cauchy", LossKind::Cauchy),
        ("arctan", LossKind::Arctan),
        ("tukey", LossKind::Tukey),
    ];

    /// `[rho, rho', rho'']` at z >= 0. At z = 0 every loss gives rho = 0, rho' = 1.
    pub fn rho(self, z: f64) -> [f64; 3] {
        match self {
            LossKind::Linear => [z, 1.0, 0.0],
            LossKind::SoftL1 => {
                let t = 1.0 + z;
                let root = crate::math::sqrt(t);
                // 2 (sqrt(t) - 1) without the cancellation near z = 0
                [2.0 * z / (root + 1.0), 1.0 / root, -0.5 / (t * root)]
            }
            LossKind::Huber => {
                if z <= 1.0 {
                    [z, 1.0, 0.0]
                } else {
                    let root = crate::math::sqrt(z);
                    [2.0 * root - 1.0, 1.0 / root, -0.5 / (z * root)]
                }
            }
            LossKind::Cauchy => {
                let t = 1.0 + z;
                [crate::math::log1p(z), 1.0 / t, -1.0 / (t * t)]
            }
            LossKind::Arctan => {
                let t = 1.0 + z * z;
                [crate::math::atan(z), 1.0 / t, -2.0 * z / (t * t)]
            }
            LossKind::Tukey => {
                // no branch: beyond z = 1 what is left of the pull is 0
                let left = (1.0 - z).max(0.0);
                // (1 - (1 - z)^3)/3 without the cancellation near z = 0
                let within = z.min(1.0);
                [within * (1.0 - within + within * within / 3.0), left * left, -2.0 * left]
            }
        }
    }

    /// Whether `rho' + 2 z rho''` falls below 0: far points then pull less the farther they are.
    pub fn bends_down(self) -> bool {
        matches!(self, LossKind::Cauchy | LossKind::Arctan | LossKind::Tukey)
    }

    /// The scale, in standard deviations of normal noise, at which a fit has 95 % of the efficiency of least squares
    /// (Huber & Ronchetti, Robust Statistics, 2009, 4.5: (E psi')^2 / E psi^2 = 0.95); 1 for the linear loss, which has none.
    pub fn efficient_scale(self) -> f64 {
        match self {
            LossKind::Linear => 1.0,
            LossKind::SoftL1 => 1.287_099,
            LossKind::Huber => 1.344_998,
            LossKind::Cauchy => 2.384_947,
            LossKind::Arctan => 2.571_401,
            LossKind::Tukey => 4.685_065,
        }
    }
}

/// A loss with its scale S, the residual (in units of sigma) beyond which it bends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Loss {
    /// Its shape.
    pub kind: LossKind,
    /// S > 0.
    pub scale: f64,
}

impl Default for Loss {
    fn default() -> Self {
        Self { kind: LossKind::Linear, scale: 1.0 }
    }
}

//! What can be chosen about a fit, checked before the first pass.

use crate::loss::{Loss, LossKind};
use crate::params::Parameters;

/// How the minimum is sought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum Method {
    /// What the problem needs: the bounded trust region of `trf`, and from a start that proves difficult the phases of
    /// [`crate::hybrid`].
    #[default]
    Hybrid,
    /// Levenberg-Marquardt as Moré defined it and MINPACK has it, first radius included: no bounds, no loss but linear.
    Lm,
    /// A trust region with bounds by an active set, a short first step, corrections of rejected trials and secant
    /// curvature, from the first pass on.
    Trf,
    /// A search of the whole box first ([`crate::explore::Evolution`]), then a fit from its best point.
    Global,
}

impl Method {
    /// Whether a second descent and a warm-up may come to its aid; the others are what their names say and no more.
    pub fn has_phases(self) -> bool {
        matches!(self, Method::Hybrid | Method::Global)
    }

    /// All methods with the names used in job files and flags.
    pub const NAMES: [(&'static str, Method); 4] =
        [("hybrid", Method::Hybrid), ("lm", Method::Lm), ("trf", Method::Trf), ("global", Method::Global)];
}

/// How a step is found inside the radius.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum Descent {
    /// By damping: the step that minimises the model inside the radius.
    #[default]
    Lm,
    /// On the path of two legs, along the gradient and on to the Gauss-Newton step. One factorisation a step.
    Dogleg,
}

impl Descent {
    /// Both with the names used in job files.
    pub const NAMES: [(&'static str, Descent); 2] = [("lm", Descent::Lm), ("dogleg", Descent::Dogleg)];
}

/// When to stop, and how to seek. Tolerances are relative and scale-free; 0 switches a test off.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Options {
    /// How the minimum is sought.
    pub method: Method,
    /// Converged when an accepted step that nothing cut has `|D s| <= xtol |D theta|` and every gradient cosine is small.
    pub xtol: f64,
    /// Converged when the full Gauss-Newton step from an accepted point promises `sqrt(2 predicted) <= ftol sqrt(2 cost)`
    /// and every gradient cosine is small.
    pub ftol: f64,
    /// Converged when `|g_j| <= gtol |J_j| sqrt(2 cost)` for every parameter free to move, at an accepted point.
    pub gtol: f64,
    /// Passes allowed, at least 1. With all tolerances 0 exactly so many are run.
    pub max_passes: u64,
    /// How a step is found inside the radius.
    pub descent: Descent,
    /// First radius, relative to `|D theta|`, or absolute where theta is 0; none: what has proved good for the method.
    pub first_radius: Option<f64>,
    /// The damping never falls below this, in units of the squares of the columns' lengths. 0: Gauss-Newton steps near the
    /// minimum. The minimum does not depend on it, the way there does.
    pub regularization: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            method: Method::Hybrid,
            xtol: 1e-10,
            ftol: 1e-10,
            gtol: 1e-10,
            max_passes: 200,
            descent: Descent::Lm,
            first_radius: None,
            regularization: 0.0,
        }
    }
}

/// Why options were refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)]
pub enum OptionsError {
    #[error("method \"lm\" takes no bounds, but parameter \"{name}\" has [{min}, {max}]; use \"hybrid\" or \"trf\"")]
    LmWithBounds { name: String, min: f64, max: f64 },
    #[error("method \"lm\" takes no loss but linear, found \"{loss}\"; use \"hybrid\" or \"trf\"")]
    LmWithLoss { loss: &'static str },
    #[error("{name} = {value}: expected a finite number, 0 (test off) or above")]
    Tolerance { name: &'static str, value: f64 },
    #[error("the linear loss has no scale to estimate; expected a robust loss, or no \"mad\" as its scale")]
    ScaleOfLinear,
    #[error("method \"lm\" finds its steps by damping, found the descent \"dogleg\"; use \"hybrid\" or \"trf\"")]
    LmWithDogleg,
    #[error("{name} = {value}: expected a finite number above 0")]
    Length { name: &'static str, value: f64 },
    #[error("{name} = 0: expected 1 or above")]
    Zero { name: &'static str },
    #[error("{starts} starts compete without a warm-up, found warm_up \"always\"; expected \"auto\" or \"never\"")]
    StartsWithWarmUp { starts: usize },
    #[error(
        "method global refines its best point without a warm-up, found warm_up \"always\"; expected \"auto\" or \"never\""
    )]
    GlobalWithWarmUp,
    #[error(
        "max_passes = {max_passes}: estimating the scale of the loss takes a pass, finding where to start another, and the point \
         found one more; expected {least} or more"
    )]
    FewPasses { max_passes: u64, least: u64 },
    #[error("max_passes = 0: at least one pass is needed to evaluate the start")]
    NoPasses,
    #[error("starts = 0: at least one start is needed, p0")]
    NoStarts,
    #[error(
        "starts = {starts}: method \"global\" draws starts of its own; use starts with \"hybrid\", \"trf\" or \"lm\""
    )]
    StartsWithGlobal { starts: usize },
    #[error(transparent)]
    Unbounded(#[from] crate::explore::Unbounded),
}

impl Options {
    /// Refuses what contradicts itself or the problem.
    pub fn check(&self, parameters: &Parameters, loss: &Loss) -> Result<(), OptionsError> {
        for (name, value) in
            [("xtol", self.xtol), ("ftol", self.ftol), ("gtol", self.gtol), ("regularization", self.regularization)]
        {
            if !(value.is_finite() && value >= 0.0) {
                return Err(OptionsError::Tolerance { name, value });
            }
        }
        if let Some(value) = self.first_radius.filter(|radius| !(radius.is_finite() && *radius > 0.0)) {
            return Err(OptionsError::Length { name: "first radius", value });
        }
        if self.max_passes == 0 {
            return Err(OptionsError::NoPasses);
        }
        if self.method != Method::Lm {
            return Ok(());
        }
        if self.descent == Descent::Dogleg {
            return Err(OptionsError::LmWithDogleg);
        }
        if let Some(p) = parameters.iter_free().find(|p| p.min > f64::NEG_INFINITY || p.max < f64::INFINITY) {
            return Err(OptionsError::LmWithBounds { name: p.name.clone(), min: p.min, max: p.max });
        }
        if loss.kind != LossKind::Linear {
            let known = LossKind::NAMES.iter().find(|(_, kind)| *kind == loss.kind);
            return Err(OptionsError::LmWithLoss { loss: known.map_or("", |(name, _)| *name) });
        }
        Ok(())
    }

    /// Every test is off: all passes are run, whatever happens.
    pub(crate) fn endless(&self) -> bool {
        self.xtol == 0.0 && self.ftol == 0.0 && self.gtol == 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Parameter;

    fn parameters(min: f64, fixed: bool) -> Parameters {
        let free = Parameter { name: "a".into(), start: 1.0, min: f64::NEG_INFINITY, max: f64::INFINITY, fixed: false };
        Parameters::new(vec![free.clone(), Parameter { name: "b".into(), min, fixed, ..free }]).unwrap()
    }

    #[test]
    fn lm_refuses_bounds_of_free_parameters_and_robust_losses() {
        let lm = Options { method: Method::Lm, ..Options::default() };
        let linear = Loss::default();
        assert_eq!(lm.check(&parameters(f64::NEG_INFINITY, false), &linear), Ok(()));
        assert_eq!(lm.check(&parameters(0.0, true), &linear), Ok(()), "a fixed parameter's bounds do nothing");
        let error = lm.check(&parameters(0.0, false), &linear).unwrap_err();
        assert_eq!(
            error.to_string(),
            "method \"lm\" takes no bounds, but parameter \"b\" has [0, inf]; use \"hybrid\" or \"trf\""
        );
        let huber = Loss { kind: LossKind::Huber, scale: 1.0 };
        let error = lm.check(&parameters(f64::NEG_INFINITY, false), &huber).unwrap_err();
        assert_eq!(error, OptionsError::LmWithLoss { loss: "huber" });
        let dogleg = Options { descent: Descent::Dogleg, ..lm.clone() };
        assert_eq!(dogleg.check(&parameters(f64::NEG_INFINITY, false), &linear), Err(OptionsError::LmWithDogleg));
        let trf = Options { method: Method::Trf, ..Options::default() };
        assert_eq!(trf.check(&parameters(0.0, false), &huber), Ok(()));
    }

    #[test]
    fn tolerances_and_passes_must_make_sense() {
        let check = |options: Options| options.check(&parameters(0.0, false), &Loss::default());
        for bad in [-1e-3, f64::NAN, f64::INFINITY] {
            assert!(matches!(
                check(Options { ftol: bad, ..Options::default() }),
                Err(OptionsError::Tolerance { name: "ftol", .. })
            ));
        }
        assert_eq!(check(Options { max_passes: 0, ..Options::default() }), Err(OptionsError::NoPasses));
        assert_eq!(check(Options { gtol: 0.0, ..Options::default() }), Ok(()));
    }
}

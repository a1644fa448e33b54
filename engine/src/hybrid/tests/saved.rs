//! Every phase, told and read back after every pass: what goes on from there asks the same questions, to the last bit.

use super::*;
use crate::explore::{GlobalOptions, StartsOptions};
use crate::hybrid::warm_up::{Descent as WarmUpDescent, WarmUpOptions};
use crate::loss::LossKind;
use crate::minimize::{self, Descent, Method};
use crate::saved::tests::again;
use crate::saved::{Sound as _, from_bytes, to_bytes};

/// A decay with noise and some points far off, fitted from a start that is not near.
fn points() -> Points {
    let noise = |k: usize| ((k * 7_919 % 1_009) as f64 / 1_009.0 - 0.5) * 0.2;
    let t: Vec<f64> = (0..240).map(|k| k as f64 / 60.0).collect();
    let off = |k: usize| if k % 11 == 3 { 3.0 } else { 0.0 };
    let y = t.iter().enumerate().map(|(k, t)| 5.0 * (-1.3 * t).exp() + 1.0 + noise(k) + off(k)).collect();
    Points::new("a*exp(-b*t) + c", t, y)
}

fn parameters() -> Parameters {
    let bounds = [("a", 1.0, 0.1, 20.0), ("b", 4.0, 0.01, 10.0), ("c", 0.0, -5.0, 5.0)];
    let of =
        |(name, start, min, max): (&str, f64, f64, f64)| Parameter { name: name.into(), start, min, max, fixed: false };
    Parameters::new(bounds.map(of).into()).unwrap()
}

fn cases() -> Vec<(&'static str, Options)> {
    let default = Options::default;
    let loss = |kind| Costing { loss: Loss { kind, scale: 0.3 }, ..Costing::default() };
    let method = |method| minimize::Options { method, ..minimize::Options::default() };
    let warm = |descent| Options {
        warm_up: WarmUpRule::Always,
        warming: WarmUpOptions { descent, max_iterations: 12, ..WarmUpOptions::default() },
        ..default()
    };
    let dogleg = minimize::Options { descent: Descent::Dogleg, ..minimize::Options::default() };
    let endless = minimize::Options { xtol: 0.0, ftol: 0.0, gtol: 0.0, max_passes: 25, ..minimize::Options::default() };
    vec![
        ("refine", default()),
        ("dogleg", Options { minimizer: dogleg, ..default() }),
        ("trf", Options { minimizer: method(Method::Trf), ..default() }),
        ("no tolerances", Options { minimizer: endless, ..default() }),
        ("approach", Options { costing: loss(LossKind::Cauchy), ..default() }),
        ("scale", Options { costing: loss(LossKind::Tukey), scale: ScaleRule::Mad, ..default() }),
        ("finish", Options { scores: true, ..default() }),
        ("finish in two passes", Options { costing: loss(LossKind::Arctan), scores: true, ..default() }),
        ("tandem", Options { companion: Companion::Always, ..default() }),
        ("L-BFGS", warm(WarmUpDescent::Lbfgs)),
        ("Adam", warm(WarmUpDescent::Adam)),
        ("f32", Options { costing: Costing { precision: Precision::F32, ..Costing::default() }, ..default() }),
        ("tsqr", Options { costing: Costing { solver: Solver::Tsqr, ..Costing::default() }, ..default() }),
        ("starts", Options { starts: StartsOptions { starts: 7, seed: 3, ..StartsOptions::default() }, ..default() }),
        (
            "global",
            Options {
                minimizer: method(Method::Global),
                global: GlobalOptions { population: 5, generations: 12, seed: 5, ..GlobalOptions::default() },
                ..default()
            },
        ),
    ]
}

#[test]
fn every_phase_told_and_read_back_after_every_pass_goes_the_same_way() {
    let parameters = parameters();
    let mut phases = Vec::new();
    for (name, options) in cases() {
        options.check(&parameters).unwrap();
        let (mut points, mut own) = (points(), points());
        let mut straight = Hybrid::new(&parameters, options.clone(), 1.0);
        let mut resumed = straight.clone();
        while let Some(request) = straight.demand() {
            resumed = again(&resumed);
            assert_eq!(resumed.is_whole(&parameters), Ok(()), "{name}");
            assert!(resumed.is_under(&options), "{name}");
            assert_eq!(resumed.demand().as_ref(), Some(&request), "{name}");
            straight.take(points.answer(&request));
            resumed.take(own.answer(&request));
            phases.extend(straight.iteration().map(|iteration| iteration.phase));
            assert_eq!(*to_bytes(&resumed).unwrap(), *to_bytes(&straight).unwrap(), "{name}");
        }
        assert_eq!(again(&resumed).is_whole(&parameters), Ok(()), "{name}");
        assert_eq!(resumed.summary().unwrap(), straight.summary().unwrap(), "{name}");
    }
    use Phase::{Approach, Explore, Finish, Refine, Scale, WarmUp};
    for phase in [Explore, Scale, WarmUp, Approach, Refine, Finish] {
        assert!(phases.contains(&phase), "{phase:?} was never under way");
    }
}

/// Whatever a byte of a state is changed to: it is refused, or it can be asked and answered.
#[test]
fn no_changed_byte_leads_to_a_panic() {
    let parameters = parameters();
    let mut tried = [0; 2];
    for (name, options) in cases() {
        let mut own = points();
        let mut fit = Hybrid::new(&parameters, options, 1.0);
        for _ in 0..4 {
            let Some(request) = fit.demand() else { break };
            fit.take(own.answer(&request));
        }
        let bytes = to_bytes(&fit).unwrap();
        for at in (0..bytes.len()).step_by(3) {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1 << (at % 8);
            let Ok(mut other) = from_bytes::<Hybrid>(&changed) else {
                tried[0] += 1;
                continue;
            };
            if other.is_whole(&parameters).is_err() {
                tried[0] += 1;
                continue;
            }
            tried[1] += 1;
            if let Some(request) = other.demand() {
                let answer = own.answer(&request);
                own.asked.clear();
                other.take(answer);
                other.interrupt(name);
            }
        }
    }
    assert!(tried.iter().all(|&count| count > 100), "{tried:?}");
}

#[test]
fn a_state_of_another_problem_is_refused() {
    let mut fit = Hybrid::new(&parameters(), Options::default(), 1.0);
    let request = fit.demand().unwrap();
    fit.take(points().answer(&request));
    let two = Parameters::new(parameters().all()[..2].to_vec()).unwrap();
    assert!(fit.is_whole(&two).is_err());
    let elsewhere = parameters().starting_at(&[2.0, 4.0, 0.0]);
    assert!(fit.is_whole(&elsewhere).is_err());
    let seven = minimize::Options { max_passes: 7, ..minimize::Options::default() };
    assert!(!fit.is_under(&Options { minimizer: seven, ..Options::default() }));
    assert!(parameters().sound(2).is_err() && parameters().sound(3).is_ok());
}

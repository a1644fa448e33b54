//! How far along a direction: a search that is told cost and slope at one length at a time.
//!
//! Bracketing and zoom as Nocedal & Wright (Numerical Optimization, 2006, algorithms 3.5 and 3.6) have them, the next length
//! by the cubic through costs and slopes. Along a path that is bent by bounds the decrease asked for is a part of what
//! the gradient promises for the way really gone (Bertsekas, IEEE Trans. Autom. Control 21 (1976) 174).

use super::options::LineSearch;

/// A step is long enough if it brings this part of what the slope promises.
const SUFFICIENT: f64 = 1e-4;

/// A step is long enough, too, only if the slope has fallen to this part (Wolfe).
const FLATTENED: f64 = 0.9;

/// How much farther to look while the cost still falls steeply.
const GROWTH: f64 = 3.0;

/// The next length keeps this distance from the ends of the bracket, relative to its width.
const MARGIN: f64 = 0.1;

/// Backtracking shrinks at least to this part.
const SHRINK: f64 = 0.5;

/// Where the model is not finite the length shrinks to this part.
const SHRINK_NOT_FINITE: f64 = 0.1;

/// Trials of one search.
pub(super) const TRIALS: u64 = 20;

/// Cost and slope at a length.
#[derive(Clone, Copy, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct Sample {
    pub(super) t: f64,
    pub(super) cost: f64,
    /// Derivative of the cost with respect to t.
    pub(super) slope: f64,
}

/// A search under way.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct Search {
    rule: LineSearch,
    origin: Sample,
    /// The best length so far that brings enough.
    low: Sample,
    /// Beyond it the cost rises again.
    high: Option<Sample>,
    /// The length asked for.
    pub(super) t: f64,
    /// No length beyond this.
    most: f64,
    trials: u64,
}

/// What becomes of a search after a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome {
    /// The trial is the step.
    Accept,
    /// Another length is asked for; `keep` says whether the trial is the best so far.
    Next { keep: bool },
    /// Nothing better will come: the best trial kept is the step, if there is one.
    Exhausted,
}

impl Search {
    /// From a point with this cost and slope (negative), first to length `t`, never beyond `most`.
    pub(super) fn new(rule: LineSearch, cost: f64, slope: f64, t: f64, most: f64) -> Self {
        let origin = Sample { t: 0.0, cost, slope };
        Self { rule, origin, low: origin, high: None, t: t.min(most), most, trials: 0 }
    }

    /// Takes cost and slope at `t`; `promised` is the gradient at the origin times the way really gone (negative).
    pub(super) fn judge(&mut self, cost: f64, slope: f64, promised: f64) -> Outcome {
        self.trials += 1;
        let here = Sample { t: self.t, cost, slope };
        let enough = cost.is_finite() && slope.is_finite() && cost <= self.origin.cost + SUFFICIENT * promised;
        if enough && (self.rule == LineSearch::Backtracking || slope.abs() <= FLATTENED * self.origin.slope.abs()) {
            return Outcome::Accept;
        }
        let better = enough && cost < self.low.cost;
        if self.trials >= TRIALS {
            return if better { Outcome::Accept } else { Outcome::Exhausted };
        }
        if !better {
            self.high = Some(here);
        } else {
            if slope >= 0.0 {
                self.high = Some(self.low);
            }
            self.low = here;
        }
        let next = self.next(here);
        if (next - here.t).abs() <= f64::EPSILON * here.t {
            // at the longest step allowed, or the bracket has closed
            return if better { Outcome::Accept } else { Outcome::Exhausted };
        }
        self.t = next;
        Outcome::Next { keep: better }
    }

    fn next(&self, here: Sample) -> f64 {
        let Some(high) = self.high else { return (GROWTH * here.t).min(self.most) };
        if !high.cost.is_finite() || !high.slope.is_finite() {
            return self.low.t + SHRINK_NOT_FINITE * (high.t - self.low.t);
        }
        let most = if self.rule == LineSearch::Backtracking { SHRINK } else { 1.0 - MARGIN };
        let part = (cubic(self.low, high) - self.low.t) / (high.t - self.low.t);
        let part = if part.is_finite() { part.clamp(MARGIN, most) } else { SHRINK };
        self.low.t + part * (high.t - self.low.t)
    }
}

/// Where the cubic through costs and slopes of both has its minimum (Nocedal & Wright, 3.59).
fn cubic(a: Sample, b: Sample) -> f64 {
    let d1 = a.slope + b.slope - 3.0 * (a.cost - b.cost) / (a.t - b.t);
    let root = (d1 * d1 - a.slope * b.slope).sqrt();
    let d2 = if b.t > a.t { root } else { -root };
    b.t - (b.t - a.t) * (b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches a function of one length until a step is taken.
    fn search(rule: LineSearch, first: f64, most: f64, f: impl Fn(f64) -> (f64, f64)) -> (f64, u64) {
        let (cost, slope) = f(0.0);
        let mut search = Search::new(rule, cost, slope, first, most);
        let mut best = 0.0;
        loop {
            let (t, (cost, here)) = (search.t, f(search.t));
            match search.judge(cost, here, slope * t) {
                Outcome::Accept => return (t, search.trials),
                Outcome::Next { keep: true } => best = t,
                Outcome::Next { keep: false } => {}
                Outcome::Exhausted => return (best, search.trials),
            }
        }
    }

    #[test]
    fn steps_satisfy_the_wolfe_conditions_from_short_and_long_lengths() {
        let functions: [fn(f64) -> (f64, f64); 3] = [
            |t| ((t - 3.0) * (t - 3.0), 2.0 * (t - 3.0)),
            |t| (-t / (t * t + 2.0), (t * t - 2.0) / ((t * t + 2.0) * (t * t + 2.0))),
            |t| (t.powi(4) - 4.0 * t, 4.0 * t.powi(3) - 4.0),
        ];
        for (k, f) in functions.into_iter().enumerate() {
            for first in [1e-3, 0.1, 1.0, 10.0, 1e3] {
                let (t, trials) = search(LineSearch::Wolfe, first, f64::INFINITY, f);
                let ((before, slope), (after, flat)) = (f(0.0), f(t));
                assert!(after <= before + SUFFICIENT * slope * t, "{k} from {first}: {t}");
                assert!(flat.abs() <= FLATTENED * slope.abs(), "{k} from {first}: {t}, {flat} and {slope}");
                assert!(trials <= 12, "{k} from {first}: {trials} trials");
            }
        }
    }

    #[test]
    fn a_wall_a_limit_and_an_ascent_end_the_search() {
        let wall = |t: f64| if t > 0.01 { (f64::NAN, f64::NAN) } else { (-t, -1.0) };
        let (t, _) = search(LineSearch::Wolfe, 1.0, 100.0, wall);
        assert!(t > 1e-4 && t <= 0.01, "{t}");
        let (t, trials) = search(LineSearch::Wolfe, 1.0, 7.0, |t| (-t, -1.0));
        assert_eq!((t, trials), (7.0, 3), "a line without end is followed to the limit");
        let (t, trials) = search(LineSearch::Wolfe, 1.0, 7.0, |t| (t, -1.0));
        assert_eq!((t, trials), (0.0, TRIALS), "a slope that lies brings no step");
        let (t, trials) = search(LineSearch::Backtracking, 8.0, 10.0, |t| ((t - 1.0) * (t - 1.0), 2.0 * (t - 1.0)));
        assert!(trials <= 4 && t > 0.0 && t < 2.0, "{t} after {trials}");
    }
}

//! What becomes of a trial: the gain ratio accepts or rejects it and sets the next radius.

/// Accept a trial if it brings at least this part of the reduction promised (MINPACK).
const ACCEPT: f64 = 1e-4;

/// Below this gain ratio the radius shrinks.
const POOR: f64 = 0.25;

/// From this gain ratio on the radius grows.
const GOOD: f64 = 0.75;

/// The radius shrinks at most to this part at once, however bad the trial; where the model was not finite it shrinks so far.
const STRONGEST_SHRINK: f64 = 0.1;

/// A promise up to so many roundings of the cost counts as drowned in them if nothing came of it.
pub(super) const DROWNED: f64 = 10.0;

/// Changes of cost up to this part of it may turn out to be rounding that no estimate foresaw.
const UNFORESEEN: f64 = 1e-7;

/// An accepted polishing step lowers the offset at least to this part.
const POLISH: f64 = 0.9;

/// What a trial promised and what it brought.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gain {
    /// Reduction of the cost promised by the model, >= 0.
    pub(super) predicted: f64,
    /// Reduction of the cost; NaN if the trial was not finite.
    pub(super) actual: f64,
    /// Slope g's of the cost along the step, <= 0.
    pub(super) slope: f64,
    /// Slope of the cost along the same direction at the trial.
    pub(super) slope_after: f64,
    /// Whether the radius cut the step.
    pub(super) cut: bool,
    /// Cost at the accepted point.
    pub(super) cost: f64,
    /// Differences below this are rounding.
    pub(super) rounding: f64,
    /// Offset at the accepted point.
    pub(super) offset_before: f64,
    /// Offset at the trial.
    pub(super) offset_after: f64,
    /// The accepted point cannot be called the minimum even if nothing more can be gained.
    pub(super) far: bool,
}

/// What becomes of a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// Go there.
    Accept,
    /// Stay and shrink.
    Reject,
    /// Stay: the costs agree to rounding and the offset fell no further. The minimum, or a step too long.
    Floor,
}

impl Gain {
    /// Actual over predicted reduction.
    fn ratio(&self) -> f64 {
        if self.predicted > 0.0 { self.actual / self.predicted } else { f64::NEG_INFINITY }
    }

    /// What came of the step cannot be told from rounding, and not much more was promised.
    pub(super) fn drowned(&self) -> bool {
        self.predicted <= DROWNED * self.rounding && self.actual.abs() <= self.rounding || self.unexplained()
    }

    /// A small change of the cost of which the gradients at both ends know nothing. A smooth cost cannot do that; one whose
    /// residuals are small differences of large numbers can, by rounding.
    fn unexplained(&self) -> bool {
        let small = UNFORESEEN * self.cost;
        let gap = (self.actual - self.seen_by_gradients()).abs();
        self.predicted <= small && self.actual.abs() <= small && gap > 0.5 * self.actual.abs().max(self.predicted)
    }

    /// How rough the cost proved to be, relative to it: 0 unless it changed in a way that no smooth cost can.
    pub(super) fn roughness(&self) -> f64 {
        let gap = (self.actual - self.seen_by_gradients()).abs();
        if self.unexplained() { gap / self.cost } else { 0.0 }
    }

    /// The reduction as the gradients at both ends see it, by the trapezoid rule: they keep their digits where the costs
    /// have none left (Hager & Zhang, SIAM J. Optim. 16 (2005) 170, use the same to end a line search).
    fn seen_by_gradients(&self) -> f64 {
        -0.5 * (self.slope + self.slope_after)
    }

    /// The reduction by the costs, or by the gradients where the costs drown.
    pub(super) fn witnessed(&self) -> f64 {
        if self.drowned() { self.seen_by_gradients() } else { self.actual }
    }

    /// Where costs can be told apart they decide. Where not, the gradient does, which goes to zero linearly while the cost
    /// flattens quadratically: through the offset, and far from the minimum through the slope at both ends.
    pub(super) fn verdict(&self) -> Verdict {
        if self.drowned() {
            let closer = self.offset_after <= POLISH * self.offset_before;
            let downhill = self.far && self.seen_by_gradients() >= POOR * self.predicted;
            if closer || downhill { Verdict::Accept } else { Verdict::Floor }
        } else if self.ratio() >= ACCEPT {
            Verdict::Accept
        } else {
            Verdict::Reject
        }
    }

    /// The radius after this trial, `length` being |D s|. MINPACK's rules: on a poor gain shrink to the minimum of the
    /// parabola through both costs and the slope. Unlike there it shrinks from the length of the step, not
    /// from a radius the step did not reach: the next trial would be the same point again.
    pub(super) fn radius(&self, radius: f64, length: f64) -> f64 {
        if !self.actual.is_finite() {
            return STRONGEST_SHRINK * radius.min(length);
        }
        if self.drowned() {
            return if self.verdict() == Verdict::Accept {
                radius.max(2.0 * length)
            } else {
                0.25 * radius.min(length)
            };
        }
        if self.ratio() <= POOR {
            let parabola = if self.actual >= 0.0 { 0.5 } else { 0.5 * self.slope / (self.slope + self.actual) };
            return parabola.clamp(STRONGEST_SHRINK, 0.5) * radius.min(length);
        }
        if !self.cut || self.ratio() >= GOOD { 2.0 * length } else { radius }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAIR: Gain = Gain {
        predicted: 2.0,
        actual: 1.0,
        slope: -4.0,
        slope_after: 0.0,
        cut: true,
        cost: 10.0,
        rounding: 1e-13,
        offset_before: 0.5,
        offset_after: 0.4,
        far: false,
    };

    #[test]
    fn the_gain_ratio_decides() {
        for (actual, verdict, radius) in [
            (1.9, Verdict::Accept, 2.0),      // good: twice the step
            (1.0, Verdict::Accept, 1.0),      // fair: stays
            (0.3, Verdict::Accept, 0.5),      // poor: half
            (1e-5, Verdict::Reject, 0.5),     // no gain worth the name
            (-4.0, Verdict::Reject, 0.25),    // parabola: 0.5 * -4 / (-4 - 4)
            (-1e9, Verdict::Reject, 0.1),     // the strongest
            (f64::NAN, Verdict::Reject, 0.1), // not finite
            (f64::NEG_INFINITY, Verdict::Reject, 0.1),
        ] {
            let gain = Gain { actual, ..FAIR };
            assert_eq!((gain.verdict(), gain.radius(1.0, 1.0)), (verdict, radius), "actual = {actual}");
        }
        let short = Gain { actual: -4.0, cut: false, ..FAIR };
        assert_eq!(short.radius(100.0, 1.0), 0.25, "a rejected step is cut, however large the radius was");
    }

    #[test]
    fn below_rounding_the_offset_decides() {
        let drowned = Gain { predicted: 1e-15, actual: -1e-15, ..FAIR };
        assert_eq!(drowned.verdict(), Verdict::Accept);
        assert_eq!(Gain { offset_after: 0.5, ..drowned }.verdict(), Verdict::Floor);
        let uphill = Gain { offset_after: 0.5, slope: -2e-15, slope_after: 3e-15, far: true, ..drowned };
        assert_eq!(uphill.verdict(), Verdict::Floor);
        assert_eq!(Gain { slope_after: 1e-15, ..uphill }.verdict(), Verdict::Accept);
        let rise = Gain { actual: -1e-12, slope: -1e-15, slope_after: 2e-12, offset_after: 0.5, ..drowned };
        assert_eq!(rise.verdict(), Verdict::Reject, "a rise beyond rounding is a rise");
        let noise = Gain { slope_after: 1e-16, ..rise };
        assert_eq!(noise.verdict(), Verdict::Floor, "unless the gradients know nothing of it");
    }
}

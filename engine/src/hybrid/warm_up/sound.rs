//! Whether the state of a warm-up that was read can be gone on from.

use super::{Descent, Place, WarmUp};
use crate::saved::{Sound, Unsound, are_bounds, ensure};

impl Sound for Place {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        ensure(self.theta.len() == n_free, "a place of the warm-up is not one over the free parameters")?;
        self.normal.sound(n_free)
    }
}

impl Sound for WarmUp {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        self.parameters.sound(n_free)?;
        let lengths = self.trial.len() == n_free && are_bounds(&self.lower, &self.upper, n_free);
        ensure(lengths, "a warm-up is not over the free parameters")?;
        for place in [&self.best, &self.here, &self.kept] {
            place.sound(n_free)?;
        }
        self.memory.sound(n_free)?;
        self.moments.sound(n_free)?;
        ensure(self.ending.is_none(), "a warm-up is over and was not left")?;
        if self.best.is_none() {
            return Ok(());
        }
        let under_way = self.here.is_some() && self.units.len() == n_free && self.direction.len() == n_free;
        let searches = self.options.descent == Descent::Adam || self.search.is_some();
        ensure(under_way && searches, "a warm-up is under way and has no direction")
    }
}

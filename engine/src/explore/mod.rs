//! Where to begin: several starts that compete, or a search of the whole box.
//!
//! A fit finds the minimum of the valley it starts in. The two procedures here look at many valleys, and all their
//! candidates share each read of the points, every point counted:
//!
//! - [`Tournament`]: N starts as fits in lock step, the worse half eliminated again and again (`tournament`);
//! - [`Evolution`]: differential evolution between bounds (`global`).
//!
//! Both are reproducible from a seed (`random`) and begin with p0 among their candidates, drawn from the region that `sample` describes.

mod global;
mod random;
mod sample;
mod standing;
mod tournament;

#[cfg(test)]
pub(crate) mod curve;

pub use global::{Evolution, GlobalOptions};
pub use sample::{Region, Unbounded};
pub use standing::{Minimum, Standing};
pub use tournament::{StartsOptions, Tournament};

pub(crate) use tournament::asked;

//! Several starts, a global search, profiles: how they are set, and what they need.

use nlsq_engine::explore::{GlobalOptions, StartsOptions};
use nlsq_engine::minimize::Method;

use super::Job;
use super::error::JobError;
use super::settings::Settings;
use super::value::Value;

/// Starts of a tournament, or members of a population for each parameter: every one is a fit or a theta in each request.
const MOST_STARTS: usize = 10_000;

/// A count of things that are held in memory, one after another.
fn size(settings: &Settings, name: &str, most: usize) -> Result<usize, JobError> {
    let Value::Count(count) = settings.or_default("fit", name) else { panic!("fit.{name} is a count") };
    usize::try_from(count)
        .ok()
        .filter(|&size| size <= most)
        .ok_or_else(|| settings.error("fit", name, format!("{name} (fit.{name}) = {count}: expected 1 to {most}")))
}

fn seed(settings: &Settings) -> u64 {
    match settings.or_default("fit", "seed") {
        Value::Count(seed) => seed,
        other => panic!("fit.seed holds {other:?}"),
    }
}

pub(super) fn starts(settings: &Settings) -> Result<StartsOptions, JobError> {
    Ok(StartsOptions {
        starts: size(settings, "starts", MOST_STARTS)?,
        seed: seed(settings),
        eliminated: settings.number("fit", "starts_eliminated"),
        heat: size(settings, "starts_heat", usize::MAX)? as u64,
    })
}

pub(super) fn global(settings: &Settings) -> Result<GlobalOptions, JobError> {
    Ok(GlobalOptions {
        population: size(settings, "global_population", MOST_STARTS)?,
        generations: size(settings, "global_generations", u32::MAX as usize)? as u64,
        spread: settings.number("fit", "global_spread"),
        seed: seed(settings),
    })
}

impl Job {
    /// Only free parameters have a profile.
    pub(super) fn check_profile(&self, settings: &Settings) -> Result<(), JobError> {
        for (i, name) in self.fit.profile.iter().enumerate() {
            let refuse = |message: String| Err(settings.error("fit", "profile", format!("profile: {message}")));
            let free: Vec<&str> = self.parameters.iter().filter(|p| !p.fixed).map(|p| p.name.as_str()).collect();
            let free = free.join(", ");
            match self.parameters.iter().find(|p| p.name == *name) {
                None => return refuse(format!("the model has no parameter \"{name}\"; expected some of {free}")),
                Some(p) if p.fixed => {
                    return refuse(format!("\"{name}\" is fixed and has no profile; expected some of {free}"));
                }
                Some(_) if self.fit.profile[..i].contains(name) => {
                    return refuse(format!("\"{name}\" stands there twice"));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// A global search needs a box, and has no other starts.
    pub(super) fn check_global(&self, settings: &Settings) -> Result<(), JobError> {
        if self.fit.options.minimizer.method != Method::Global {
            return Ok(());
        }
        if self.fit.options.starts.starts > 1 {
            let message =
                "method global draws starts of its own; expected --starts (fit.starts) with another method only";
            return Err(settings.error("fit", "starts", message));
        }
        match self.parameters.iter().find(|p| !(p.fixed || p.min.is_finite() && p.max.is_finite())) {
            None => Ok(()),
            Some(p) => {
                let message = format!(
                    "method global searches between bounds, but \"{}\" has [{}, {}]; expected two finite ones: --bounds '{}=MIN:MAX'",
                    p.name, p.min, p.max, p.name
                );
                Err(settings.error("fit", "method", message))
            }
        }
    }
}

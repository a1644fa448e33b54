//! Groups of parameters whose spread has a price: how they are set, and what they need.

use nlsq_engine::params::{Parameter, Parameters};
use nlsq_engine::penalty::GroupVariance;

use super::settings::Settings;
use super::value::Value;
use super::{Job, JobError};

/// Groups of names, and the price of their spread.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Groups {
    /// lambda of [`GroupVariance`].
    pub weight: f64,
    /// The names of each group; none: no spread has a price.
    pub names: Vec<Vec<String>>,
}

impl Groups {
    pub(super) fn read(settings: &Settings) -> Result<Self, JobError> {
        let split = |group: &String| group.split(',').map(|name| name.trim().to_string()).collect();
        let names: Vec<Vec<String>> = settings.list("fit.hybrid", "groups").iter().map(split).collect();
        if names.is_empty() && settings.is_set("fit.hybrid", "group_variance") {
            let message = "group_variance is the price of a spread within groups: expected fit.hybrid.groups beside it";
            return Err(settings.error("fit.hybrid", "group_variance", message));
        }
        Ok(Self { weight: settings.number("fit.hybrid", "group_variance"), names })
    }

    /// Those of a price.
    pub(crate) fn of(price: Option<&GroupVariance>, parameters: &Parameters) -> Self {
        price.map_or_else(Self::default, |price| Self { weight: price.weight(), names: price.names(parameters) })
    }

    /// As job.toml has it.
    pub(super) fn value(&self, name: &str) -> Option<Value> {
        if self.names.is_empty() {
            return None;
        }
        match name {
            "groups" => Some(Value::List(self.names.iter().map(|group| group.join(",")).collect())),
            _ => Some(Value::Number(self.weight)),
        }
    }

    /// The price among parameters; `None` if there is none.
    pub(crate) fn variance(&self, parameters: &Parameters) -> Option<GroupVariance> {
        let found = GroupVariance::new(parameters, self.weight, &self.names);
        (!self.names.is_empty()).then(|| found.expect("the groups were checked when the job was read"))
    }
}

impl Job {
    /// Groups are of parameters that there are.
    pub(super) fn check_groups(&self, settings: &Settings) -> Result<(), JobError> {
        // starts may have to be estimated first; who is a parameter and who is fixed is known
        let known = self.parameters.iter().map(|p| Parameter {
            name: p.name.clone(),
            start: 1.0,
            min: f64::NEG_INFINITY,
            max: f64::INFINITY,
            fixed: p.fixed,
        });
        let Ok(parameters) = Parameters::new(known.collect()) else { return Ok(()) };
        let Groups { weight, names } = &self.fit.groups;
        match GroupVariance::new(&parameters, *weight, names) {
            Ok(_) => Ok(()),
            Err(error) => Err(settings.error("fit.hybrid", "groups", error.to_string())),
        }
    }
}

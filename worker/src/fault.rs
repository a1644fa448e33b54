//! Faults on purpose, for tests of recovery: a process kills itself, stops, or panics, at a moment that is named and once.
//!
//! `kill@load`, `stop@compute:7`, `panic@compute:7`, `kill@reduce:3`, `kill@dial`: what, when, and for passes which one.
//! `slow:2` makes every claim of tiles 2 ms longer, for good. A fault that has struck is written to standard error first, so
//! that a test can prove that it did.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// When a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the members of a generation are dialled.
    Dial,
    /// While tiles are read.
    Load,
    /// While tiles are evaluated in this pass.
    Compute(u64),
    /// When they are evaluated, before anything of the pass is sent.
    Reduce(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Kill,
    Stop,
    Panic,
}

/// A fault that strikes once, or slowness for good.
#[derive(Clone, Debug)]
pub struct Fault {
    strike: Option<(Kind, Moment)>,
    slow: Duration,
    struck: Arc<AtomicBool>,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("\"{text}\" is no fault: expected KIND@MOMENT, such as kill@load or panic@compute:7");
        if let Some(milliseconds) = text.strip_prefix("slow:") {
            let slow = Duration::from_millis(milliseconds.parse().map_err(|_| refused())?);
            return Ok(Self { strike: None, slow, struck: Arc::default() });
        }
        let (kind, moment) = text.split_once('@').ok_or_else(refused)?;
        let kind = match kind {
            "kill" => Kind::Kill,
            "stop" => Kind::Stop,
            "panic" => Kind::Panic,
            _ => return Err(refused()),
        };
        let (moment, pass) = match moment.split_once(':') {
            Some((moment, pass)) => (moment, Some(pass.parse().map_err(|_| refused())?)),
            None => (moment, None),
        };
        let moment = match (moment, pass) {
            ("dial", None) => Moment::Dial,
            ("load", None) => Moment::Load,
            ("compute", Some(pass)) => Moment::Compute(pass),
            ("reduce", Some(pass)) => Moment::Reduce(pass),
            _ => return Err(refused()),
        };
        Ok(Self { strike: Some((kind, moment)), slow: Duration::ZERO, struck: Arc::default() })
    }
}

impl Fault {
    /// Strikes if this is the moment and it has not struck before.
    pub fn strike(&self, moment: Moment) {
        if let Moment::Compute(_) = moment
            && !self.slow.is_zero()
        {
            std::thread::sleep(self.slow);
        }
        let Some((kind, own)) = self.strike else { return };
        if moment != own || self.struck.swap(true, Ordering::SeqCst) {
            return;
        }
        tracing::error!(?moment, ?kind, "a fault strikes, on purpose");
        let signal = match kind {
            Kind::Kill => rustix::process::Signal::KILL,
            Kind::Stop => rustix::process::Signal::STOP,
            Kind::Panic => panic!("a fault on purpose"),
        };
        // The signal is the process's own: it is delivered before this returns.
        let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_and_strike_once() {
        let fault: Fault = "panic@compute:3".parse().unwrap();
        fault.strike(Moment::Compute(2));
        fault.strike(Moment::Reduce(3));
        assert!(std::panic::catch_unwind(|| fault.strike(Moment::Compute(3))).is_err());
        fault.strike(Moment::Compute(3));
        for wrong in
            ["", "kill", "kill@", "kill@never", "burn@load", "kill@compute", "kill@load:3", "kill@reduce:x", "slow:x"]
        {
            assert!(wrong.parse::<Fault>().is_err(), "{wrong}");
        }
    }
}

//! Faults strike, and are over.

use std::collections::BTreeMap;
use std::time::Duration;

use nlsq_worker::protocol::Response;

use super::plan::{Fault, Kind};
use super::world::{COORDINATOR, Happening, Host, Undo, World, note};

impl World {
    /// One of the agents that are there, by a fault's die.
    fn victim(&self, die: u64) -> Option<Host> {
        let alive: Vec<Host> =
            self.processes.iter().filter(|(_, process)| process.alive).map(|(host, _)| *host).collect();
        (!alive.is_empty()).then(|| alive[(die % alive.len() as u64) as usize])
    }

    pub(super) fn strike(&mut self, fault: Fault) {
        let struck = match fault.kind {
            Kind::CoordinatorStop | Kind::CoordinatorThink | Kind::CoordinatorRestart => self.strike_coordinator(fault),
            Kind::Join if !self.plan.rules.launched => {
                self.after(Duration::ZERO, Happening::Begins { child: false });
                true
            }
            Kind::LaunchFails => {
                self.launch_failures += 1 + (fault.die % 3) as u32;
                true
            }
            Kind::Join => false,
            _ => self.victim(fault.die).is_some_and(|host| self.strike_agent(fault, host)),
        };
        if struck {
            note!(self, "!! {:?} struck, for {:.3} s, die {}", fault.kind, fault.lasts.as_secs_f64(), fault.die);
            *self.law.struck.entry(fault.kind).or_default() += 1;
        }
    }

    fn strike_coordinator(&mut self, fault: Fault) -> bool {
        if !self.coordinator.up {
            return false;
        }
        match fault.kind {
            Kind::CoordinatorStop => {
                self.stop(COORDINATOR);
                self.after(fault.lasts, Happening::Over(Undo::Continue(COORDINATOR)));
            }
            Kind::CoordinatorThink => {
                self.coordinator.stalled = true;
                self.after(fault.lasts, Happening::Over(Undo::Wake));
            }
            // Workers that were launched by it end with it.
            _ if self.plan.rules.launched => return false,
            _ => {
                self.kill_coordinator();
                self.after(fault.lasts, Happening::Over(Undo::Resume));
            }
        }
        true
    }

    fn strike_agent(&mut self, fault: Fault, host: Host) -> bool {
        note!(self, "!! {:?} at process {host}", fault.kind);
        match fault.kind {
            Kind::Kill | Kind::Vanish => {
                if fault.kind == Kind::Vanish {
                    self.law.vanished.insert(host);
                }
                self.end_process(host, fault.kind == Kind::Kill);
                if !self.plan.rules.launched && !fault.die.is_multiple_of(4) {
                    self.after(fault.lasts, Happening::Begins { child: false });
                }
            }
            Kind::Stop => {
                self.stop(host);
                self.after(fault.lasts, Happening::Over(Undo::Continue(host)));
            }
            Kind::Reset => {
                let Some(connection) = self.processes[&host].connection else { return false };
                self.reset(connection);
            }
            Kind::CutOff => self.block(vec![(host, COORDINATOR), (COORDINATOR, host)], fault.lasts),
            Kind::CutFrom => self.block(vec![(host, COORDINATOR)], fault.lasts),
            Kind::CutTo => self.block(vec![(COORDINATOR, host)], fault.lasts),
            Kind::Split => {
                let Some(other) = self.victim(fault.die >> 8).filter(|other| *other != host) else { return false };
                self.block(vec![(host, other), (other, host)], fault.lasts);
            }
            Kind::Panic => {
                let Some(&generation) = self.processes[&host].parts.last() else { return false };
                self.abort_host(generation, host, "an operator panicked");
            }
            Kind::BadDisk => {
                self.process(host).bad_disk = true;
                self.after(fault.lasts, Happening::Over(Undo::GoodDisk(host)));
            }
            Kind::SlowDisk => {
                self.process(host).slow_disk = 20;
                self.after(fault.lasts, Happening::Over(Undo::Quick(host)));
            }
            Kind::SlowCompute => {
                self.process(host).slow_now = 10;
                self.after(fault.lasts, Happening::Over(Undo::Quick(host)));
            }
            _ => {
                self.process(host).leaving = true;
                self.say(host, Response::Leaving);
            }
        }
        true
    }

    fn block(&mut self, directions: Vec<(Host, Host)>, lasts: Duration) {
        for direction in &directions {
            *self.blocked.entry(*direction).or_default() += 1;
        }
        self.after(lasts, Happening::Over(Undo::Heal(directions)));
    }

    pub(super) fn undo(&mut self, undo: Undo) {
        note!(self, "!! over: {undo:?}");
        match undo {
            Undo::Continue(host) => self.go_on(host),
            Undo::Heal(directions) => {
                for direction in directions {
                    if let Some(count) = self.blocked.get_mut(&direction) {
                        *count -= 1;
                    }
                }
                self.blocked.retain(|_, count| *count > 0);
                self.unstall();
                self.retry_links();
            }
            Undo::GoodDisk(host) => self.process(host).bad_disk = false,
            Undo::Quick(host) => {
                self.process(host).slow_disk = 1;
                self.process(host).slow_now = 1;
            }
            Undo::Resume => self.resume_coordinator(),
            Undo::Wake => self.wake(),
        }
    }

    /// Everything works from now on, and there are as many agents as may take part.
    pub(super) fn calm_down(&mut self) {
        note!(self, "!! faults are over");
        self.calm = true;
        self.launch_failures = 0;
        self.blocked = BTreeMap::new();
        for host in self.stopped_hosts() {
            self.go_on(host);
        }
        for process in self.processes.values_mut() {
            process.bad_disk = false;
            process.slow_disk = 1;
            process.slow_now = 1;
        }
        self.unstall();
        self.retry_links();
        let staying = self.processes.values().filter(|process| process.alive && !process.leaving).count();
        if !self.plan.rules.launched {
            for _ in staying..self.plan.rules.max {
                self.after(Duration::ZERO, Happening::Begins { child: false });
            }
        }
    }
}

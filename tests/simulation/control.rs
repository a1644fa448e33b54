//! Control connections as the network carries them: in order, delayed, cut off, broken.

use std::time::Duration;

use nlsq_worker::protocol::{Command, Response};

use super::agent::Doing;
use super::coordinator::Mail;
use super::world::{COORDINATOR, Happening, Host, World};

/// A control connection.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) host: Host,
    /// Whether the agent's end is open, and the coordinator's.
    pub(super) at_agent: bool,
    pub(super) at_coordinator: bool,
    /// Broken by the network: what was under way is lost.
    broken: bool,
    /// When the last message arrives, towards the coordinator and towards the agent: nothing overtakes it.
    last: [Duration; 2],
    /// What does not get through for the time being.
    stalled: [Vec<Frame>; 2],
}

/// What travels.
#[derive(Clone, Debug)]
pub(super) enum Frame {
    Connected,
    Says(Response),
    Told(Command),
    End(String),
}

impl World {
    pub(super) fn connect_control(&mut self, host: Host) -> usize {
        self.connections.push(Connection {
            host,
            at_agent: true,
            at_coordinator: true,
            broken: false,
            last: [self.now; 2],
            stalled: [Vec::new(), Vec::new()],
        });
        self.connections.len() - 1
    }

    /// Sends to the agent's end of a connection, or to the coordinator's.
    pub(super) fn send(&mut self, connection: usize, to_agent: bool, frame: Frame) {
        let link = &mut self.connections[connection];
        let (open, host) = (if to_agent { link.at_coordinator } else { link.at_agent }, link.host);
        if open {
            self.carry(connection, host, to_agent, frame);
        }
    }

    fn carry(&mut self, connection: usize, host: Host, to_agent: bool, frame: Frame) {
        let (from, to) = if to_agent { (COORDINATOR, host) } else { (host, COORDINATOR) };
        let stalled = !self.connections[connection].stalled[usize::from(to_agent)].is_empty();
        if stalled || self.is_blocked(from, to) {
            self.connections[connection].stalled[usize::from(to_agent)].push(frame);
            return;
        }
        let delay = self.delay();
        let last = &mut self.connections[connection].last[usize::from(to_agent)];
        *last = (self.now + delay).max(*last);
        let time = *last;
        self.at(time, Happening::Arrives { connection, at_agent: to_agent, frame });
    }

    /// One end closes the connection: the other is told, behind everything that was sent before.
    pub(super) fn close(&mut self, connection: usize, by_agent: bool) {
        let link = &mut self.connections[connection];
        let (open, host) = (if by_agent { &mut link.at_agent } else { &mut link.at_coordinator }, link.host);
        if std::mem::take(open) {
            self.carry(connection, host, !by_agent, Frame::End("connection closed".to_string()));
        }
    }

    /// A host is gone without a word: its end is closed, and nobody is told.
    pub(super) fn sever(&mut self, connection: usize) {
        self.connections[connection].at_agent = false;
    }

    /// The network breaks a connection: both ends notice at some time, and what was under way is lost.
    pub(super) fn reset(&mut self, connection: usize) {
        self.connections[connection].broken = true;
        for at_agent in [false, true] {
            let delay = self.random.millis(0, 200);
            let frame = Frame::End("connection reset by peer".to_string());
            self.after(delay, Happening::Arrives { connection, at_agent, frame });
        }
    }

    /// Something gets through again.
    pub(super) fn unstall(&mut self) {
        for connection in 0..self.connections.len() {
            for to_agent in [false, true] {
                let host = self.connections[connection].host;
                for frame in std::mem::take(&mut self.connections[connection].stalled[usize::from(to_agent)]) {
                    self.carry(connection, host, to_agent, frame);
                }
            }
        }
    }

    pub(super) fn arrive(&mut self, connection: usize, at_agent: bool, frame: Frame) {
        let link = &mut self.connections[connection];
        let open = if at_agent { &mut link.at_agent } else { &mut link.at_coordinator };
        let ends = matches!(frame, Frame::End(_));
        if !*open || (link.broken && !ends) {
            return;
        }
        if ends {
            *open = false;
        }
        let host = link.host;
        if at_agent {
            let doing = match frame {
                Frame::Told(command) => Doing::Heard(connection, command),
                Frame::End(_) => Doing::Broken(connection),
                Frame::Connected | Frame::Says(_) => unreachable!("an agent hears commands"),
            };
            self.doing(host, doing);
        } else {
            let mail = match frame {
                Frame::Connected => Mail::Connected(connection),
                Frame::Says(response) => Mail::Said(connection, response),
                Frame::End(cause) => Mail::Closed(connection, cause),
                Frame::Told(_) => unreachable!("a coordinator hears responses"),
            };
            self.post(mail);
        }
    }
}

//! Where connections wait that have not proved themselves: bounded, and whoever has waited longest makes room.
//!
//! There are two rooms. A connection enters the first when it is accepted and goes on to the second once its first message
//! has shown that its sender knows the secret (or repeats one who does). A thousand that say nothing therefore never drive
//! out one that has said the right thing, and the other way round.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// Connections in the first room. More than a listener accepts in a row before others get their turn.
const MAX_SILENT: usize = 256;
/// Connections in the second room.
const MAX_CLAIMING: usize = 256;

/// Somebody who waits.
struct Guest {
    address: IpAddr,
    close: Box<dyn FnOnce() + Send>,
}

/// The two rooms. Ids ascend, so the smallest has waited longest.
#[derive(Default)]
pub struct Lobby {
    silent: BTreeMap<u64, Guest>,
    claiming: BTreeMap<u64, Guest>,
}

impl Lobby {
    /// Lets connection `id` wait. If another has to make room for it, that one is closed: its address.
    pub fn enter(&mut self, id: u64, address: IpAddr, close: impl FnOnce() + Send + 'static) -> Option<IpAddr> {
        self.silent.insert(id, Guest { address, close: Box::new(close) });
        crowd_out(&mut self.silent, MAX_SILENT)
    }

    /// Its first message has shown that it knows the secret.
    pub fn claims(&mut self, id: u64) -> Option<IpAddr> {
        let guest = self.silent.remove(&id)?;
        self.claiming.insert(id, guest);
        crowd_out(&mut self.claiming, MAX_CLAIMING)
    }

    /// It waits no longer: it was let in, or it is gone. False if it had been closed to make room.
    pub fn leave(&mut self, id: u64) -> bool {
        self.silent.remove(&id).or_else(|| self.claiming.remove(&id)).is_some()
    }

    /// Closes the one that has waited longest in silence, to have its descriptor: its address.
    pub fn make_room(&mut self) -> Option<IpAddr> {
        crowd_out(&mut self.silent, 0)
    }
}

impl Drop for Lobby {
    fn drop(&mut self) {
        for room in [&mut self.silent, &mut self.claiming] {
            while crowd_out(room, 0).is_some() {}
        }
    }
}

fn crowd_out(room: &mut BTreeMap<u64, Guest>, most: usize) -> Option<IpAddr> {
    if room.len() <= most {
        return None;
    }
    let (_, guest) = room.pop_first()?;
    (guest.close)();
    Some(guest.address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::sync::{Arc, Mutex};

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn the_silent_drive_out_the_oldest_silent_and_nobody_else() {
        let closed = Arc::new(Mutex::new(Vec::new()));
        let mut lobby = Lobby::default();
        let enter = |lobby: &mut Lobby, id| {
            let closed = Arc::clone(&closed);
            lobby.enter(id, ADDRESS, move || closed.lock().unwrap().push(id))
        };
        assert_eq!(enter(&mut lobby, 1), None);
        assert_eq!(enter(&mut lobby, 2), None);
        assert_eq!(lobby.claims(1), None);
        let out = (3..1003).filter_map(|id| enter(&mut lobby, id)).count();
        assert_eq!(out, 1001 - MAX_SILENT);
        let expected: Vec<u64> = (2..1003 - MAX_SILENT as u64).collect();
        assert_eq!(*closed.lock().unwrap(), expected);
        assert!(lobby.leave(1), "who has spoken well still waits");
        assert!(!lobby.leave(2), "who has not was the first to go");
        drop(lobby);
        assert_eq!(closed.lock().unwrap().len(), 1001, "nobody is left waiting");
    }

    #[test]
    fn a_descriptor_is_taken_from_the_silent_only() {
        let mut lobby = Lobby::default();
        lobby.enter(1, ADDRESS, || ());
        lobby.claims(1);
        assert_eq!(lobby.make_room(), None);
        lobby.enter(2, ADDRESS, || ());
        assert_eq!(lobby.make_room(), Some(ADDRESS));
    }
}

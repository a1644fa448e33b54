//! Those who were not let in: told once for each address and kind, then only counted.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::handshake::HandshakeError;

/// Addresses and kinds that are told apart; whoever comes beyond is counted among the others.
const MAX_KINDS: usize = 256;

/// What somebody did who was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Knock {
    /// Said nothing, too little, or nothing in time.
    Silent,
    /// Spoke another protocol or another version of this one.
    Foreign,
    /// Did not know the secret.
    Unproven,
    /// Knew the secret and wanted something else than is served here.
    Unexpected,
    /// Was let in and then broke the rules before it had joined.
    Unruly,
    /// Had to make room for later ones.
    Crowded,
}

impl Knock {
    /// The kind of a handshake that failed.
    pub fn of(error: &HandshakeError) -> Self {
        match error {
            HandshakeError::Io(_) => Self::Silent,
            HandshakeError::Foreign => Self::Foreign,
            HandshakeError::Unproven => Self::Unproven,
            HandshakeError::Unexpected(_) => Self::Unexpected,
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Silent => "connected and did not say who it is",
            Self::Foreign => "connected and spoke another protocol, or another version of this one",
            Self::Unproven => "tried to join without the secret of this cluster",
            Self::Unexpected => "knows the secret, but came for another run or a generation that is over",
            Self::Unruly => "knows the secret, but did not join as a worker does",
            Self::Crowded => "did not say who it is and had to make room for others",
        }
    }
}

#[derive(Default)]
struct Seen {
    knocks: BTreeMap<(IpAddr, Knock), u64>,
    others: u64,
    news: Vec<String>,
}

/// The list of those who were not let in.
#[derive(Default)]
pub struct Strangers {
    seen: Mutex<Seen>,
}

impl Strangers {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        // What it holds is valid after every statement, so a panic elsewhere does not spoil it.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that somebody was not let in.
    pub fn knocked(&self, address: IpAddr, knock: Knock) {
        let mut seen = self.seen();
        if let Some(count) = seen.knocks.get_mut(&(address, knock)) {
            *count += 1;
        } else if seen.knocks.len() < MAX_KINDS {
            seen.knocks.insert((address, knock), 1);
            seen.news.push(format!("somebody at {address} {} (told once)", knock.describe()));
        } else {
            seen.others += 1;
        }
    }

    /// What is to be told now: each address and kind when it is first seen.
    pub fn news(&self) -> Vec<String> {
        std::mem::take(&mut self.seen().news)
    }

    /// What is to be told at the end: how often each came that came more than once.
    pub fn totals(&self) -> Vec<String> {
        let seen = self.seen();
        let again = seen.knocks.iter().filter(|(_, count)| **count > 1);
        let mut totals: Vec<String> = again
            .map(|((address, knock), count)| {
                format!("somebody at {address} {}: {count} times in all", knock.describe())
            })
            .collect();
        if seen.others > 0 {
            totals.push(format!("{} more connections from other addresses were not let in", seen.others));
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn each_kind_is_told_once_for_each_address_and_counted() {
        let strangers = Strangers::default();
        let (a, b) = (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)));
        for address in [a, a, a, b] {
            strangers.knocked(address, Knock::Unproven);
        }
        strangers.knocked(a, Knock::Silent);
        let news = strangers.news();
        assert_eq!(news.len(), 3, "{news:?}");
        assert_eq!(news[0], "somebody at 10.0.0.1 tried to join without the secret of this cluster (told once)");
        strangers.knocked(b, Knock::Unproven);
        assert!(strangers.news().is_empty());
        let expected = [
            "somebody at 10.0.0.1 tried to join without the secret of this cluster: 3 times in all",
            "somebody at 10.0.0.2 tried to join without the secret of this cluster: 2 times in all",
        ];
        assert_eq!(strangers.totals(), expected);
    }

    #[test]
    fn a_flood_from_many_addresses_takes_little_memory_and_few_lines() {
        let strangers = Strangers::default();
        for k in 0..100_000u32 {
            strangers.knocked(IpAddr::V4(Ipv4Addr::from_bits(k)), Knock::Foreign);
        }
        assert_eq!(strangers.news().len(), MAX_KINDS);
        assert_eq!(strangers.totals(), ["99744 more connections from other addresses were not let in"]);
    }
}

//! Mutual proof of knowing the cluster's secret, before any other byte of a connection is parsed.
//!
//! ```text
//!   dialer                                                                acceptor
//!     magic (8) | purpose (25) | nonce_d (32)                        ->
//!                                                 <-  nonce_a (32) | proof of the acceptor (32)
//!     proof of the dialer (32)                                       ->
//!
//!   proof of a side = blake3 keyed with the secret (side | purpose | nonce_d | nonce_a)
//! ```
//!
//! The purpose says what the connection is for, and for a data connection which generation and which two members; it goes
//! into both proofs, so that nothing can be replayed in another place or a later generation. All messages have fixed
//! lengths. This module holds the bytes; whoever holds the socket moves them.

use std::io::{self, Read, Write};

use crate::secret::Secret;

/// Changes with every incompatible change of the protocol.
const MAGIC: [u8; 8] = *b"nlsq\x00\x00\x00\x01";
const NONCE: usize = 32;
const PROOF: usize = 32;
const PURPOSE: usize = 25;

/// Length of the dialer's first message.
pub const HELLO: usize = MAGIC.len() + PURPOSE + NONCE;
/// Length of the acceptor's answer.
pub const CHALLENGE: usize = NONCE + PROOF;
/// Length of the dialer's second message.
pub const RESPONSE: usize = PROOF;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Agent to coordinator, for the life of the agent.
    Control,
    /// Between two members of a generation.
    Data {
        /// The generation.
        generation: u64,
        /// Index of the member that dials.
        from: u64,
        /// Index of the member that accepts.
        to: u64,
    },
}

impl Purpose {
    fn encode(self) -> [u8; PURPOSE] {
        let mut bytes = [0; PURPOSE];
        if let Self::Data { generation, from, to } = self {
            bytes[0] = 1;
            bytes[1..9].copy_from_slice(&generation.to_be_bytes());
            bytes[9..17].copy_from_slice(&from.to_be_bytes());
            bytes[17..25].copy_from_slice(&to.to_be_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8; PURPOSE]) -> Option<Self> {
        let number = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let purpose = match bytes[0] {
            0 => Self::Control,
            1 => Self::Data { generation: number(1), from: number(9), to: number(17) },
            _ => return None,
        };
        (purpose.encode() == *bytes).then_some(purpose)
    }
}

/// Why a connection was dropped.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum HandshakeError {
    #[error("the connection broke during the handshake")]
    Io(#[from] io::Error),
    #[error("the peer does not speak this protocol or another version of it")]
    Foreign,
    #[error("the peer does not know the cluster's secret")]
    Unproven,
    #[error("a connection for {0:?} is not expected here")]
    Unexpected(Purpose),
}

fn proof(secret: &Secret, side: &[u8], purpose: &[u8; PURPOSE], dialer: &[u8], acceptor: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(secret.key());
    for part in [side, purpose, dialer, acceptor] {
        hasher.update(part);
    }
    hasher.finalize()
}

fn nonce() -> io::Result<[u8; NONCE]> {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).map_err(io::Error::other)?;
    Ok(nonce)
}

/// The side that opens the connection.
pub struct Dialer {
    purpose: [u8; PURPOSE],
    nonce: [u8; NONCE],
}

impl Dialer {
    /// Begins a handshake: send [`Dialer::hello`], read a challenge, send the response.
    pub fn new(purpose: Purpose) -> io::Result<Self> {
        Ok(Self { purpose: purpose.encode(), nonce: nonce()? })
    }

    /// The first message.
    pub fn hello(&self) -> [u8; HELLO] {
        let mut hello = [0; HELLO];
        hello[..8].copy_from_slice(&MAGIC);
        hello[8..8 + PURPOSE].copy_from_slice(&self.purpose);
        hello[8 + PURPOSE..].copy_from_slice(&self.nonce);
        hello
    }

    /// Checks the acceptor's proof and gives ours.
    pub fn respond(self, secret: &Secret, challenge: &[u8; CHALLENGE]) -> Result<[u8; RESPONSE], HandshakeError> {
        let (theirs, claimed) = challenge.split_at(NONCE);
        // blake3::Hash compares in constant time.
        if proof(secret, b"acceptor", &self.purpose, &self.nonce, theirs) != *as_proof(claimed) {
            return Err(HandshakeError::Unproven);
        }
        Ok(*proof(secret, b"dialer", &self.purpose, &self.nonce, theirs).as_bytes())
    }
}

/// The side that accepts it, once it has read the first message.
pub struct Acceptor {
    purpose: Purpose,
    dialer: [u8; NONCE],
    nonce: [u8; NONCE],
}

impl Acceptor {
    /// Reads the first message.
    pub fn new(hello: &[u8; HELLO]) -> Result<Self, HandshakeError> {
        let (magic, rest) = hello.split_at(MAGIC.len());
        let (purpose, dialer) = rest.split_at(PURPOSE);
        if magic != MAGIC {
            return Err(HandshakeError::Foreign);
        }
        let purpose = Purpose::decode(purpose.try_into().expect("split at its length"));
        let purpose = purpose.ok_or(HandshakeError::Foreign)?;
        Ok(Self { purpose, dialer: dialer.try_into().expect("split at its length"), nonce: nonce()? })
    }

    /// What the dialer says the connection is for. Not proved yet: good for turning it away, for nothing else.
    pub fn claimed(&self) -> Purpose {
        self.purpose
    }

    /// Our proof, and the challenge to the dialer. Give it for an expected purpose only: it vouches for us.
    pub fn challenge(&self, secret: &Secret) -> [u8; CHALLENGE] {
        let mut challenge = [0; CHALLENGE];
        challenge[..NONCE].copy_from_slice(&self.nonce);
        let ours = proof(secret, b"acceptor", &self.purpose.encode(), &self.dialer, &self.nonce);
        challenge[NONCE..].copy_from_slice(ours.as_bytes());
        challenge
    }

    /// Checks the dialer's proof; only now does the purpose count.
    pub fn accept(self, secret: &Secret, response: &[u8; RESPONSE]) -> Result<Purpose, HandshakeError> {
        if proof(secret, b"dialer", &self.purpose.encode(), &self.dialer, &self.nonce) != *response {
            return Err(HandshakeError::Unproven);
        }
        Ok(self.purpose)
    }
}

fn as_proof(bytes: &[u8]) -> &[u8; PROOF] {
    bytes.try_into().expect("split at its length")
}

/// The dialer's part over a blocking stream. The caller sets timeouts.
pub fn dial(stream: &mut (impl Read + Write), secret: &Secret, purpose: Purpose) -> Result<(), HandshakeError> {
    let dialer = Dialer::new(purpose)?;
    stream.write_all(&dialer.hello())?;
    let mut challenge = [0; CHALLENGE];
    stream.read_exact(&mut challenge)?;
    stream.write_all(&dialer.respond(secret, &challenge)?)?;
    Ok(())
}

/// The acceptor's part over a blocking stream. The caller sets timeouts.
pub fn accept(
    stream: &mut (impl Read + Write),
    secret: &Secret,
    expected: impl Fn(Purpose) -> bool,
) -> Result<Purpose, HandshakeError> {
    let mut hello = [0; HELLO];
    stream.read_exact(&mut hello)?;
    let acceptor = Acceptor::new(&hello)?;
    if !expected(acceptor.claimed()) {
        return Err(HandshakeError::Unexpected(acceptor.claimed()));
    }
    stream.write_all(&acceptor.challenge(secret))?;
    let mut response = [0; RESPONSE];
    stream.read_exact(&mut response)?;
    acceptor.accept(secret, &response)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: Purpose = Purpose::Data { generation: 7, from: 2, to: 0 };

    #[test]
    fn both_sides_prove_themselves() {
        let secret = Secret::random().unwrap();
        for purpose in [Purpose::Control, DATA] {
            let dialer = Dialer::new(purpose).unwrap();
            let acceptor = Acceptor::new(&dialer.hello()).unwrap();
            let response = dialer.respond(&secret, &acceptor.challenge(&secret)).unwrap();
            assert_eq!(acceptor.accept(&secret, &response).unwrap(), purpose);
        }
    }

    #[test]
    fn a_stranger_is_found_out_on_either_side() {
        let (ours, theirs) = (Secret::random().unwrap(), Secret::random().unwrap());
        let dialer = Dialer::new(DATA).unwrap();
        let acceptor = Acceptor::new(&dialer.hello()).unwrap();
        let refused = dialer.respond(&ours, &acceptor.challenge(&theirs));
        assert!(matches!(refused, Err(HandshakeError::Unproven)));

        let dialer = Dialer::new(DATA).unwrap();
        let acceptor = Acceptor::new(&dialer.hello()).unwrap();
        let refused = acceptor.accept(&ours, &[0; RESPONSE]);
        assert!(matches!(refused, Err(HandshakeError::Unproven)));
    }

    #[test]
    fn an_answer_cannot_be_replayed_for_another_purpose() {
        let secret = Secret::random().unwrap();
        let dialer = Dialer::new(DATA).unwrap();
        let mut hello = dialer.hello();
        hello[16] ^= 1; // the generation's last byte
        let acceptor = Acceptor::new(&hello).unwrap();
        assert!(matches!(dialer.respond(&secret, &acceptor.challenge(&secret)), Err(HandshakeError::Unproven)));
    }

    #[test]
    fn other_protocols_are_foreign() {
        let mut hello = Dialer::new(Purpose::Control).unwrap().hello();
        hello[..4].copy_from_slice(b"GET ");
        assert!(matches!(Acceptor::new(&hello), Err(HandshakeError::Foreign)));
        let mut hello = Dialer::new(Purpose::Control).unwrap().hello();
        hello[9] = 1; // a control connection names no generation
        assert!(matches!(Acceptor::new(&hello), Err(HandshakeError::Foreign)));
    }
}

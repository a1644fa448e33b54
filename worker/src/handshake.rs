//! Mutual proof of knowing the cluster's secret, before any other byte of a connection is parsed.
//!
//! ```text
//!   dialer                                                                acceptor
//!     magic (8) | purpose (41) | least mode (1) | e, {} (48)         ->
//!                                                         <-  e, {mode} (49)
//!     {} (16)                                                        ->
//! ```
//!
//! This is Noise NNpsk0 (25519, ChaChaPoly, BLAKE2s), its first two messages and an empty third that shows the dialer
//! to be there now; `e` is a fresh public key, `{}` is sealed. The pre-shared key is derived from the secret. Everything that
//! stands before the first `e` is the prologue: it goes into every proof, so that nothing can be replayed in another place,
//! generation or run, and nobody on the way can change what the dialer asks for. Who does not know the secret is found out
//! by its first message and gets no answer. One who repeats a recorded first message gets an answer to which it cannot
//! give the third.
//!
//! The mode of the [wire](crate::wire) is the safer of what the two sides ask for; the acceptor's word on it is sealed. Keys come from
//! both fresh keys and the secret: whoever learns the secret later cannot read what was recorded. Where the mode is plain
//! they are dropped.
//!
//! All messages have fixed lengths. This module holds the bytes; whoever holds the socket moves them.

use std::fmt;
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use snow::{Builder, HandshakeState, StatelessTransportState};
use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::wire::{Mode, Opener, Sealer, TAG, keys};

/// Changes with every incompatible change of the protocol.
const MAGIC: [u8; 8] = *b"nlsq\x00\x00\x00\x02";
const PATTERN: &str = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s";
/// Says for what the secret is used, and nothing else is made of it.
const PURPOSE_OF_KEY: &str = "nlsq 2026-11-21 pre-shared key of Noise NNpsk0 between the processes of a cluster";
const PURPOSE: usize = 41;
const EPHEMERAL: usize = 32;
/// What the dialer says before its first key.
const PROLOGUE: usize = MAGIC.len() + PURPOSE + 1;

/// Length of the dialer's first message.
pub const HELLO: usize = PROLOGUE + EPHEMERAL + TAG;
/// Length of the acceptor's answer.
pub const CHALLENGE: usize = EPHEMERAL + 1 + TAG;
/// Length of the dialer's second message.
pub const RESPONSE: usize = TAG;

/// Names a run among all that share a secret, and among all checkpoints: 128 random bits. No secret itself.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct RunId(pub [u8; 16]);

impl RunId {
    /// A fresh one.
    pub fn random() -> io::Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Agent to coordinator.
    Control,
    /// Between two members of a generation.
    Data {
        /// The run that the generation belongs to.
        run: RunId,
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
        if let Self::Data { run, generation, from, to } = self {
            bytes[0] = 1;
            bytes[1..17].copy_from_slice(&run.0);
            bytes[17..25].copy_from_slice(&generation.to_be_bytes());
            bytes[25..33].copy_from_slice(&from.to_be_bytes());
            bytes[33..41].copy_from_slice(&to.to_be_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8; PURPOSE]) -> Option<Self> {
        let number = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let run = RunId(bytes[1..17].try_into().expect("sixteen bytes"));
        let purpose = match bytes[0] {
            0 => Self::Control,
            1 => Self::Data { run, generation: number(17), from: number(25), to: number(33) },
            _ => return None,
        };
        (purpose.encode() == *bytes).then_some(purpose)
    }
}

impl Mode {
    fn encode(self) -> u8 {
        match self {
            Self::Plain => 0,
            Self::Encrypted => 1,
        }
    }

    fn decode(byte: u8) -> Option<Self> {
        [Self::Plain, Self::Encrypted].into_iter().find(|mode| mode.encode() == byte)
    }
}

/// What a process brings to every handshake.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The cluster's secret.
    pub secret: Secret,
    /// The least safe mode that it takes.
    pub wire: Mode,
}

/// What both sides know after a handshake.
pub struct Agreed {
    /// What the connection is for.
    pub purpose: Purpose,
    /// Keys of the connection, unless it is plain.
    pub keys: Option<(Sealer, Opener)>,
}

impl Agreed {
    /// How the connection's bytes travel.
    pub fn mode(&self) -> Mode {
        if self.keys.is_some() { Mode::Encrypted } else { Mode::Plain }
    }
}

impl fmt::Debug for Agreed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agreed").field("purpose", &self.purpose).field("mode", &self.mode()).finish()
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

impl HandshakeError {
    /// What snow refuses is what the peer has sent, but for one case.
    fn of(error: snow::Error) -> Self {
        match error {
            snow::Error::Rng => Self::Io(io::Error::other("the system gives no random numbers")),
            _ => Self::Unproven,
        }
    }
}

/// Begins Noise: `build` finishes what both sides have in common.
fn noise(
    credentials: &Credentials,
    prologue: &[u8],
    build: impl FnOnce(Builder<'_>) -> Result<HandshakeState, snow::Error>,
) -> Result<HandshakeState, HandshakeError> {
    let key = Zeroizing::new(blake3::derive_key(PURPOSE_OF_KEY, credentials.secret.key()));
    let builder = Builder::new(PATTERN.parse().expect("a pattern that snow knows"));
    let builder = builder.psk(0, &key).and_then(|builder| builder.prologue(prologue));
    builder.and_then(build).map_err(HandshakeError::of)
}

fn transport(noise: HandshakeState) -> StatelessTransportState {
    noise.into_stateless_transport_mode().expect("both messages have been exchanged")
}

/// The side that opens the connection.
pub struct Dialer {
    purpose: Purpose,
    least: Mode,
    noise: HandshakeState,
}

impl Dialer {
    /// Begins a handshake with this first message.
    pub fn new(credentials: &Credentials, purpose: Purpose) -> Result<(Self, [u8; HELLO]), HandshakeError> {
        let mut hello = [0; HELLO];
        let (prologue, message) = hello.split_at_mut(PROLOGUE);
        let (magic, rest) = prologue.split_at_mut(MAGIC.len());
        magic.copy_from_slice(&MAGIC);
        rest[..PURPOSE].copy_from_slice(&purpose.encode());
        rest[PURPOSE] = credentials.wire.encode();
        let mut noise = noise(credentials, prologue, |builder| builder.build_initiator())?;
        noise.write_message(&[], message).map_err(HandshakeError::of)?;
        Ok((Self { purpose, least: credentials.wire, noise }, hello))
    }

    /// Checks the acceptor's proof and gives ours.
    pub fn respond(mut self, challenge: &[u8; CHALLENGE]) -> Result<(Agreed, [u8; RESPONSE]), HandshakeError> {
        let mut mode = [0];
        self.noise.read_message(challenge, &mut mode).map_err(HandshakeError::of)?;
        let mode = Mode::decode(mode[0]).filter(|mode| *mode >= self.least).ok_or(HandshakeError::Unproven)?;
        let transport = transport(self.noise);
        let mut response = [0; RESPONSE];
        transport.write_message(0, &[], &mut response).map_err(HandshakeError::of)?;
        let keys = (mode == Mode::Encrypted).then(|| keys(transport, 1, 0));
        Ok((Agreed { purpose: self.purpose, keys }, response))
    }
}

/// The side that accepts it.
pub struct Acceptor {
    purpose: Purpose,
    mode: Mode,
    transport: StatelessTransportState,
}

impl Acceptor {
    /// Reads the first message and answers it. Who sent it knows the secret, or repeats one who does.
    pub fn new(
        credentials: &Credentials,
        hello: &[u8; HELLO],
        expected: impl Fn(Purpose) -> bool,
    ) -> Result<(Self, [u8; CHALLENGE]), HandshakeError> {
        let (prologue, message) = hello.split_at(PROLOGUE);
        let (magic, rest) = prologue.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(HandshakeError::Foreign);
        }
        let purpose = Purpose::decode(rest[..PURPOSE].try_into().expect("cut at its length"));
        let purpose = purpose.ok_or(HandshakeError::Foreign)?;
        let least = Mode::decode(rest[PURPOSE]).ok_or(HandshakeError::Foreign)?;
        let mut noise = noise(credentials, prologue, |builder| builder.build_responder())?;
        noise.read_message(message, &mut []).map_err(HandshakeError::of)?;
        if !expected(purpose) {
            return Err(HandshakeError::Unexpected(purpose));
        }
        let mode = least.max(credentials.wire);
        let mut challenge = [0; CHALLENGE];
        noise.write_message(&[mode.encode()], &mut challenge).map_err(HandshakeError::of)?;
        Ok((Self { purpose, mode, transport: transport(noise) }, challenge))
    }

    /// Checks the dialer's proof; only now does the purpose count.
    pub fn accept(self, response: &[u8; RESPONSE]) -> Result<Agreed, HandshakeError> {
        self.transport.read_message(0, response, &mut []).map_err(HandshakeError::of)?;
        let keys = (self.mode == Mode::Encrypted).then(|| keys(self.transport, 0, 1));
        Ok(Agreed { purpose: self.purpose, keys })
    }
}

/// The dialer's part over a blocking stream. The caller sets timeouts.
pub fn dial(
    stream: &mut (impl Read + Write),
    credentials: &Credentials,
    purpose: Purpose,
) -> Result<Agreed, HandshakeError> {
    let (dialer, hello) = Dialer::new(credentials, purpose)?;
    stream.write_all(&hello)?;
    let mut challenge = [0; CHALLENGE];
    stream.read_exact(&mut challenge)?;
    let (agreed, response) = dialer.respond(&challenge)?;
    stream.write_all(&response)?;
    Ok(agreed)
}

/// The acceptor's part over a blocking stream. The caller sets timeouts. `claimed` is called when the first message has
/// proved its sender.
pub fn accept(
    stream: &mut (impl Read + Write),
    credentials: &Credentials,
    expected: impl Fn(Purpose) -> bool,
    claimed: impl FnOnce(),
) -> Result<Agreed, HandshakeError> {
    let mut hello = [0; HELLO];
    stream.read_exact(&mut hello)?;
    let (acceptor, challenge) = Acceptor::new(credentials, &hello, expected)?;
    claimed();
    stream.write_all(&challenge)?;
    let mut response = [0; RESPONSE];
    stream.read_exact(&mut response)?;
    acceptor.accept(&response)
}

#[cfg(test)]
#[path = "handshake_tests.rs"]
mod tests;

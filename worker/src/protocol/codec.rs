//! Frames on a control connection: a length (u32, little-endian), then that many bytes of postcard.
//!
//! How long a frame may be depends on who sends it and when: [`JOINING`], [`response_limit`], [`MAX_FRAME`]. Memory is taken
//! as bytes arrive, never because a length announces them.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// No message is longer. A manifest of 100,000 files takes about 20 MB.
pub const MAX_FRAME: usize = 64 << 20;
/// An agent's first message: a version and the name of a device.
pub const JOINING: usize = 4 << 10;
/// Bytes of the length.
pub const PREFIX: usize = 4;
/// Any other response, without what it says of each tile: a sentence with a path, or a list of tiles held.
const RESPONSE: usize = 64 << 10;
/// What a response may say of one tile: its index, its counts (up to 10 bytes each) and its statistics (32), and its range (up to 20).
const RESPONSE_PER_TILE: u64 = 128;

/// The longest response of an agent in a run over so many tiles.
pub fn response_limit(tiles: u64) -> usize {
    let of_tiles = usize::try_from(tiles.saturating_mul(RESPONSE_PER_TILE)).unwrap_or(MAX_FRAME);
    RESPONSE.saturating_add(of_tiles).min(MAX_FRAME)
}

/// Why a frame was refused.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum FrameError {
    #[error("the connection broke")]
    Io(#[from] io::Error),
    #[error("a frame of {length} bytes is longer than the limit of {limit}")]
    TooLong { length: usize, limit: usize },
    #[error("a frame could not be read")]
    Malformed(#[source] postcard::Error),
    #[error("a frame of {length} bytes has {rest} bytes too many")]
    Trailing { length: usize, rest: usize },
}

/// A message as a frame.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut frame = postcard::to_extend(message, vec![0; PREFIX]).map_err(FrameError::Malformed)?;
    let length = frame.len() - PREFIX;
    let too_long = FrameError::TooLong { length, limit: MAX_FRAME };
    let prefix = u32::try_from(length).ok().filter(|_| length <= MAX_FRAME).ok_or(too_long)?;
    frame[..PREFIX].copy_from_slice(&prefix.to_le_bytes());
    Ok(frame)
}

/// The length that a prefix announces, if it is within the limit.
fn length(prefix: [u8; PREFIX], limit: usize) -> Result<usize, FrameError> {
    let length = u32::from_le_bytes(prefix) as usize;
    if length > limit { Err(FrameError::TooLong { length, limit }) } else { Ok(length) }
}

/// The message in the bytes after the prefix.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    let (message, rest) = postcard::take_from_bytes(bytes).map_err(FrameError::Malformed)?;
    if rest.is_empty() { Ok(message) } else { Err(FrameError::Trailing { length: bytes.len(), rest: rest.len() }) }
}

/// Bytes that arrive, as messages.
#[derive(Debug, Default)]
pub struct Inbox {
    arrived: Vec<u8>,
}

impl Inbox {
    /// Where to put bytes that arrive.
    pub fn arrived(&mut self) -> &mut Vec<u8> {
        &mut self.arrived
    }

    /// The next message, once it is whole; `limit` is on its length.
    pub fn next<T: DeserializeOwned>(&mut self, limit: usize) -> Result<Option<T>, FrameError> {
        let Some((prefix, rest)) = self.arrived.split_first_chunk() else { return Ok(None) };
        let length = length(*prefix, limit)?;
        let Some(frame) = rest.get(..length) else { return Ok(None) };
        let message = decode(frame)?;
        self.arrived.drain(..PREFIX + length);
        Ok(Some(message))
    }

    /// Whether nothing is left: a connection ends between two frames only.
    pub fn is_empty(&self) -> bool {
        self.arrived.is_empty()
    }
}

/// Sends a message over a blocking stream.
pub fn send<T: Serialize>(stream: &mut impl Write, message: &T) -> Result<(), FrameError> {
    stream.write_all(&encode(message)?)?;
    Ok(stream.flush()?)
}

/// Receives a message of at most `limit` bytes over a blocking stream; `None` when the peer has closed it between two
/// frames.
pub fn receive<T: DeserializeOwned>(stream: &mut impl Read, limit: usize) -> Result<Option<T>, FrameError> {
    let mut prefix = [0; PREFIX];
    let first = loop {
        match stream.read(&mut prefix) {
            // A process that was stopped and goes on finds its read interrupted.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    match first {
        0 => return Ok(None),
        n => stream.read_exact(&mut prefix[n..])?,
    }
    let length = length(prefix, limit)?;
    let mut bytes = Vec::new();
    if stream.take(length as u64).read_to_end(&mut bytes)? < length {
        return Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into()));
    }
    decode(&bytes).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Command, Introduction, Response, RunId, TileContent};
    use nlsq_engine::data::YStatistics;
    use nlsq_engine::data::tile_set::TileSet;
    use nlsq_engine::normal::Counts;
    use proptest::prelude::*;

    #[test]
    fn messages_survive_their_frames() {
        let mut wire = Vec::new();
        send(&mut wire, &Command::Prepare { generation: 9 }).unwrap();
        send(&mut wire, &Command::Leave { reason: None }).unwrap();
        let mut inbox = Inbox::default();
        for byte in &wire {
            assert!(inbox.next::<Command>(JOINING).unwrap().is_none_or(|m| matches!(m, Command::Prepare { .. })));
            inbox.arrived().push(*byte);
        }
        assert!(matches!(inbox.next(JOINING).unwrap(), Some(Command::Leave { reason: None })));
        assert!(inbox.is_empty());
        let mut wire = wire.as_slice();
        assert!(matches!(receive(&mut wire, MAX_FRAME).unwrap(), Some(Command::Prepare { generation: 9 })));
        assert!(matches!(receive(&mut wire, MAX_FRAME).unwrap(), Some(Command::Leave { reason: None })));
        assert!(receive::<Command>(&mut wire, MAX_FRAME).unwrap().is_none());
    }

    #[test]
    fn long_and_torn_frames_are_refused() {
        for limit in [JOINING, MAX_FRAME] {
            let long = (limit as u32 + 1).to_le_bytes();
            assert!(matches!(receive::<Command>(&mut long.as_slice(), limit), Err(FrameError::TooLong { .. })));
            let mut inbox = Inbox::default();
            inbox.arrived().extend(long);
            assert!(matches!(inbox.next::<Response>(limit), Err(FrameError::TooLong { .. })));
        }
        let frame = encode(&Response::Loading { points: 1 << 40 }).unwrap();
        let torn = receive::<Response>(&mut &frame[..frame.len() - 1], MAX_FRAME);
        assert!(matches!(torn, Err(FrameError::Io(_))));
    }

    #[test]
    fn a_response_may_speak_of_every_tile() {
        let statistics = YStatistics { weight: 1.0, mean: 1.0, m2: 1.0 };
        let counts = Counts { used: u64::MAX, masked: u64::MAX, nonfinite: u64::MAX };
        for tiles in [1u64, 1000, 100_000] {
            // the worst case: large numbers, and no two tiles that are neighbours
            let index = |k| u64::MAX - 2 * (tiles - k);
            let contents: Vec<_> = (0..tiles).map(|k| TileContent { tile: index(k), counts, statistics }).collect();
            let held: TileSet = (0..tiles).map(|k| index(k)..index(k) + 1).collect();
            let loaded = encode(&Response::Loaded { request: u64::MAX, tiles: contents }).unwrap();
            let joined = encode(&Response::Joined(Box::new(Introduction {
                version: "0.1.0".into(),
                identity: u128::MAX,
                process: u32::MAX,
                device: "cpu".into(),
                threads: u64::MAX,
                holds: Some((RunId([1; 16]), held)),
            })));
            for frame in [loaded, joined.unwrap()] {
                assert!(frame.len() <= response_limit(tiles), "{tiles} tiles: {} bytes", frame.len());
            }
        }
        assert_eq!(response_limit(u64::MAX), MAX_FRAME);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<Command>(&bytes);
            let _ = decode::<Response>(&bytes);
        }
    }
}

//! Frames on a control connection: a length (u32, little-endian), then that many bytes of postcard.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// No message is longer. A manifest of 100,000 files takes about 20 MB.
pub const MAX_FRAME: usize = 64 << 20;
/// Bytes of the length.
pub const PREFIX: usize = 4;

/// Why a frame was refused.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum FrameError {
    #[error("the connection broke")]
    Io(#[from] io::Error),
    #[error("a frame of {length} bytes is longer than the limit of {MAX_FRAME}")]
    TooLong { length: usize },
    #[error("a frame could not be read")]
    Malformed(#[source] postcard::Error),
    #[error("a frame of {length} bytes has {rest} bytes too many")]
    Trailing { length: usize, rest: usize },
}

/// A message as a frame.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut frame = postcard::to_extend(message, vec![0; PREFIX]).map_err(FrameError::Malformed)?;
    let length = frame.len() - PREFIX;
    let prefix = u32::try_from(length).ok().filter(|_| length <= MAX_FRAME).ok_or(FrameError::TooLong { length })?;
    frame[..PREFIX].copy_from_slice(&prefix.to_le_bytes());
    Ok(frame)
}

/// The length that a prefix announces, if it is within the limit.
pub fn length(prefix: [u8; PREFIX]) -> Result<usize, FrameError> {
    let length = u32::from_le_bytes(prefix) as usize;
    if length > MAX_FRAME { Err(FrameError::TooLong { length }) } else { Ok(length) }
}

/// The message in the bytes after the prefix.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    let (message, rest) = postcard::take_from_bytes(bytes).map_err(FrameError::Malformed)?;
    if rest.is_empty() { Ok(message) } else { Err(FrameError::Trailing { length: bytes.len(), rest: rest.len() }) }
}

/// Sends a message over a blocking stream.
pub fn send<T: Serialize>(stream: &mut impl Write, message: &T) -> Result<(), FrameError> {
    stream.write_all(&encode(message)?)?;
    Ok(stream.flush()?)
}

/// Receives a message over a blocking stream; `None` when the peer has closed it between two frames.
pub fn receive<T: DeserializeOwned>(stream: &mut impl Read) -> Result<Option<T>, FrameError> {
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
    let mut bytes = vec![0; length(prefix)?];
    stream.read_exact(&mut bytes)?;
    decode(&bytes).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Command, Response};
    use proptest::prelude::*;

    #[test]
    fn messages_survive_their_frames() {
        let mut wire = Vec::new();
        send(&mut wire, &Command::Prepare { generation: 9 }).unwrap();
        send(&mut wire, &Command::Leave { reason: None }).unwrap();
        let mut wire = wire.as_slice();
        assert!(matches!(receive(&mut wire).unwrap(), Some(Command::Prepare { generation: 9 })));
        assert!(matches!(receive(&mut wire).unwrap(), Some(Command::Leave { reason: None })));
        assert!(receive::<Command>(&mut wire).unwrap().is_none());
    }

    #[test]
    fn long_and_torn_frames_are_refused() {
        let long = (MAX_FRAME as u32 + 1).to_le_bytes();
        assert!(matches!(receive::<Command>(&mut long.as_slice()), Err(FrameError::TooLong { .. })));
        let frame = encode(&Response::Loading { points: 1 << 40 }).unwrap();
        let torn = receive::<Response>(&mut &frame[..frame.len() - 1]);
        assert!(matches!(torn, Err(FrameError::Io(_))));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<Command>(&bytes);
            let _ = decode::<Response>(&bytes);
        }
    }
}

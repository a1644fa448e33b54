//! covariance.npy: float64, p x p, row-major, format version 1.0.

/// The bytes of the file (numpy.lib.format, version 1.0).
pub fn to_npy(covariance: &[f64], p: usize) -> Vec<u8> {
    assert_eq!(covariance.len(), p * p, "a covariance is p x p");
    let mut bytes = header(p);
    bytes.extend(covariance.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// All that stands before the entries.
fn header(p: usize) -> Vec<u8> {
    /// Magic, version and the two bytes of the header's length.
    const PREAMBLE: usize = 10;
    /// The data begin at a multiple of this.
    const ALIGNMENT: usize = 64;
    let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({p}, {p}), }}");
    let unpadded = PREAMBLE + header.len() + 1;
    header.extend(std::iter::repeat_n(' ', unpadded.next_multiple_of(ALIGNMENT) - unpadded));
    header.push('\n');
    let length = u16::try_from(header.len()).expect("a header of two numbers is short");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes
}

/// Reads what [`to_npy`] writes: the entries and p. The error says what is wrong.
pub fn from_npy(bytes: &[u8]) -> Result<(Vec<f64>, usize), String> {
    let refuse = || "it is not the covariance of a run (float64, p x p, row-major)".to_string();
    let p = (0..)
        .take_while(|p| p * p * 8 <= bytes.len())
        .find(|&p: &usize| bytes.len() == header(p).len() + 8 * p * p)
        .ok_or_else(refuse)?;
    let entries = bytes.strip_prefix(header(p).as_slice()).ok_or_else(refuse)?;
    let value = |entry: &[u8]| f64::from_le_bytes(entry.try_into().expect("chunks of eight bytes"));
    Ok((entries.chunks_exact(8).map(value).collect(), p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_numpys() {
        let bytes = to_npy(&[1.0, 2.0, 3.0, f64::NAN], 2);
        assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
        let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        assert_eq!((10 + length) % 64, 0);
        let header = std::str::from_utf8(&bytes[10..10 + length]).unwrap();
        assert!(
            header.starts_with("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }") && header.ends_with('\n')
        );
        assert_eq!(bytes.len(), 10 + length + 32);
        assert_eq!(bytes[10 + length + 16..][..8], 3.0f64.to_le_bytes());
    }

    #[test]
    fn what_was_written_is_read() {
        for p in [1, 2, 7] {
            let entries: Vec<f64> = (0..p * p).map(|k| 1.0 / (1.0 + k as f64)).collect();
            assert_eq!(from_npy(&to_npy(&entries, p)), Ok((entries, p)));
        }
        let mut bytes = to_npy(&[1.0], 1);
        bytes[20] = b'x';
        assert!(from_npy(&bytes).is_err() && from_npy(b"").is_err() && from_npy(&to_npy(&[1.0], 1)[..100]).is_err());
    }
}

//! Numbers as formats store them: widened to f64, or refused where f64 cannot hold them.

/// The type of a stored number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F16,
    F32,
    F64,
}

/// A stored number: its type and the order of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scalar {
    pub kind: Kind,
    pub big_endian: bool,
}

/// An integer that f64 cannot hold: position and value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inexact {
    pub at: usize,
    pub value: i128,
}

impl Inexact {
    /// The sentence for a person.
    pub(crate) fn what(value: i128) -> String {
        format!("the integer {value} has no exact double-precision value; subtract an offset or store it as a float")
    }
}

impl Kind {
    /// Size in bytes.
    pub(crate) fn size(self) -> usize {
        match self {
            Kind::Bool | Kind::I8 | Kind::U8 => 1,
            Kind::I16 | Kind::U16 | Kind::F16 => 2,
            Kind::I32 | Kind::U32 | Kind::F32 => 4,
            Kind::I64 | Kind::U64 | Kind::F64 => 8,
        }
    }

    /// Its name as NumPy has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Bool => "bool",
            Kind::I8 => "int8",
            Kind::I16 => "int16",
            Kind::I32 => "int32",
            Kind::I64 => "int64",
            Kind::U8 => "uint8",
            Kind::U16 => "uint16",
            Kind::U32 => "uint32",
            Kind::U64 => "uint64",
            Kind::F16 => "float16",
            Kind::F32 => "float32",
            Kind::F64 => "float64",
        }
    }
}

impl Scalar {
    /// Its name for people.
    pub(crate) fn name(self) -> String {
        let order = if self.big_endian { " (big-endian)" } else { "" };
        format!("{}{order}", self.kind.name())
    }

    /// Appends the numbers that stand at the start of each `stride` bytes. The first that f64 cannot hold is reported;
    /// the numbers before it are appended.
    pub(crate) fn decode(self, bytes: &[u8], stride: usize, out: &mut Vec<f64>) -> Result<(), Inexact> {
        macro_rules! widen {
            ($type:ty, $convert:expr) => {{
                const SIZE: usize = size_of::<$type>();
                let convert = $convert;
                // a constant stride lets the compiler vectorise
                match (self.big_endian, stride == SIZE) {
                    (false, true) => {
                        out.extend(bytes.chunks_exact(SIZE).map(|b| convert(<$type>::from_le_bytes(take(b)))))
                    }
                    (true, true) => {
                        out.extend(bytes.chunks_exact(SIZE).map(|b| convert(<$type>::from_be_bytes(take(b)))))
                    }
                    (false, false) => {
                        out.extend(bytes.chunks(stride).map(|b| convert(<$type>::from_le_bytes(take(b)))))
                    }
                    (true, false) => out.extend(bytes.chunks(stride).map(|b| convert(<$type>::from_be_bytes(take(b))))),
                }
                Ok(())
            }};
        }
        macro_rules! widen_exactly {
            ($type:ty) => {{
                for (at, b) in bytes.chunks(stride).enumerate() {
                    let value =
                        if self.big_endian { <$type>::from_be_bytes(take(b)) } else { <$type>::from_le_bytes(take(b)) };
                    out.push(exact(value.into()).ok_or(Inexact { at, value: value.into() })?);
                }
                Ok(())
            }};
        }
        match self.kind {
            Kind::Bool => widen!(u8, |v: u8| f64::from(u8::from(v != 0))),
            Kind::I8 => widen!(i8, f64::from),
            Kind::I16 => widen!(i16, f64::from),
            Kind::I32 => widen!(i32, f64::from),
            Kind::U8 => widen!(u8, f64::from),
            Kind::U16 => widen!(u16, f64::from),
            Kind::U32 => widen!(u32, f64::from),
            Kind::F16 => widen!(u16, half_to_f64),
            Kind::F32 => widen!(f32, f64::from),
            Kind::F64 => widen!(f64, |v: f64| v),
            Kind::I64 => widen_exactly!(i64),
            Kind::U64 => widen_exactly!(u64),
        }
    }
}

#[inline(always)]
fn take<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes[..N].try_into().expect("a slice of N bytes is an array of N bytes")
}

/// `value` as f64, if that is exact.
#[inline(always)]
pub(crate) fn exact(value: i128) -> Option<f64> {
    const ALL_EXACT: i128 = 1 << 53;
    if (-ALL_EXACT..=ALL_EXACT).contains(&value) {
        return Some(value as i64 as f64); // the fast way
    }
    let rounded = value as f64;
    (rounded as i128 == value).then_some(rounded)
}

/// IEEE 754 binary16, by its bits.
fn half_to_f64(bits: u16) -> f64 {
    let sign = u64::from(bits >> 15) << 63;
    let mantissa = u64::from(bits & 0x3ff);
    match u64::from((bits >> 10) & 0x1f) {
        0 => f64::from_bits((mantissa as f64 / 16_777_216.0).to_bits() | sign),
        0x1f => f64::from_bits(sign | 0x7ff << 52 | mantissa << 42),
        exponent => f64::from_bits(sign | (exponent + 1008) << 52 | mantissa << 42),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(kind: Kind, big_endian: bool, bytes: &[u8], stride: usize) -> Result<Vec<f64>, Inexact> {
        let mut out = Vec::new();
        Scalar { kind, big_endian }.decode(bytes, stride, &mut out).map(|()| out)
    }

    #[test]
    fn numbers_are_widened_in_either_order_of_bytes() {
        let bytes: Vec<u8> = [1.5f64, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(decode(Kind::F64, false, &bytes, 8).unwrap(), [1.5, -2.0]);
        assert_eq!(decode(Kind::I16, true, &[0xff, 0xfe, 0x01, 0x00], 2).unwrap(), [-2.0, 256.0]);
        assert_eq!(decode(Kind::U8, false, &[7, 0, 0, 9], 3).unwrap(), [7.0, 9.0]);
        assert_eq!(decode(Kind::Bool, false, &[0, 1, 2], 1).unwrap(), [0.0, 1.0, 1.0]);
    }

    #[test]
    fn halves_are_widened() {
        let bytes: Vec<u8> =
            [0x3c00u16, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x3555].iter().flat_map(|v| v.to_le_bytes()).collect();
        let expected = [1.0, -2.0, 2.0f64.powi(-24), 65504.0, f64::INFINITY, 1365.0 / 4096.0];
        assert_eq!(decode(Kind::F16, false, &bytes, 2).unwrap(), expected);
        assert!(decode(Kind::F16, false, &0x7e00u16.to_le_bytes(), 2).unwrap()[0].is_nan());
    }

    #[test]
    fn integers_that_f64_cannot_hold_are_refused() {
        let bytes: Vec<u8> = [1i64 << 53, (1 << 53) + 1].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(decode(Kind::I64, false, &bytes, 8), Err(Inexact { at: 1, value: (1 << 53) + 1 }));
        assert_eq!(decode(Kind::U64, false, &(1u64 << 63).to_le_bytes(), 8).unwrap(), [2f64.powi(63)]);
        assert!(decode(Kind::U64, false, &u64::MAX.to_le_bytes(), 8).is_err());
        assert_eq!(decode(Kind::I64, false, &i64::MIN.to_le_bytes(), 8).unwrap(), [-(2f64.powi(63))]);
    }
}

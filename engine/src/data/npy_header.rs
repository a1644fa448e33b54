//! The header of a NumPy array: a magic, a version, a length, and a Python literal.

use std::io::Read;

use super::scalar::{Kind, Scalar};

/// What a `.npy` file begins with.
pub(crate) const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// No header in practice comes near this; a length beyond it is damage.
const LONGEST_HEADER: u32 = 16 << 20;

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub descr: Descr,
    pub fortran_order: bool,
    pub shape: Vec<u64>,
    /// Length of the header itself: the data begin here.
    pub bytes: u64,
}

/// The type of an array's elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Descr {
    /// A real number or a boolean.
    Number(Scalar),
    /// Anything else: its code and size.
    Other { code: String, size: u64 },
    /// A record.
    Record(Vec<RecordMember>),
}

/// A member of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordMember {
    /// Empty for padding.
    pub name: String,
    pub descr: Descr,
}

impl Descr {
    /// Size of an element in bytes.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Descr::Number(scalar) => scalar.kind.size() as u64,
            Descr::Other { size, .. } => *size,
            Descr::Record(members) => members.iter().map(|member| member.descr.size()).sum(),
        }
    }

    /// Its name for people.
    pub(crate) fn name(&self) -> String {
        match self {
            Descr::Number(scalar) => scalar.name(),
            Descr::Other { code, .. } => code.clone(),
            Descr::Record(_) => "record".to_owned(),
        }
    }

    fn of_code(code: &str) -> Result<Self, String> {
        let mut chars = code.chars();
        let order = chars.next().ok_or("its header has an empty type")?;
        let (letter, digits) = if matches!(order, '<' | '>' | '|' | '=') {
            (chars.next().unwrap_or(' '), chars.as_str())
        } else {
            (order, chars.as_str())
        };
        // time types carry a unit: `<M8[ns]`
        let digits = digits.split('[').next().unwrap_or("");
        let size: u64 = if digits.is_empty() { 1 } else { digits.parse().map_err(|_| bad_type(code))? };
        let kind = match (letter, size) {
            ('f', 2) => Kind::F16,
            ('f', 4) => Kind::F32,
            ('f', 8) => Kind::F64,
            ('i', 1) => Kind::I8,
            ('i', 2) => Kind::I16,
            ('i', 4) => Kind::I32,
            ('i', 8) => Kind::I64,
            ('u', 1) => Kind::U8,
            ('u', 2) => Kind::U16,
            ('u', 4) => Kind::U32,
            ('u', 8) => Kind::U64,
            ('b' | '?', 1) => Kind::Bool,
            ('O', _) => return Err(pickled()),
            ('f' | 'c' | 'S' | 'a' | 'V' | 'M' | 'm' | 'i' | 'u', _) => return Ok(Self::other(letter, code, size)),
            ('U', _) => return Ok(Self::other(letter, code, 4 * size)),
            _ => return Err(bad_type(code)),
        };
        Ok(Descr::Number(Scalar { kind, big_endian: order == '>' && kind.size() > 1 }))
    }

    fn other(letter: char, code: &str, size: u64) -> Self {
        let what = match letter {
            'f' => "extended precision",
            'c' => "complex",
            'S' | 'a' | 'U' => "text",
            'M' | 'm' => "time",
            _ => "opaque",
        };
        Descr::Other { code: format!("{what} ({code})"), size }
    }

    fn of_literal(literal: &Literal) -> Result<Self, String> {
        match literal {
            Literal::Text(code) => Self::of_code(code),
            Literal::List(items) => {
                let members = items.iter().map(RecordMember::of_literal).collect::<Result<_, _>>()?;
                Ok(Descr::Record(members))
            }
            _ => Err("its header has no readable type".to_owned()),
        }
    }
}

impl RecordMember {
    fn of_literal(literal: &Literal) -> Result<Self, String> {
        let Literal::List(parts) = literal else { return Err("its header has a malformed record".to_owned()) };
        let name = match parts.first() {
            Some(Literal::Text(name)) => name.clone(),
            // (title, name)
            Some(Literal::List(pair)) => match &pair[..] {
                [_, Literal::Text(name)] => name.clone(),
                _ => return Err("its header has a record member without a name".to_owned()),
            },
            _ => return Err("its header has a record member without a name".to_owned()),
        };
        let descr = Descr::of_literal(parts.get(1).ok_or("its header has a record member without a type")?)?;
        match parts.get(2) {
            None => Ok(Self { name, descr }),
            Some(Literal::List(shape)) => {
                let items = shape.iter().map(Literal::count).product::<Option<u64>>();
                let size = items.and_then(|n| n.checked_mul(descr.size())).ok_or("its header has a malformed shape")?;
                Ok(Self { name, descr: Descr::Other { code: format!("array of {}", descr.name()), size } })
            }
            Some(_) => Err("its header has a malformed shape".to_owned()),
        }
    }
}

fn bad_type(code: &str) -> String {
    format!("its header has the unknown type '{code}'")
}

fn pickled() -> String {
    "it holds Python objects (dtype=object), which only Python can read; save it with a numeric dtype".to_owned()
}

impl Header {
    /// Reads a header; the error is what is wrong, without the file's name.
    pub(crate) fn read(input: &mut impl Read) -> Result<Self, String> {
        let short = |_| "it is cut short within its header".to_owned();
        let mut start = [0; 8];
        input.read_exact(&mut start).map_err(short)?;
        if &start[..6] != MAGIC {
            return Err("its content is not a NumPy array (no \\x93NUMPY at the start)".to_owned());
        }
        let (length, prefix) = match start[6] {
            1 => {
                let mut length = [0; 2];
                input.read_exact(&mut length).map_err(short)?;
                (u32::from(u16::from_le_bytes(length)), 10)
            }
            2 | 3 => {
                let mut length = [0; 4];
                input.read_exact(&mut length).map_err(short)?;
                (u32::from_le_bytes(length), 12)
            }
            version => return Err(format!("it has version {version} of the .npy format; versions 1 to 3 are known")),
        };
        if length > LONGEST_HEADER {
            return Err(format!("its header claims {length} bytes: the file is damaged"));
        }
        let mut text = vec![0; length as usize];
        input.read_exact(&mut text).map_err(short)?;
        let text = String::from_utf8(text).map_err(|_| "its header is not text: the file is damaged".to_owned())?;
        Self::parse(&text, prefix + u64::from(length))
    }

    fn parse(text: &str, bytes: u64) -> Result<Self, String> {
        let mut rest = text.trim();
        let literal = Literal::parse(&mut rest, 0)?;
        let Literal::Dict(entries) = literal else { return Err("its header is not a Python dict".to_owned()) };
        let get = |key: &str| {
            let found = entries.iter().find(|(name, _)| name == key);
            found.map(|(_, value)| value).ok_or_else(|| format!("its header has no '{key}'"))
        };
        let Literal::List(shape) = get("shape")? else { return Err("its header has a malformed shape".to_owned()) };
        let shape = shape.iter().map(Literal::count).collect::<Option<Vec<u64>>>();
        let Literal::Bool(fortran_order) = get("fortran_order")? else {
            return Err("its header has a malformed fortran_order".to_owned());
        };
        Ok(Self {
            descr: Descr::of_literal(get("descr")?)?,
            fortran_order: *fortran_order,
            shape: shape.ok_or("its header has a malformed shape")?,
            bytes,
        })
    }

    /// The shape as NumPy prints it.
    pub(crate) fn shape_text(&self) -> String {
        let sizes: Vec<String> = self.shape.iter().map(u64::to_string).collect();
        if sizes.len() == 1 { format!("({},)", sizes[0]) } else { format!("({})", sizes.join(", ")) }
    }
}

/// As much of Python's literals as headers use; tuples and lists are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Literal {
    Text(String),
    Int(u64),
    Bool(bool),
    List(Vec<Literal>),
    Dict(Vec<(String, Literal)>),
}

const DEEPEST: usize = 32;

impl Literal {
    fn count(&self) -> Option<u64> {
        if let Literal::Int(value) = self { Some(*value) } else { None }
    }

    fn parse(rest: &mut &str, depth: usize) -> Result<Self, String> {
        let bad = |rest: &str| format!("its header is malformed at `{}`", rest.chars().take(20).collect::<String>());
        *rest = rest.trim_start();
        let first = rest.chars().next().ok_or("its header ends too early")?;
        if depth > DEEPEST {
            return Err("its header is nested too deeply".to_owned());
        }
        match first {
            '\'' | '"' => Self::parse_text(rest, first),
            '(' | '[' => {
                *rest = &rest[1..];
                let close = if first == '(' { ')' } else { ']' };
                let mut items = Vec::new();
                while !eat(rest, close) {
                    items.push(Self::parse(rest, depth + 1)?);
                    if !eat(rest, ',') && !rest.trim_start().starts_with(close) {
                        return Err(bad(rest));
                    }
                }
                Ok(Literal::List(items))
            }
            '{' => {
                *rest = &rest[1..];
                let mut entries = Vec::new();
                while !eat(rest, '}') {
                    let Literal::Text(key) = Self::parse(rest, depth + 1)? else { return Err(bad(rest)) };
                    if !eat(rest, ':') {
                        return Err(bad(rest));
                    }
                    entries.push((key, Self::parse(rest, depth + 1)?));
                    if !eat(rest, ',') && !rest.trim_start().starts_with('}') {
                        return Err(bad(rest));
                    }
                }
                Ok(Literal::Dict(entries))
            }
            _ => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
                let (word, tail) = rest.split_at(end);
                let value = match word {
                    "True" => Literal::Bool(true),
                    "False" => Literal::Bool(false),
                    // Python 2 wrote 10L
                    _ => Literal::Int(word.trim_end_matches('L').parse().map_err(|_| bad(rest))?),
                };
                *rest = tail;
                Ok(value)
            }
        }
    }

    fn parse_text(rest: &mut &str, quote: char) -> Result<Self, String> {
        let mut text = String::new();
        let mut chars = rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            if c == quote {
                *rest = &rest[at + 1..];
                return Ok(Literal::Text(text));
            }
            text.push(if c == '\\' { chars.next().map_or(c, |(_, escaped)| escaped) } else { c });
        }
        Err("its header has a text without an end".to_owned())
    }
}

fn eat(rest: &mut &str, c: char) -> bool {
    *rest = rest.trim_start();
    match rest.strip_prefix(c) {
        Some(tail) => {
            *rest = tail;
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Header, String> {
        Header::parse(text, 128)
    }

    #[test]
    fn headers_as_numpy_writes_them() {
        let header = parse("{'descr': '<f8', 'fortran_order': False, 'shape': (10,), }   \n").unwrap();
        assert_eq!(header.descr, Descr::Number(Scalar { kind: Kind::F64, big_endian: false }));
        assert_eq!((header.shape.as_slice(), header.shape_text().as_str()), (&[10u64][..], "(10,)"));
        let header = parse("{'descr': '>i2', 'fortran_order': True, 'shape': (3, 4), }").unwrap();
        assert!(header.fortran_order);
        assert_eq!(header.shape_text(), "(3, 4)");
        assert_eq!(parse("{'descr': '|b1', 'fortran_order': False, 'shape': (), }").unwrap().shape.len(), 0);
        let text = "{'descr': [('t', '<f8'), ('', '|V4'), ('n\\'s', '<U3'), (('title', 'v'), '<f4', (2, 3))], \
                    'fortran_order': False, 'shape': (2,), }";
        let Descr::Record(members) = parse(text).unwrap().descr else { panic!("a record") };
        let seen: Vec<_> = members.iter().map(|m| (m.name.as_str(), m.descr.size())).collect();
        assert_eq!(seen, [("t", 8), ("", 4), ("n's", 12), ("v", 24)]);
    }

    #[test]
    fn what_is_wrong_with_a_header_is_said() {
        assert!(
            parse("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }").unwrap_err().contains("Python objects")
        );
        assert!(
            parse("{'descr': '<q8', 'fortran_order': False, 'shape': (1,), }")
                .unwrap_err()
                .contains("unknown type '<q8'")
        );
        assert!(parse("{'fortran_order': False, 'shape': (1,), }").unwrap_err().contains("no 'descr'"));
        assert!(
            parse("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }")
                .unwrap_err()
                .contains("malformed at `-1")
        );
        assert!(parse(&"(".repeat(1000)).unwrap_err().contains("nested too deeply"));
        assert!(parse("").unwrap_err().contains("ends too early"));
        assert!(Header::read(&mut &b"PK\x03\x04abcdefgh"[..]).unwrap_err().contains("not a NumPy array"));
        assert!(
            Header::read(&mut &b"\x93NUMPY\x01\x00\xff\x00{"[..]).unwrap_err().contains("cut short within its header")
        );
        assert!(Header::read(&mut &b"\x93NUMPY\x09\x00\xff\x00{"[..]).unwrap_err().contains("version 9"));
    }
}

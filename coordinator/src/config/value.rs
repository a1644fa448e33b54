//! Kinds of values, and how each is read from a flag's text and from TOML.

use nlsq_worker::memory::parse_bytes;
use toml::de::DeValue;

/// What values a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A file or directory.
    Path,
    /// A list of file names or globs.
    Files,
    /// A list of columns.
    Columns,
    /// On or off.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A finite number >= 0.
    Tolerance,
    /// A finite number > 0.
    Positive,
    /// A number between 0 and 1.
    Level,
    /// A finite number > 0, or "mad".
    LossScale,
    /// A whole number >= 1.
    Count,
    /// A whole number >= 0.
    Whole,
    /// A list of names.
    Names,
    /// A list of groups of names, each 'a,b,c'.
    Groups,
    /// A multiple of the segment length of the kernels.
    TilePoints,
    /// N or MIN..MAX.
    Workers,
    /// A size in bytes, such as 8GiB.
    Bytes,
    /// Starts of parameters.
    Starts,
}

/// A value that has passed the check of its kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text, path or word.
    Text(String),
    /// A list.
    List(Vec<String>),
    /// A number.
    Number(f64),
    /// A whole number.
    Count(u64),
    /// On or off.
    Switch(bool),
    /// A range of worker counts, both ends included.
    Workers(usize, usize),
}

/// Tiles are cut into segments of this many points; the order of sums inside a tile rests on it.
pub const SEGMENT_POINTS: u64 = 2048;

/// Above this many points a tile's indices would overflow what a kernel counts with.
const MOST_TILE_POINTS: u64 = 1 << 30;

impl Kind {
    /// What is expected, in words.
    pub fn expected(self) -> String {
        match self {
            Kind::Text => "text".into(),
            Kind::Path => "a path".into(),
            Kind::Files => "a list of file names or globs".into(),
            Kind::Columns => "a list of columns".into(),
            Kind::Switch => "true or false".into(),
            Kind::Choice(words) => format!("one of {}", words.join(", ")),
            Kind::Tolerance => "a finite number, 0 or above".into(),
            Kind::Positive => "a finite number above 0".into(),
            Kind::Level => "a number above 0 and below 1, such as 0.95".into(),
            Kind::LossScale => "a finite number above 0, or mad".into(),
            Kind::Count => "a whole number, 1 or above".into(),
            Kind::Whole => "a whole number, 0 or above".into(),
            Kind::Names => "a list of names".into(),
            Kind::Groups => "a list of groups, each \"a,b,c\"".into(),
            Kind::TilePoints => format!("a multiple of {SEGMENT_POINTS}, {SEGMENT_POINTS} to {MOST_TILE_POINTS}"),
            Kind::Bytes => "a size in bytes, such as 8GiB or 512MiB".into(),
            Kind::Workers => "N or MIN..MAX with 1 <= MIN <= MAX".into(),
            Kind::Starts => "'a=1,b=2' or auto".into(),
        }
    }

    /// Reads a flag's text; the error says what was expected.
    pub fn read_text(self, text: &str) -> Result<Value, String> {
        let refuse = || self.expected();
        match self {
            Kind::Text | Kind::Path | Kind::Starts => some_text(text).ok_or_else(refuse),
            Kind::Files | Kind::Columns => some_text(text).map(|_| Value::List(vec![text.into()])).ok_or_else(refuse),
            Kind::Switch => text.parse().map(Value::Switch).map_err(|_| refuse()),
            Kind::Choice(words) => {
                words.contains(&text).then(|| Value::Text(text.into())).ok_or_else(|| suggest_word(text, words))
            }
            Kind::LossScale if text == "mad" => Ok(Value::Text(text.into())),
            Kind::Tolerance | Kind::Positive | Kind::LossScale | Kind::Level => {
                text.trim().parse().ok().and_then(|number| self.check_number(number)).ok_or_else(refuse)
            }
            Kind::Groups => {
                let named = text.split(',').all(|name| !name.trim().is_empty());
                named.then(|| Value::List(vec![text.to_string()])).ok_or_else(refuse)
            }
            Kind::Names => {
                let names: Vec<String> = text.split(',').map(|name| name.trim().to_string()).collect();
                names.iter().all(|name| !name.is_empty()).then_some(Value::List(names)).ok_or_else(refuse)
            }
            Kind::Count | Kind::TilePoints | Kind::Whole => {
                text.trim().parse().ok().and_then(|count| self.check_count(count)).ok_or_else(refuse)
            }
            Kind::Workers => read_workers(text).ok_or_else(refuse),
            Kind::Bytes => parse_bytes(text).map(Value::Count).map_err(|_| refuse()),
        }
    }

    /// Reads a value of the job file; the error says what was expected.
    pub fn read_toml(self, value: &DeValue<'_>) -> Result<Value, String> {
        let refuse = || self.expected();
        match self {
            Kind::Files | Kind::Columns | Kind::Names | Kind::Groups => match value {
                DeValue::String(text) => self.read_text(text),
                DeValue::Array(items) if !items.is_empty() => {
                    let texts = items.iter().map(|item| item.get_ref().as_str().filter(|text| !text.trim().is_empty()));
                    let texts: Option<Vec<String>> = texts.map(|text| text.map(String::from)).collect();
                    texts.map(Value::List).ok_or_else(refuse)
                }
                _ => Err(refuse()),
            },
            Kind::Switch => value.as_bool().map(Value::Switch).ok_or_else(refuse),
            Kind::LossScale if value.as_str() == Some("mad") => Ok(Value::Text("mad".into())),
            Kind::Tolerance | Kind::Positive | Kind::LossScale | Kind::Level => {
                number(value).and_then(|v| self.check_number(v)).ok_or_else(refuse)
            }
            Kind::Count | Kind::TilePoints | Kind::Whole => {
                count(value).and_then(|v| self.check_count(v)).ok_or_else(refuse)
            }
            Kind::Workers => match value {
                DeValue::Integer(_) => count(value).and_then(|n| read_workers(&n.to_string())).ok_or_else(refuse),
                DeValue::String(text) => self.read_text(text),
                _ => Err(refuse()),
            },
            Kind::Bytes => match value {
                DeValue::Integer(_) => count(value).filter(|&bytes| bytes > 0).map(Value::Count).ok_or_else(refuse),
                DeValue::String(text) => self.read_text(text),
                _ => Err(refuse()),
            },
            Kind::Starts => match value.as_str() {
                Some("auto") => Ok(Value::Text("auto".into())),
                _ => Err("\"auto\" (single starts stand in [parameters])".into()),
            },
            Kind::Text | Kind::Path | Kind::Choice(_) => match value.as_str() {
                Some(text) => self.read_text(text),
                None => Err(refuse()),
            },
        }
    }

    fn check_number(self, number: f64) -> Option<Value> {
        let lawful = match self {
            Kind::Tolerance => number >= 0.0,
            Kind::Level => number > 0.0 && number < 1.0,
            _ => number > 0.0,
        } && number.is_finite();
        lawful.then_some(Value::Number(number))
    }

    fn check_count(self, count: u64) -> Option<Value> {
        let lawful = match self {
            Kind::TilePoints => count > 0 && count.is_multiple_of(SEGMENT_POINTS) && count <= MOST_TILE_POINTS,
            Kind::Whole => true,
            _ => count > 0,
        };
        lawful.then_some(Value::Count(count))
    }
}

/// A TOML value as a person would name it: its type, and itself where it is short.
pub fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text \"{text}\""),
        DeValue::Integer(number) => format!("the whole number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(truth) => format!("{truth}"),
        DeValue::Datetime(_) => "a date".into(),
        DeValue::Array(items) if items.is_empty() => "an empty list".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}

/// A TOML number of either type.
pub fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Float(number) => number.as_str().parse().ok(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n as f64),
        _ => None,
    }
}

fn count(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn some_text(text: &str) -> Option<Value> {
    (!text.trim().is_empty()).then(|| Value::Text(text.into()))
}

fn suggest_word(text: &str, words: &[&str]) -> String {
    let list = format!("one of {}", words.join(", "));
    match text.split(':').next() {
        Some("cuda") => format!("{list}; this build has no CUDA device support"),
        _ => list,
    }
}

fn read_workers(text: &str) -> Option<Value> {
    let (min, max) = match text.split_once("..") {
        Some((min, max)) => (min.trim().parse().ok()?, max.trim().parse().ok()?),
        None => {
            let n: usize = text.trim().parse().ok()?;
            (n, n)
        }
    };
    (1 <= min && min <= max).then_some(Value::Workers(min, max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_bounds() {
        assert_eq!(Kind::Tolerance.read_text("0"), Ok(Value::Number(0.0)));
        assert_eq!(Kind::Tolerance.read_text("1e-3"), Ok(Value::Number(1e-3)));
        for bad in ["-1e-9", "nan", "inf", "", "1e", "abc"] {
            assert!(Kind::Tolerance.read_text(bad).is_err(), "{bad}");
        }
        assert!(Kind::Positive.read_text("0").is_err());
        assert_eq!(Kind::Level.read_text("0.9"), Ok(Value::Number(0.9)));
        assert!(["0", "1", "95", "nan"].iter().all(|bad| Kind::Level.read_text(bad).is_err()));
        assert!(Kind::Count.read_text("0").is_err() && Kind::Count.read_text("1.5").is_err());
        assert_eq!(Kind::TilePoints.read_text("4096"), Ok(Value::Count(4096)));
        assert!(Kind::TilePoints.read_text("0").is_err() && Kind::TilePoints.read_text("1000").is_err());
    }

    #[test]
    fn workers_are_a_number_or_a_range() {
        assert_eq!(Kind::Workers.read_text("4"), Ok(Value::Workers(4, 4)));
        assert_eq!(Kind::Workers.read_text("4..8"), Ok(Value::Workers(4, 8)));
        for bad in ["0", "8..4", "..4", "4..", "4-8", "-1", "x"] {
            assert!(Kind::Workers.read_text(bad).is_err(), "{bad}");
        }
    }
}

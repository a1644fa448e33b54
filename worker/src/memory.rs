//! How much memory an agent may use for tiles, and whether more of them fit.

use std::fs;

use nlsq_engine::data::source::{Layout, TileSource, Weighting};

/// Part of what the system allows that is used for tiles; the rest is for the program, its libraries and its sums.
const SHARE: f64 = 0.9;

/// Bytes that this process may use, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// For tiles and for reading them.
    pub bytes: u64,
    /// Who says so.
    pub source: &'static str,
}

impl Budget {
    /// What is set, else the least of what address-space limit, control group and machine leave to this process.
    pub fn of_this_process(set: Option<u64>) -> Self {
        let left = [
            (address_space(), "the limit on address space (ulimit -v)"),
            (control_group(), "the control group's limit"),
            (machine(), "the machine's memory"),
        ];
        let system = left
            .into_iter()
            .filter_map(|(bytes, source)| Some(Self { bytes: (bytes? as f64 * SHARE) as u64 + resident(), source }));
        let set = set.map(|bytes| Self { bytes, source: "--memory" });
        let all = system.chain(set);
        all.min_by_key(|budget| budget.bytes).unwrap_or(Self { bytes: u64::MAX, source: "no limit known" })
    }

    /// What is left for more tiles beside `holds` bytes of them and `reading` bytes that reading takes.
    pub fn left(&self, holds: u64, reading: u64) -> u64 {
        self.bytes.saturating_sub(holds.saturating_add(reading))
    }

    /// Why only `room` tiles fit, for people.
    pub fn refusal(&self, room: u64) -> String {
        format!("has room for {room} tiles: {} allows {} MiB", self.source, self.bytes >> 20)
    }
}

/// Reads a size such as 8GiB, 512MiB, 1.5GB or 4096.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 10] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("kB", 1_000),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("B", 1),
    ];
    let text = text.trim();
    let unit = UNITS.iter().find(|(name, _)| text.ends_with(name));
    let (number, factor) = unit.map_or((text, 1), |(name, factor)| (text.trim_end_matches(name).trim_end(), *factor));
    let bytes = number.parse::<f64>().ok().map(|number| number * factor as f64);
    match bytes.filter(|bytes| (1.0..9e18).contains(bytes)) {
        Some(bytes) => Ok(bytes as u64),
        None => Err(format!("\"{text}\" is no size: expected a number of bytes such as 8GiB, 512MiB or 4096")),
    }
}

/// Bytes of a tile at least: 4 for each value. How many it takes is known when it has been read.
pub fn least_tile_bytes(layout: &Layout, tile_points: u64) -> u64 {
    4 * columns(layout) * tile_points
}

fn columns(layout: &Layout) -> u64 {
    layout.variables.len() as u64 + 1 + u64::from(layout.weighting != Weighting::None)
}

/// Bytes that reading takes beside the tiles: each thread holds a run of points with all columns of the model, decoded and
/// as it is stored.
pub fn reading_bytes(source: &dyn TileSource, tile_points: u64, threads: usize) -> u64 {
    let run = source.run_points().max(tile_points).min(source.n_points());
    2 * run * 8 * columns(source.layout()) * threads as u64
}

/// What `ulimit -v` leaves.
fn address_space() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let limit: u64 = field(&limits, "Max address space")?.parse().ok()?;
    let used = kibibytes(&fs::read_to_string("/proc/self/status").ok()?, "VmSize:")?;
    Some(limit.saturating_sub(used))
}

/// What the control group (version 2) of this process leaves.
fn control_group() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let of = |name: &str| fs::read_to_string(format!("/sys/fs/cgroup{path}/{name}")).ok();
    let number = |name: &str| of(name)?.trim().parse::<u64>().ok();
    let limit = number("memory.max")?;
    Some(limit.saturating_sub(number("memory.current").unwrap_or(0)))
}

/// What the machine has left without swapping.
fn machine() -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// What this process has in use: it is in none of the figures of what is left.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    kibibytes(&status, "VmRSS:").unwrap_or(0)
}

/// The first word after a name at the begin of a line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    Some(field(text, name)?.parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_what_tiles_and_reading_leave() {
        let budget = Budget { bytes: 100 << 20, source: "--memory" };
        assert_eq!(budget.left(20 << 20, 10 << 20), 70 << 20);
        assert_eq!(budget.left(u64::MAX, 10), 0);
        assert_eq!(budget.refusal(9), "has room for 9 tiles: --memory allows 100 MiB");
    }

    #[test]
    fn this_process_has_a_budget_and_a_set_one_wins_if_it_is_smaller() {
        let own = Budget::of_this_process(None);
        assert!(own.bytes > 1 << 20 && own.bytes < u64::MAX, "{own:?}");
        assert_eq!(Budget::of_this_process(Some(4096)), Budget { bytes: 4096, source: "--memory" });
    }

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [("8GiB", 8 << 30), ("1.5 MiB", 3 << 19), ("4096", 4096), ("2kB", 2000), ("7 B", 7)] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "GiB", "-1", "0", "nan", "1e30", "8 Gigs"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn figures_are_found_by_their_names() {
        assert_eq!(kibibytes("VmPeak:  9 kB\nVmRSS:\t  12 kB\n", "VmRSS:"), Some(12 << 10));
        assert_eq!(
            field("Max address space         unlimited            unlimited  bytes", "Max address space"),
            Some("unlimited")
        );
    }
}

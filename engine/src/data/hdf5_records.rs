//! Rows of HDF5 datasets, read where they stand in the file, and what storage a dataset has.
//!
//! The library's safe interface needs the members of a record (a compound type) when the program is built. So the bytes of records are
//! read by position: contiguous ones as they are, chunked ones after undoing `shuffle` and `deflate`. Numbers in such chunks
//! are read that way too: the library (1.10) believes the lengths that a damaged file gives its chunks, and reads beyond them.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use flate2::read::ZlibDecoder;
use hdf5::Dataset;
use hdf5::datatype::ByteOrder;
use hdf5::filters::Filter;
use hdf5::types::CompoundType;

use super::hdf5::kind_of;
use super::scalar::{Inexact, Kind, Scalar};
use super::source::DataError;
use super::table::FileRef;

/// Chunks that are listed at most: the library finds the k-th by counting.
const MOST_CHUNKS: usize = 10_000;

/// A dataset of records, or of numbers, each row of which is then a record.
#[derive(Debug)]
pub(crate) struct Records {
    path: String,
    /// Bytes of a record.
    size: usize,
    /// Bytes of what `shuffle` takes for one element.
    element: usize,
    rows: u64,
    members: Vec<(String, usize, Option<Scalar>)>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// From this byte of the file on.
    Contiguous(u64),
    /// In chunks of so many rows, packed by these filters in this order; where they are is asked on first use.
    Chunked { rows: u64, filters: Vec<Unpack>, chunks: OnceLock<Vec<Chunk>> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unpack {
    Shuffle,
    Deflate,
}

/// The chunk that was unpacked last, and its bytes: several columns and blocks may want it.
#[derive(Debug, Default)]
pub(super) struct Unpacked(Option<usize>, Vec<u8>);

/// A chunk: its first row, where it is, and which filters were left out.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    row: u64,
    offset: u64,
    bytes: u64,
    left_out: u32,
}

impl Records {
    /// Lays a dataset of records out. The error is why its members cannot be read.
    pub(super) fn new(dataset: &Dataset, path: &str, compound: &CompoundType) -> Result<Self, String> {
        let big_endian = is_big_endian(dataset).ok_or("its members have different orders of bytes")?;
        let scalar = |kind| Scalar { kind, big_endian };
        let members = compound.fields.iter().map(|f| (f.name.clone(), f.offset, kind_of(&f.ty).map(scalar))).collect();
        let place = match (dataset.offset(), dataset.chunk()) {
            (Some(offset), _) => Place::Contiguous(offset),
            (None, Some(chunk)) => {
                let filters = unpacking(dataset).map_err(|other| {
                    format!("records packed by {} are not read; expected gzip", filter_name(&other))
                })?;
                Place::Chunked { rows: chunk[0] as u64, filters, chunks: OnceLock::new() }
            }
            _ => return Err("its records were never written, or stand in the file's header".to_owned()),
        };
        let rows = dataset.shape()[0] as u64;
        Ok(Self { path: path.to_owned(), size: compound.size, element: compound.size, rows, members, place })
    }

    /// Numbers as records of one row each. `None` where the library must read them: in chunks that do not hold whole rows or
    /// were never written, packed by other filters, or not in chunks.
    pub(super) fn of_numbers(dataset: &Dataset, path: &str, kind: Kind) -> Option<Self> {
        let (shape, chunk) = (dataset.shape(), dataset.chunk()?);
        let (rows, width) = (shape[0], shape.get(1).copied().unwrap_or(1));
        if *chunk.first()? == 0 || chunk.get(1).is_some_and(|&columns| columns != width) {
            return None;
        }
        let (filters, count) = (unpacking(dataset).ok()?, dataset.num_chunks()?);
        if count > MOST_CHUNKS || count != rows.div_ceil(chunk[0]) {
            return None;
        }
        let element = dataset.dtype().ok()?.size();
        let scalar = Scalar { kind, big_endian: is_big_endian(dataset)? };
        Some(Self {
            path: path.to_owned(),
            size: element * width,
            element,
            rows: rows as u64,
            members: (0..width).map(|k| (String::new(), k * element, Some(scalar))).collect(),
            place: Place::Chunked { rows: chunk[0] as u64, filters, chunks: OnceLock::new() },
        })
    }

    /// The dataset's path.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Names and types of the members; no type for what is not a number.
    pub(super) fn members(&self) -> impl Iterator<Item = (&str, Option<Scalar>)> {
        self.members.iter().map(|(name, _, scalar)| (name.as_str(), *scalar))
    }

    /// Appends one member of some records.
    pub(super) fn read(
        &self,
        file: &FileRef,
        dataset: &Dataset,
        rows: Range<u64>,
        member: usize,
        last: &mut Unpacked,
        out: &mut Vec<f64>,
    ) -> Result<Result<(), Inexact>, DataError> {
        let bytes = self.bytes(file, dataset, rows, last)?;
        let (_, offset, scalar) = &self.members[member];
        let scalar = scalar.expect("members of other types are refused when they are bound");
        let from = if bytes.is_empty() { &[][..] } else { &bytes[*offset..] };
        Ok(scalar.decode(from, self.size, out))
    }

    fn bytes(
        &self,
        file: &FileRef,
        dataset: &Dataset,
        rows: Range<u64>,
        last: &mut Unpacked,
    ) -> Result<Vec<u8>, DataError> {
        let failed = |what: String| file.error(format!("cannot read {}: {what}", self.path));
        let handle = file.open()?;
        let size = self.size as u64;
        match &self.place {
            Place::Contiguous(offset) => {
                let mut bytes = vec![0; ((rows.end - rows.start) * size) as usize];
                handle.read_exact_at(&mut bytes, offset + rows.start * size).map_err(|e| failed(e.to_string()))?;
                Ok(bytes)
            }
            Place::Chunked { rows: chunk_rows, filters, chunks } => {
                let chunks = chunks.get_or_init(|| list(dataset));
                let mut bytes = Vec::with_capacity(((rows.end - rows.start) * size) as usize);
                let mut row = rows.start;
                while row < rows.end {
                    let first = row / chunk_rows * chunk_rows;
                    let found = chunks.binary_search_by_key(&first, |chunk| chunk.row);
                    let chunk = found.map_err(|_| failed(format!("rows from {} on were never written", first + 1)))?;
                    if last.0 != Some(chunk) {
                        let most = chunk_rows.saturating_mul(size);
                        *last = Unpacked(None, self.unpack(&handle, &chunks[chunk], filters, most).map_err(failed)?);
                        last.0 = Some(chunk);
                    }
                    let end = rows.end.min(first + chunk_rows).min(self.rows);
                    let part = last.1.get(((row - first) * size) as usize..((end - first) * size) as usize);
                    bytes.extend_from_slice(part.ok_or_else(|| failed("a chunk is cut short".to_owned()))?);
                    row = end;
                }
                Ok(bytes)
            }
        }
    }

    /// The bytes of a chunk, of which no more than `most` are wanted.
    fn unpack(&self, handle: &File, chunk: &Chunk, filters: &[Unpack], most: u64) -> Result<Vec<u8>, String> {
        let length = handle.metadata().map_err(|e| e.to_string())?.len();
        if chunk.offset.checked_add(chunk.bytes).is_none_or(|end| end > length) {
            return Err("a chunk ends behind the end of the file".to_owned());
        }
        let mut bytes = vec![0; chunk.bytes as usize];
        handle.read_exact_at(&mut bytes, chunk.offset).map_err(|e| e.to_string())?;
        for (k, filter) in filters.iter().enumerate().rev() {
            if chunk.left_out >> k & 1 == 1 {
                continue;
            }
            bytes = match filter {
                Unpack::Shuffle => unshuffle(&bytes, self.element),
                Unpack::Deflate => {
                    let mut plain = Vec::new();
                    ZlibDecoder::new(bytes.as_slice()).take(most).read_to_end(&mut plain).map_err(|e| e.to_string())?;
                    plain
                }
            };
        }
        Ok(bytes)
    }
}

/// The order of bytes, if it is one.
fn is_big_endian(dataset: &Dataset) -> Option<bool> {
    match dataset.dtype().ok()?.byte_order() {
        ByteOrder::LittleEndian | ByteOrder::None => Some(false),
        ByteOrder::BigEndian => Some(true),
        _ => None,
    }
}

/// The filters of a dataset, if all of them can be undone here; else the first that cannot.
fn unpacking(dataset: &Dataset) -> Result<Vec<Unpack>, Filter> {
    let known = |filter| match filter {
        Filter::Shuffle => Ok(Unpack::Shuffle),
        Filter::Deflate(_) => Ok(Unpack::Deflate),
        other => Err(other),
    };
    dataset.filters().into_iter().map(known).collect()
}

/// The chunks of a dataset in the order of rows.
fn list(dataset: &Dataset) -> Vec<Chunk> {
    let count = dataset.num_chunks().unwrap_or(0);
    let of = |info: hdf5::dataset::ChunkInfo| Chunk {
        row: info.offset.first().copied().unwrap_or(0),
        offset: info.addr,
        bytes: info.size,
        left_out: info.filter_mask,
    };
    let mut chunks: Vec<Chunk> = (0..count).filter_map(|k| dataset.chunk_info(k)).map(of).collect();
    chunks.sort_unstable_by_key(|chunk| chunk.row);
    chunks
}

/// Undoes HDF5's shuffle: byte j of every record stood together, for each j in turn.
fn unshuffle(bytes: &[u8], size: usize) -> Vec<u8> {
    let n = bytes.len() / size;
    let mut plain = bytes.to_vec(); // bytes beyond whole records are not shuffled
    for j in 0..size {
        for i in 0..n {
            plain[i * size + j] = bytes[j * n + i];
        }
    }
    plain
}

/// Why a dataset cannot be unpacked here, if it cannot.
pub(super) fn filter_refusal(dataset: &Dataset) -> Option<String> {
    let missing = dataset.filters().into_iter().find(|filter| !filter.is_available())?;
    Some(format!(
        "the dataset uses filter {} ({}), which is not installed; set HDF5_PLUGIN_PATH to the folder of its plugin",
        missing.id(),
        filter_name(&missing)
    ))
}

fn filter_name(filter: &Filter) -> &'static str {
    // registered numbers: https://github.com/HDFGroup/hdf5_plugins/blob/master/docs/RegisteredFilterPlugins.md
    match filter.id() {
        1 => "gzip",
        2 => "shuffle",
        3 => "fletcher32",
        4 => "szip",
        5 => "nbit",
        6 => "scale-offset",
        307 => "bzip2",
        32_000 => "lzf",
        32_001 => "blosc",
        32_004 => "lz4",
        32_008 => "bitshuffle",
        32_013 => "zfp",
        32_015 => "zstd",
        32_017 => "sz",
        32_024 => "sz3",
        32_026 => "blosc2",
        _ => "of a plugin",
    }
}

/// Shape of the chunks and the filters, for people.
pub(super) fn storage(dataset: &Dataset) -> String {
    let mut parts = Vec::new();
    let shape = dataset.shape();
    if shape.len() > 1 {
        parts.push(format!("shape {shape:?}"));
    }
    if let Some(chunk) = dataset.chunk() {
        parts.push(format!("chunks {chunk:?}"));
    }
    parts.extend(dataset.filters().iter().map(|filter| filter_name(filter).to_owned()));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unshuffling_gathers_the_bytes_of_a_record() {
        assert_eq!(unshuffle(&[1, 4, 2, 5, 3, 6, 7], 3), [1, 2, 3, 4, 5, 6, 7]);
    }
}

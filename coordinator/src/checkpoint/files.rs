//! The few things that checkpoints do to files, one call each: so that a test can fail or end every one of them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// A file system, as far as checkpoints need one.
pub trait Files: Send {
    /// Makes a folder, if it is not there.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;
    /// Makes a file, or empties it.
    fn create(&self, path: &Path) -> io::Result<()>;
    /// Adds to its end.
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Returns when its content is on the disk.
    fn sync(&self, path: &Path) -> io::Result<()>;
    /// Gives it another name, in place of whatever had that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Returns when the names in a folder are on the disk.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// Takes it away.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// The names in a folder; none if there is no such folder.
    fn names(&self, folder: &Path) -> io::Result<Vec<String>>;
    /// Its content.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
}

/// That of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)
    }

    fn create(&self, path: &Path) -> io::Result<()> {
        File::create(path).map(drop)
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        File::options().append(true).open(path)?.write_all(bytes)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let name = |entry: io::Result<fs::DirEntry>| entry.map(|e| e.file_name().to_string_lossy().into_owned());
        entries.map(name).collect()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }
}

//! The folder of checkpoints: `pass-000012.ckpt`, the newest few, each written so that it is whole or not there.

use std::io;
use std::path::{Path, PathBuf};

use nlsq_worker::handshake::RunId;

use super::error::Damage;
use super::files::{Disk, Files};
use super::format::{Checkpoint, MAGIC, frame};

/// What a file's name ends with while it is written.
const PARTIAL: &str = ".partial";

/// The file that says whose run has left its result.
const FINISHED: &str = "finished";

/// The folder of checkpoints of a run.
#[derive(Debug)]
pub struct Store<F = Disk> {
    files: F,
    folder: PathBuf,
}

/// A checkpoint that was found, and those newer ones that are damaged.
#[derive(Debug)]
pub struct Found {
    /// The newest valid one, and where it is.
    pub newest: Option<(PathBuf, Checkpoint)>,
    /// Those that were skipped, each with what is wrong.
    pub skipped: Vec<(PathBuf, String)>,
}

impl Store<Disk> {
    /// A folder of this machine.
    pub fn new(folder: PathBuf) -> Self {
        Self { files: Disk, folder }
    }
}

impl<F: Files> Store<F> {
    /// A folder of any file system.
    pub fn on(files: F, folder: PathBuf) -> Self {
        Self { files, folder }
    }

    /// The place of the checkpoint after a pass.
    pub fn path(&self, pass: u64) -> PathBuf {
        self.folder.join(format!("pass-{pass:06}.ckpt"))
    }

    /// Writes a checkpoint and keeps the newest `keep`; its length. If this fails, those there were are still there.
    pub fn save(&self, pass: u64, sections: [&[u8]; 5], keep: usize) -> io::Result<u64> {
        self.files.make_folder(&self.folder)?;
        let (header, digest) = frame(sections);
        let parts: Vec<&[u8]> =
            std::iter::once(header.as_slice()).chain(sections).chain(std::iter::once(digest.as_slice())).collect();
        self.replace(&self.path(pass), &parts)?;
        // what stays too long takes room and nothing else
        let _ = self.remove_older(pass, keep);
        Ok(parts.iter().map(|part| part.len() as u64).sum())
    }

    /// Puts a file in the place of another one at once: under a temporary name first, and on the disk before it has its own.
    pub fn replace(&self, path: &Path, parts: &[&[u8]]) -> io::Result<()> {
        let mut partial = path.as_os_str().to_os_string();
        partial.push(PARTIAL);
        let partial = PathBuf::from(partial);
        let written = self.files.create(&partial).and_then(|()| {
            parts.iter().filter(|part| !part.is_empty()).try_for_each(|part| self.files.append(&partial, part))?;
            self.files.sync(&partial)?;
            self.files.rename(&partial, path)
        });
        if let Err(error) = written {
            // its room may be what is missing
            let _ = self.files.remove(&partial);
            return Err(error);
        }
        self.files.sync_folder(path.parent().unwrap_or(&self.folder))
    }

    /// Passes of which there are checkpoints, ascending, with their names.
    fn listed(&self) -> io::Result<Vec<(u64, String)>> {
        let names = self.files.names(&self.folder)?;
        let mut listed: Vec<(u64, String)> =
            names.into_iter().filter_map(|name| Some((pass_of(&name)?, name))).collect();
        listed.sort();
        Ok(listed)
    }

    fn remove_older(&self, pass: u64, keep: usize) -> io::Result<()> {
        let listed = self.listed()?;
        let older: Vec<&String> = listed.iter().filter(|(of, _)| *of <= pass).map(|(_, name)| name).collect();
        for name in older.iter().rev().skip(keep) {
            self.files.remove(&self.folder.join(name))?;
        }
        Ok(())
    }

    /// Removes the checkpoints of another run, and what a process that was killed left half-written.
    pub fn clear(&self) -> io::Result<()> {
        // first of all that the other run is finished is no longer true
        let ours = |name: &String| name == FINISHED || name.ends_with(PARTIAL) || pass_of(name).is_some();
        let mut names: Vec<String> = self.files.names(&self.folder)?.into_iter().filter(ours).collect();
        names.sort_by_key(|name| name != FINISHED);
        names.iter().try_for_each(|name| self.files.remove(&self.folder.join(name)))
    }

    /// Looks for the newest valid checkpoint.
    pub fn newest(&self) -> io::Result<Found> {
        let mut skipped = Vec::new();
        for (_, name) in self.listed()?.into_iter().rev() {
            let path = self.folder.join(name);
            let read = self.files.read(&path).map_err(|error| error.to_string());
            let decoded =
                read.and_then(|bytes| Checkpoint::decode(&bytes).map_err(|damage: Damage| damage.to_string()));
            match decoded {
                Ok(checkpoint) => return Ok(Found { newest: Some((path, checkpoint)), skipped }),
                Err(why) => skipped.push((path, why)),
            }
        }
        Ok(Found { newest: None, skipped })
    }

    /// The name of the newest, valid or not.
    pub fn newest_name(&self) -> Option<String> {
        self.listed().ok()?.pop().map(|(_, name)| name)
    }

    /// Notes that a run has left its result. It is not waited for: if the note is lost, a resume repeats the last steps.
    pub fn finish(&self, run: RunId) -> io::Result<()> {
        let path = self.folder.join(FINISHED);
        self.files.create(&path)?;
        self.files.append(&path, format!("{run}\n").as_bytes())
    }

    /// Whether that run has left its result.
    pub fn is_finished(&self, run: RunId) -> bool {
        let text = self.files.read(&self.folder.join(FINISHED)).unwrap_or_default();
        String::from_utf8_lossy(&text).trim() == run.to_string()
    }
}

/// The pass in the name of a checkpoint.
fn pass_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("pass-")?.strip_suffix(".ckpt")?;
    let plain = digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// Whether a file is a checkpoint, by its name or by what it begins with.
pub fn is_checkpoint(path: &Path) -> bool {
    let begins = || -> io::Result<bool> {
        let mut start = [0; MAGIC.len()];
        io::Read::read_exact(&mut std::fs::File::open(path)?, &mut start)?;
        Ok(start == *MAGIC)
    };
    path.extension().is_some_and(|extension| extension == "ckpt") || begins().unwrap_or(false)
}

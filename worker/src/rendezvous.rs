//! The file through which workers find a coordinator that nobody can name beforehand, as inside a batch job: where it listens,
//! and the secret of its cluster.
//!
//! ```text
//!   nlsq rendezvous 1
//!   address 10.0.3.17:40871
//!   address [fd00::17]:40871
//!   secret 64 hexadecimal digits
//! ```
//!
//! It is as private as a token file: mode 600, of one's own. It appears whole (written beside its place, then renamed), and each
//! coordinator writes a new one with a new secret. So a worker reads it anew before every attempt to connect, and whatever a
//! dead coordinator has left leads nowhere: nobody there knows the secret.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::secret::Secret;

const HEAD: &str = "nlsq rendezvous 1";
/// More addresses than any host has.
const MAX_ADDRESSES: usize = 256;
/// A file longer than this is no rendezvous.
const MAX_BYTES: u64 = 64 * 1024;

/// Where a coordinator is, and its cluster's secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendezvous {
    /// Where it listens; one of them is reachable from where the worker is.
    pub addresses: Vec<SocketAddr>,
    /// The secret.
    pub secret: Secret,
}

/// Why a rendezvous file was refused.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum RendezvousError {
    #[error("cannot read the rendezvous file {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write the rendezvous file {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("the rendezvous file {} can be read by others (mode {mode:03o}): expected mode 600", path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("the rendezvous file {} belongs to user {owner}: expected one of user {own}, who runs this", path.display())]
    Foreign { path: PathBuf, owner: u32, own: u32 },
    #[error("{} is no rendezvous file: expected \"{HEAD}\", addresses and a secret, as nlsq-coordinator writes it", path.display())]
    Malformed { path: PathBuf },
}

impl RendezvousError {
    /// Whether it may be otherwise a moment later: there is no file yet, or its file system is in trouble.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Read { .. })
    }
}

impl Rendezvous {
    /// Reads a file that only its owner, who runs this, can read.
    pub fn read(path: &Path) -> Result<Self, RendezvousError> {
        let fail = |source| RendezvousError::Read { path: path.into(), source };
        let file = fs::File::open(path).or_else(|_| {
            // A network file system remembers for a while that a file is absent, until its folder is listed.
            path.parent().map(fs::read_dir);
            fs::File::open(path)
        });
        let file = file.map_err(fail)?;
        // Asked of the open file: what its name stands for may change meanwhile.
        let about = file.metadata().map_err(fail)?;
        let (mode, owner, own) = (about.mode() & 0o777, about.uid(), rustix::process::geteuid().as_raw());
        if owner != own {
            return Err(RendezvousError::Foreign { path: path.into(), owner, own });
        }
        if mode & 0o077 != 0 {
            return Err(RendezvousError::Exposed { path: path.into(), mode });
        }
        let mut text = String::new();
        match file.take(MAX_BYTES).read_to_string(&mut text) {
            Ok(_) => Self::parse(&text).ok_or_else(|| RendezvousError::Malformed { path: path.into() }),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(RendezvousError::Malformed { path: path.into() })
            }
            Err(error) => Err(fail(error)),
        }
    }

    /// Writes the file so that it appears whole, over an older one.
    pub fn write(&self, path: &Path) -> Result<(), RendezvousError> {
        let fail = |source| RendezvousError::Write { path: path.into(), source };
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{:016x}", getrandom::u64().map_err(|error| fail(io::Error::other(error)))?));
        let draft = PathBuf::from(draft);
        let written = (|| {
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
            file.write_all(self.text().as_bytes())?;
            // Other hosts must not see the name before the content.
            file.sync_all()?;
            fs::rename(&draft, path)
        })();
        if written.is_err() {
            // Fails where it was never made.
            let _ = fs::remove_file(&draft);
        }
        written.map_err(fail)
    }

    /// Takes the file away if it still is this one.
    pub fn remove(&self, path: &Path) {
        if Self::read(path).is_ok_and(|there| there == *self) {
            // One that cannot be removed leads to nobody.
            let _ = fs::remove_file(path);
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{HEAD}\n");
        for address in &self.addresses {
            let _ = writeln!(text, "address {address}");
        }
        let _ = writeln!(text, "secret {}", self.secret.to_hex().as_str());
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        if lines.next() != Some(HEAD) {
            return None;
        }
        let mut addresses = Vec::new();
        for line in lines.by_ref() {
            match line.split_once(' ')? {
                ("address", address) if addresses.len() < MAX_ADDRESSES => addresses.push(address.parse().ok()?),
                ("secret", digits) => {
                    let secret = Secret::from_hex(digits)?;
                    let whole = lines.next().is_none() && !addresses.is_empty();
                    return whole.then_some(Self { addresses, secret });
                }
                _ => return None,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn some() -> Rendezvous {
        let addresses = vec!["10.0.3.17:40871".parse().unwrap(), "[fd00::17]:40871".parse().unwrap()];
        Rendezvous { addresses, secret: Secret::random().unwrap() }
    }

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("nlsq-rendezvous-{name}-{}", std::process::id()))
    }

    #[test]
    fn it_reads_back_replaces_an_older_one_and_goes_away() {
        let (path, old, new) = (path("whole"), some(), some());
        assert!(Rendezvous::read(&path).unwrap_err().may_pass());
        old.write(&path).unwrap();
        new.write(&path).unwrap();
        assert_eq!(Rendezvous::read(&path).unwrap(), new);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        old.remove(&path);
        assert!(path.exists(), "that of another run stays");
        new.remove(&path);
        assert!(!path.exists());
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let left = fs::read_dir(std::env::temp_dir()).unwrap().flatten();
        assert_eq!(left.filter(|file| file.file_name().to_string_lossy().starts_with(&name)).count(), 0);
    }

    #[test]
    fn one_that_others_can_read_is_refused() {
        let (path, file) = (path("exposed"), some());
        file.write(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = Rendezvous::read(&path).unwrap_err().to_string();
        assert!(refused.contains("mode 640") && refused.contains("expected mode 600"), "{refused}");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn anything_but_a_whole_one_is_refused() {
        let text = some().text();
        assert!(Rendezvous::parse(&text).is_some());
        for end in 0..text.len() {
            assert_eq!(Rendezvous::parse(&text[..end]), None, "cut at {end}");
        }
        for (old, new) in
            [("rendezvous 1", "rendezvous 2"), ("10.0.3.17", "node17"), ("address [", "port ["), ("secret ", "")]
        {
            assert!(text.contains(old));
            assert_eq!(Rendezvous::parse(&text.replace(old, new)), None, "{old} as {new}");
        }
        assert_eq!(Rendezvous::parse(&format!("{text}more\n")), None);
        let many = format!("{HEAD}\n{}secret {}\n", "address 1.2.3.4:5\n".repeat(MAX_ADDRESSES + 1), "0".repeat(64));
        assert_eq!(Rendezvous::parse(&many), None);
    }
}

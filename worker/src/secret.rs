//! The cluster's secret: 32 bytes that every process of a run knows and nobody else.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// A token file holds no more.
const MAX_FILE: u64 = 4096;

/// Shows up in no log: `Debug` hides it. Wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why a token file was refused.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SecretError {
    #[error("cannot read the token file {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write the token file {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("the token file {} is no regular file: expected a file with 64 hexadecimal digits", path.display())]
    NoFile { path: PathBuf },
    #[error("the token file {} belongs to another user (id {owner}): expected the one who runs this (id {user})", path.display())]
    Foreign { path: PathBuf, owner: u32, user: u32 },
    #[error("the token file {} can be read by others (mode {mode:03o}): expected mode 600", path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("the token file {} does not hold a secret: expected 64 hexadecimal digits", path.display())]
    Malformed { path: PathBuf },
}

impl Secret {
    /// A fresh one, from the operating system's randomness.
    pub fn random() -> io::Result<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut()).map_err(io::Error::other)?;
        Ok(Self(bytes))
    }

    /// The key for handshakes and nothing else.
    pub(crate) fn key(&self) -> &[u8; 32] {
        &self.0
    }

    /// As 64 hexadecimal digits, for a private file or pipe.
    pub fn to_hex(&self) -> Zeroizing<String> {
        // Room for all of it at once: a string that grows leaves its beginning behind.
        let mut text = Zeroizing::new(String::with_capacity(64));
        for byte in self.0.iter() {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(digit), 16).expect("half a byte is a hexadecimal digit"));
            }
        }
        text
    }

    /// From 64 hexadecimal digits, blanks around them allowed.
    pub fn from_hex(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = Zeroizing::new([0; 32]);
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).expect("checked to be ASCII");
            *byte = u8::from_str_radix(digits, 16).expect("checked to be hexadecimal");
        }
        Some(Self(bytes))
    }

    /// Reads a token file that belongs to the user who runs this and that nobody else can read.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let fail = |source| SecretError::Read { path: path.into(), source };
        // One handle for checks and content: what stands at the path may change in between. A pipe must not make us wait.
        let mut file = OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path).map_err(fail)?;
        check(&file, path)?;
        let mut text = Zeroizing::new(String::with_capacity(MAX_FILE as usize));
        match Read::take(&mut file, MAX_FILE).read_to_string(&mut text) {
            Ok(_) => Self::from_hex(&text).ok_or_else(|| SecretError::Malformed { path: path.into() }),
            Err(error) if error.kind() == ErrorKind::InvalidData => Err(SecretError::Malformed { path: path.into() }),
            Err(error) => Err(fail(error)),
        }
    }

    /// Reads a token file, or makes one with mode 600 if there is none.
    pub fn read_or_create(path: &Path) -> Result<Self, SecretError> {
        match Self::read(path) {
            Err(SecretError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => Self::create(path),
            read => read,
        }
    }

    fn create(path: &Path) -> Result<Self, SecretError> {
        let fail = |source| SecretError::Write { path: path.into(), source };
        let secret = Self::random().map_err(fail)?;
        // Written whole under another name first: nobody may read half a secret, and of two who make one the first wins.
        // Neither step follows a link that somebody has put there.
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}", std::process::id()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(fail)?;
        let mut line = secret.to_hex();
        line.push('\n');
        let made = file.write_all(line.as_bytes()).and_then(|()| fs::hard_link(&draft, path));
        fs::remove_file(&draft).map_err(fail)?;
        match made {
            Ok(()) => Ok(secret),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Self::read(path),
            Err(error) => Err(fail(error)),
        }
    }
}

/// O_NONBLOCK: opening a pipe that nobody writes to returns at once.
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits() as i32;

fn check(file: &File, path: &Path) -> Result<(), SecretError> {
    let metadata = file.metadata().map_err(|source| SecretError::Read { path: path.into(), source })?;
    if !metadata.is_file() {
        return Err(SecretError::NoFile { path: path.into() });
    }
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != user {
        return Err(SecretError::Foreign { path: path.into(), owner, user });
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretError::Exposed { path: path.into(), mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// A folder of this test's own, gone when it is dropped.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("nlsq-secret-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_secret_survives_its_file_and_an_exposed_file_is_refused() {
        let folder = Folder::new("mode");
        let path = folder.0.join("token");
        let secret = Secret::read_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "no draft is left");
        assert_eq!(Secret::read_or_create(&path).unwrap(), secret);
        for mode in [0o644, 0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = Secret::read(&path).unwrap_err().to_string();
            assert!(refused.contains(&format!("mode {mode:o}")) && refused.contains("expected mode 600"), "{refused}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(Secret::read(&path).unwrap(), secret);
    }

    #[test]
    fn a_link_counts_as_what_it_leads_to() {
        let folder = Folder::new("link");
        let (path, link) = (folder.0.join("token"), folder.0.join("link"));
        let secret = Secret::read_or_create(&path).unwrap();
        symlink(&path, &link).unwrap();
        assert_eq!(Secret::read(&link).unwrap(), secret);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Secret::read(&link), Err(SecretError::Exposed { .. })));
        // A link to nothing is not filled: whoever made it would choose where the secret goes.
        fs::remove_file(&path).unwrap();
        assert!(matches!(Secret::read_or_create(&link), Err(SecretError::Read { .. })));
        assert!(!path.exists());
    }

    #[test]
    fn only_files_with_a_secret_are_read() {
        let folder = Folder::new("kind");
        let path = folder.0.join("token");
        for text in [&b""[..], b"12", &[b'g'; 64], &[0xff; 64], &[b'0'; 5000]] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(Secret::read(&path), Err(SecretError::Malformed { .. })));
        }
        assert!(matches!(Secret::read(&folder.0), Err(SecretError::NoFile { .. })));
        let pipe = folder.0.join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(matches!(Secret::read(&pipe), Err(SecretError::NoFile { .. })));
    }

    #[test]
    fn another_users_file_is_refused() {
        let folder = Folder::new("owner");
        let path = folder.0.join("token");
        Secret::read_or_create(&path).unwrap();
        if std::os::unix::fs::chown(&path, Some(12345), None).is_err() {
            eprintln!("skipped (1): only root can give a file away");
            return;
        }
        let refused = Secret::read(&path).unwrap_err().to_string();
        assert!(refused.contains("belongs to another user (id 12345)"), "{refused}");
    }

    #[test]
    fn malformed_text_is_no_secret_and_debug_shows_nothing() {
        for text in ["", "12", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(Secret::from_hex(text), None);
        }
        let secret = Secret::random().unwrap();
        assert_eq!(Secret::from_hex(&secret.to_hex()), Some(secret.clone()));
        assert!(!format!("{secret:?}").contains(&secret.to_hex()[..8]));
    }
}

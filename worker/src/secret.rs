//! The cluster's secret: 32 bytes that every process of a run knows and nobody else.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Shows up in no log: `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

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
    #[error("the token file {} can be read by others (mode {mode:03o}): expected mode 600", path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("the token file {} does not hold a secret: expected 64 hexadecimal digits", path.display())]
    Malformed { path: PathBuf },
}

impl Secret {
    /// A fresh one, from the operating system's randomness.
    pub fn random() -> io::Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(Self(bytes))
    }

    /// The key for proofs and nothing else.
    pub(crate) fn key(&self) -> &[u8; 32] {
        &self.0
    }

    /// As 64 hexadecimal digits, for a private file or pipe.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// From 64 hexadecimal digits, blanks around them allowed.
    pub fn from_hex(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).expect("checked to be ASCII");
            *byte = u8::from_str_radix(digits, 16).expect("checked to be hexadecimal");
        }
        Some(Self(bytes))
    }

    /// Reads a token file that only its owner can read.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let fail = |source| SecretError::Read { path: path.into(), source };
        let mode = fs::metadata(path).map_err(fail)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SecretError::Exposed { path: path.into(), mode });
        }
        let text = fs::read_to_string(path).map_err(fail)?;
        Self::from_hex(&text).ok_or_else(|| SecretError::Malformed { path: path.into() })
    }

    /// Reads a token file, or makes one with mode 600 if there is none.
    pub fn read_or_create(path: &Path) -> Result<Self, SecretError> {
        if path.exists() {
            return Self::read(path);
        }
        let fail = |source| SecretError::Write { path: path.into(), source };
        let secret = Self::random().map_err(fail)?;
        // Written whole under another name first: nobody may read half a secret, and of two who make one the first wins.
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}", std::process::id()));
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(fail)?;
        let made = writeln!(file, "{}", secret.to_hex()).and_then(|()| fs::hard_link(&draft, path));
        fs::remove_file(&draft).map_err(fail)?;
        match made {
            Ok(()) => Ok(secret),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::read(path),
            Err(error) => Err(fail(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_survives_its_file_and_an_exposed_file_is_refused() {
        let path = std::env::temp_dir().join(format!("nlsq-token-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        let secret = Secret::read_or_create(&path).unwrap();
        assert_eq!(Secret::read_or_create(&path).unwrap(), secret);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = Secret::read(&path).unwrap_err().to_string();
        assert!(refused.contains("mode 644") && refused.contains("expected mode 600"), "{refused}");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn malformed_text_is_no_secret_and_debug_shows_nothing() {
        for text in ["", "12", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(Secret::from_hex(text), None);
        }
        let secret = Secret::random().unwrap();
        assert!(!format!("{secret:?}").contains(&secret.to_hex()[..8]));
    }
}

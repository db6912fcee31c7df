//! Credentials: access keys, token keys, and the files they are read from.

use std::io;
use std::path::{Path, PathBuf};

use fanfare_files::read_bounded_text;

use crate::{InvalidPublicKey, Secret, ShortSecret, VerificationKey};

/// The longest file of keys that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// The fewest bytes of an access key: 16 characters of hex are 64 bits, which nobody guesses at any
/// rate that a network carries; and a word or a date has fewer.
const LEAST_KEY: usize = 16;

/// Why a credential cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCredential {
    /// It would be guessed.
    #[error(transparent)]
    Short(#[from] ShortSecret),
    /// It could not be sent in a header (RFC 6750, 2.1, and what a cookie allows).
    #[error("write visible ASCII without spaces, commas, semicolons, quotes or backslashes")]
    Characters,
    /// The file cannot be read.
    #[error("{path} cannot be read: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds nothing.
    #[error("{path} holds no key: write one on each line", path = .0.display())]
    Empty(PathBuf),
    /// The file holds another kind of key.
    #[error(transparent)]
    PublicKey(#[from] InvalidPublicKey),
}

/// An access key.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub struct AccessKey(Secret);

/// The access keys of a file, one on each line.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub struct KeyFile {
    path: PathBuf,
    keys: Vec<Secret>,
}

/// The secret that tokens are signed with: as given, or the content of a file.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub struct TokenSecret {
    path: Option<PathBuf>,
    secret: Secret,
}

/// A public key that tokens are verified with, read from a file. Two are the same if their files
/// are.
#[derive(Debug, Clone)]
pub struct PublicKey {
    path: PathBuf,
    key: VerificationKey,
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.path.partial_cmp(&other.path)
    }
}

impl AccessKey {
    /// Checks a text.
    pub fn parse(text: &str) -> Result<Self, InvalidCredential> {
        access_key(text).map(Self)
    }

    /// The key.
    pub fn secret(&self) -> &Secret {
        &self.0
    }
}

impl KeyFile {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it held when it was read; at least one.
    pub fn keys(&self) -> &[Secret] {
        &self.keys
    }

    /// The keys that a file holds now.
    pub fn read(path: &Path) -> Result<Self, InvalidCredential> {
        let text = read(path)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let keys: Vec<_> = lines.map(access_key).collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Err(InvalidCredential::Empty(path.to_owned()));
        }
        Ok(Self { path: path.to_owned(), keys })
    }
}

impl TokenSecret {
    /// Takes a secret as it is, or reads the file behind an `@`.
    pub fn parse(text: &str) -> Result<Self, InvalidCredential> {
        if let Some(path) = text.strip_prefix('@') {
            return Self::read(Path::new(path));
        }
        let secret = Secret::new(text.to_owned(), VerificationKey::LEAST_SECRET)?;
        Ok(Self { path: None, secret })
    }

    /// The file, if it was read from one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The secret.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The secret that a file holds now. A line end at its end does not belong to the secret.
    pub fn read(path: &Path) -> Result<Self, InvalidCredential> {
        let text = read(path)?.trim_end_matches(['\r', '\n']).to_owned();
        let secret = Secret::new(text, VerificationKey::LEAST_SECRET)?;
        Ok(Self { path: Some(path.to_owned()), secret })
    }
}

impl PublicKey {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key.
    pub fn key(&self) -> &VerificationKey {
        &self.key
    }

    /// The key that a file holds now.
    pub fn read(path: &Path) -> Result<Self, InvalidCredential> {
        let key = VerificationKey::from_pem(read(path)?.as_bytes())?;
        Ok(Self { path: path.to_owned(), key })
    }
}

fn access_key(text: &str) -> Result<Secret, InvalidCredential> {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b",;\"\\".contains(&byte);
    if !text.bytes().all(allowed) {
        return Err(InvalidCredential::Characters);
    }
    Ok(Secret::new(text.to_owned(), LEAST_KEY)?)
}

fn read(path: &Path) -> Result<String, InvalidCredential> {
    read_bounded_text(path, MAX_FILE)
        .map_err(|source| InvalidCredential::Unreadable { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_no_header_can_carry_is_refused() {
        for text in ["", " ", "\n", ",", ";", "é", "\"", "\\"] {
            let key = format!("a-key-that-is-long{text}enough");
            assert!(AccessKey::parse(&key).is_err() || text.is_empty(), "{text:?}");
        }
        assert!(AccessKey::parse("0f-A_~.:=/+0123456789").is_ok());
        let short = AccessKey::parse("fifteen-letters").unwrap_err().to_string();
        assert!(short.contains("at least 16 bytes") && short.contains("openssl rand"), "{short}");
    }

    #[test]
    fn a_file_does_not_add_its_line_end_to_the_secret() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let secret = "0123456789abcdef0123456789abcdef";
        std::fs::write(&path, format!("{secret}\n")).unwrap();
        let given = TokenSecret::parse(&format!("@{}", path.display())).unwrap();
        assert_eq!(given.secret.expose(), secret);
        std::fs::write(&path, "the-first-of-two\n\n the-second-of-two \n").unwrap();
        let keys = KeyFile::read(&path).unwrap();
        assert_eq!(
            keys.keys.iter().map(Secret::expose).collect::<Vec<_>>(),
            ["the-first-of-two", "the-second-of-two"]
        );
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(KeyFile::read(&path), Err(InvalidCredential::Empty(_))));
    }

    #[test]
    fn the_beginning_of_a_key_at_the_bound_of_a_file_is_not_a_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        let key = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let fitting = 64 * 1024 / (key.len() + 1);
        let keys = |count: usize| format!("{key}\n").repeat(count);
        std::fs::write(&path, keys(fitting)).unwrap();
        assert_eq!(KeyFile::read(&path).unwrap().keys().len(), fitting);
        std::fs::write(&path, keys(fitting + 1)).unwrap();
        let error = KeyFile::read(&path).unwrap_err().to_string();
        assert!(error.ends_with("keys cannot be read: it is longer than 65536 bytes"), "{error}");
    }
}

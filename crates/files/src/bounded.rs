//! Reading within a bound.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The content of a file of at most `most` bytes. A longer one is an error of the kind
/// [`FileTooLarge`](io::ErrorKind::FileTooLarge).
pub fn read_bounded(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    read_to_bound(File::open(path)?, most)
}

/// The same, of a file of text. One that is not UTF-8 is an error of the kind
/// [`InvalidData`](io::ErrorKind::InvalidData).
pub fn read_bounded_text(path: &Path, most: u64) -> io::Result<String> {
    // Not the error itself: it holds the bytes, which may be secret.
    String::from_utf8(read_bounded(path, most)?)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

/// What there is to read, up to its end, if that is at most `most` bytes; otherwise the error of [`read_bounded`].
pub fn read_to_bound(from: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let message = format!("it is longer than {most} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_beyond_the_bound_is_an_error_and_not_its_beginning() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        for (length, fits) in [(0, true), (7, true), (8, true), (9, false), (100, false)] {
            std::fs::write(&path, "x".repeat(length)).unwrap();
            match read_bounded(&path, 8) {
                Ok(bytes) => assert!(fits && bytes.len() == length, "{length}: {}", bytes.len()),
                Err(error) => {
                    assert!(!fits && error.kind() == io::ErrorKind::FileTooLarge, "{error}");
                    assert_eq!(error.to_string(), "it is longer than 8 bytes");
                }
            }
        }
    }

    #[test]
    fn a_file_without_end_is_not_read_whole() {
        let error = read_bounded(Path::new("/dev/zero"), 1 << 10).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn an_error_about_text_does_not_repeat_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, b"secret\xff").unwrap();
        let error = read_bounded_text(&path, 8).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(!format!("{error:?}").contains("115"), "{error:?}");
    }
}

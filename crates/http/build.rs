//! Compresses the assets, so that the binary holds them small and browsers get them so.
//!
//! Each file under `assets/` becomes `$OUT_DIR/assets/<path>.gz`, and each of the JavaScript client
//! `$OUT_DIR/assets/fanfare/<path>.gz`; `http::embedded` takes them from there.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() -> io::Result<()> {
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    let assets = PathBuf::from(out).join("assets");
    compress(Path::new("assets"), &assets)?;
    compress(Path::new("../../clients/js/src"), &assets.join("fanfare"))
}

fn compress(from: &Path, to: &Path) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", from.display());
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let mut name = path.file_name().unwrap_or_default().to_owned();
        if path.is_dir() {
            compress(&path, &to.join(name))?;
        } else {
            name.push(".gz");
            let mut encoder = GzEncoder::new(fs::File::create(to.join(name))?, Compression::best());
            io::copy(&mut fs::File::open(&path)?, &mut encoder)?;
            encoder.finish()?;
        }
    }
    Ok(())
}

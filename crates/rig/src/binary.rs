//! Where the hub's binary is.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// The binary: `FANFARE_BIN`, or the one beside this program, which is built anew where the source
/// is newer.
pub fn fanfare() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(named) = env::var_os("FANFARE_BIN") {
            return named.into();
        }
        let own = env::current_exe().expect("this program has a path");
        let mut folder = own.parent().expect("it is in a folder");
        if folder.ends_with("deps") {
            folder = folder.parent().expect("`deps` is in a folder");
        }
        let binary = folder.join("fanfare");
        let built = fs::metadata(&binary).and_then(|file| file.modified()).ok();
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let source = newest(&workspace.join("crates"));
        if built.is_none_or(|built| source > Some(built)) {
            let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let mut command = Command::new(cargo);
            command.args(["build", "--locked", "--package", "fanfare", "--bin", "fanfare"]);
            if folder.ends_with("release") {
                command.arg("--release");
            }
            let status = command.current_dir(&workspace).status().expect("cargo runs");
            assert!(status.success(), "the hub does not build");
        }
        binary
    })
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|file| file.modified()).ok()
}

/// When the newest source of the hub was written. The rig is no part of the hub.
fn newest(folder: &Path) -> Option<SystemTime> {
    let mut found = None;
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        let time = if path.is_dir() {
            let apart = ["rig", "tests", "benches", "examples", "node_modules"];
            if apart.iter().any(|name| path.ends_with(name)) { None } else { newest(&path) }
        } else {
            modified(&path)
        };
        found = found.max(time);
    }
    found
}

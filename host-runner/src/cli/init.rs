//! `fedcar init`: a small federation to start from. It never replaces a file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::{Exit, Failure};
use super::talk::Talk;

/// Write a small commented federation to start from
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The folder, which is made if it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  fedcar init retail && fedcar check --federation retail";

const FILES: [(&str, &str); 2] = [
    ("federation.yaml", include_str!("init/federation.yaml")),
    ("sidecars/proxy.yaml", include_str!("init/proxy.yaml")),
];

pub(super) fn run(arguments: &Arguments, talk: Talk) -> Result<Exit, Failure> {
    let folder = &arguments.folder;
    for path in FILES.map(|(name, _)| folder.join(name)) {
        if path.symlink_metadata().is_ok() {
            return Err(failure(&path, io::ErrorKind::AlreadyExists.into()));
        }
    }
    for (name, text) in FILES {
        let path = folder.join(name);
        create(&path, text).map_err(|source| failure(&path, source))?;
        talk.note(format_args!("wrote {}", path.display()));
    }
    Ok(Exit::Done)
}

/// Makes a file that is not there yet.
fn create(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

/// A file in the way is the user's to move; everything else is a failure of ours.
fn failure(path: &Path, source: io::Error) -> Failure {
    if source.kind() == io::ErrorKind::AlreadyExists {
        return Failure::Usage(format!("{} is there already, and init replaces nothing", path.display()));
    }
    Failure::Write { to: path.display().to_string(), source }
}

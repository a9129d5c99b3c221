//! `fedcar certificate`: the server's certificate for clusters without cert-manager, made once and then kept alive.
//!
//! It may run as often as one likes: what is not due keeps its bytes. Each file is there whole or not at all, and
//! what clients trust is written before what the server shows.

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args;
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::explain::Form;
use super::talk::Talk;
use super::whole_file;
use crate::admission::tls::{IssueError, Reason, Renewal, Stored, Wanted, read_bounded, renew, rfc3339, server_name};

const DAY: Duration = Duration::from_hours(24);

/// A fixed one, so that the next run finds and removes what a run that was cut off has left of a key.
const UNFINISHED: &str = ".new";

/// Keys are for their owner alone, and the folder with them.
const PRIVATE_FILE: u32 = 0o600;
const PUBLIC_FILE: u32 = 0o644;
const PRIVATE_FOLDER: u32 = 0o700;

/// Make the server's certificate with an authority of its own, or renew what is due
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The folder for ca.crt, ca.key, tls.crt, tls.key and ca-bundle.crt, which is made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A DNS name or IP address of the server; can be given more than once
    #[arg(long = "name", value_name = "NAME", value_parser = server_name, required_unless_present = "service")]
    names: Vec<String>,
    /// The Service before the server; API servers call it SVC.NS.svc
    #[arg(long, value_name = "SVC", requires = "namespace")]
    service: Option<String>,
    /// The namespace of the Service
    #[arg(long, value_name = "NS", requires = "service")]
    namespace: Option<String>,
    /// How long the server's certificate lasts; its authority lasts ten times as long
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// How long before its end the server's certificate is renewed [default: a third of --days]
    #[arg(long, value_name = "DAYS")]
    renew_before: Option<u32>,
    /// The form of the result
    #[arg(long, short, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    output: Form,
}

const EXAMPLES: &str = "\
Run it again, once a day for example: only what is due is renewed. Clients get
ca-bundle.crt (caBundle of the webhook configuration), the server gets tls.crt
and tls.key, and ca.key stays where it is. A new authority is in ca-bundle.crt
before it signs, and the old one stays there until it ends.

Examples:
  fedcar certificate --out pki --service fedcar --namespace mesh
  fedcar certificate --out pki --name fedcar.example.com --days 30 -o json";

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
pub(super) enum CertificateError {
    /// What is there cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was made cannot be kept.
    #[error("cannot write {path}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing was made.
    #[error("cannot make certificates")]
    Make(#[from] IssueError),
}

/// The result for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonLine<'r> {
    server: JsonCertificate,
    authority: JsonCertificate,
    names: &'r [String],
    trusted: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonCertificate {
    /// Why it was made now; null where the old one stays.
    made: Option<&'static str>,
    not_after: String,
}

pub(super) fn run(arguments: &Arguments, talk: Talk) -> Result<Exit, Failure> {
    let wanted = wanted(arguments)?;
    let renewal = renew_folder(&arguments.out, &wanted, SystemTime::now(), talk)?;
    print(&renewal, &wanted.names, arguments.output).map_err(Failure::stdout)?;
    Ok(Exit::Done)
}

fn wanted(arguments: &Arguments) -> Result<Wanted, Failure> {
    let usage = |error: IssueError| Failure::Usage(error.to_string());
    let mut names: BTreeSet<String> = arguments.names.iter().cloned().collect();
    if let (Some(service), Some(namespace)) = (&arguments.service, &arguments.namespace) {
        names.insert(server_name(&format!("{service}.{namespace}.svc")).map_err(usage)?);
    }
    let valid = DAY * arguments.days;
    let renew_before = arguments.renew_before.map_or(valid / 3, |days| DAY * days);
    if renew_before >= valid {
        return Err(Failure::Usage("expected --renew-before less than --days".to_owned()));
    }
    Ok(Wanted { names: names.into_iter().collect(), valid, renew_before })
}

/// Brings the folder to what is wanted at `now`.
fn renew_folder(folder: &Path, wanted: &Wanted, now: SystemTime, talk: Talk) -> Result<Renewal, CertificateError> {
    let old = Stored {
        bundle: read(folder, "ca-bundle.crt")?,
        authority_key: read(folder, "ca.key")?,
        authority: read(folder, "ca.crt")?,
        key: read(folder, "tls.key")?,
        cert: read(folder, "tls.crt")?,
    };
    let renewal = renew(&old, wanted, now)?;
    let new = &renewal.stored;
    DirBuilder::new()
        .recursive(true)
        .mode(PRIVATE_FOLDER)
        .create(folder)
        .map_err(|source| CertificateError::Write { path: folder.to_owned(), source })?;
    // A run that is cut off between two of these leaves a key that is not its certificate's, which the next run mends.
    for (name, mode, old, new) in [
        ("ca-bundle.crt", PUBLIC_FILE, &old.bundle, &new.bundle),
        ("ca.key", PRIVATE_FILE, &old.authority_key, &new.authority_key),
        ("ca.crt", PUBLIC_FILE, &old.authority, &new.authority),
        ("tls.key", PRIVATE_FILE, &old.key, &new.key),
        ("tls.crt", PUBLIC_FILE, &old.cert, &new.cert),
    ] {
        if old != new {
            let path = folder.join(name);
            // The mode is there from the first byte, so that nobody reads a key in between.
            whole_file::place(&path, UNFINISHED, new.as_bytes(), mode)
                .map_err(|source| CertificateError::Write { path: path.clone(), source })?;
            talk.note(format_args!("wrote {}", path.display()));
        }
    }
    Ok(renewal)
}

/// The text of a file, empty where there is none. Bytes that are no text are no PEM either.
fn read(folder: &Path, name: &str) -> Result<String, CertificateError> {
    let path = folder.join(name);
    match read_bounded(&path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(CertificateError::Read { path, source }),
    }
}

fn print(renewal: &Renewal, names: &[String], form: Form) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let Renewal { why_server, server_not_after, why_authority, authority_not_after, trusted, .. } = renewal;
    match form {
        Form::Text => {
            writeln!(stdout, "server: {}", sentence(*why_server, *server_not_after))?;
            writeln!(stdout, "authority: {}", sentence(*why_authority, *authority_not_after))?;
            writeln!(stdout, "names: {}", names.join(", "))?;
            writeln!(stdout, "trusted authorities: {trusted}")
        }
        Form::Json => {
            let certificate = |made: Option<Reason>, not_after| JsonCertificate {
                made: made.map(Reason::code),
                not_after: rfc3339(not_after),
            };
            let line = JsonLine {
                server: certificate(*why_server, *server_not_after),
                authority: certificate(*why_authority, *authority_not_after),
                names,
                trusted: *trusted,
            };
            writeln!(stdout, "{}", serde_json::to_string(&line)?)
        }
    }
}

fn sentence(made: Option<Reason>, not_after: SystemTime) -> String {
    let until = rfc3339(not_after);
    match made {
        None => format!("kept, until {until}"),
        Some(reason) => format!("new, until {until}, because {}", reason.sentence()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use clap::Parser;

    use super::*;
    use crate::admission::tls::{ClientAuth, Tls, TlsFiles, TlsOptions};

    const FILES: [&str; 5] = ["ca-bundle.crt", "ca.crt", "ca.key", "tls.crt", "tls.key"];

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn wanted_by(arguments: &[&str]) -> Result<Wanted, String> {
        let arguments = ["certificate", "--out", "pki"].iter().chain(arguments);
        let command = Command::try_parse_from(arguments).map_err(|error| error.to_string())?;
        wanted(&command.arguments).map_err(|failure| failure.to_string())
    }

    fn renewed(folder: &Path, now: SystemTime, arguments: &[&str]) -> Renewal {
        let wanted = wanted_by(arguments).expect("good arguments");
        renew_folder(folder, &wanted, now, Talk { quiet: true }).expect("certificates")
    }

    fn texts(folder: &Path) -> Vec<String> {
        FILES.iter().map(|name| fs::read_to_string(folder.join(name)).expect("a file")).collect()
    }

    #[test]
    fn arguments_are_names_and_days() {
        for (arguments, names, days) in [
            (&["--service", "fedcar", "--namespace", "mesh"][..], &["fedcar.mesh.svc"][..], (90, 30)),
            (&["--name", "B", "--name", "a", "--name", "b", "--days", "30"], &["a", "b"], (30, 10)),
            (&["--name", "::1", "--days", "30", "--renew-before", "29"], &["::1"], (30, 29)),
        ] {
            let wanted = wanted_by(arguments).expect("good arguments");
            assert_eq!(wanted.names, names);
            assert_eq!((wanted.valid, wanted.renew_before), (DAY * days.0, DAY * days.1), "{names:?}");
        }
        for (arguments, why) in [
            (&[][..], "--name <NAME>"),
            (&["--service", "fedcar"], "--namespace <NS>"),
            (&["--name", "two words"], "expected a DNS name or an IP address"),
            (&["--service", "two words", "--namespace", "mesh"], "expected a DNS name or an IP address"),
            (&["--name", "a", "--days", "0"], "1..=3650"),
            (&["--name", "a", "--days", "30", "--renew-before", "30"], "less than --days"),
        ] {
            let found = wanted_by(arguments).expect_err("refused");
            assert!(found.contains(why), "{arguments:?}: {found}");
        }
    }

    #[test]
    fn the_server_takes_what_was_made_and_keys_are_private() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("pki");
        renewed(&folder, SystemTime::now(), &["--name", "fedcar"]);
        for (name, expected) in [("", 0o700), ("ca.key", 0o600), ("tls.key", 0o600)] {
            let mode = fs::metadata(folder.join(name)).expect("there").permissions().mode() & 0o7777;
            assert_eq!(mode, expected, "{name}");
        }
        let files = TlsFiles {
            cert: folder.join("tls.crt"),
            key: folder.join("tls.key"),
            client_ca: vec![folder.join("ca-bundle.crt"), folder.join("ca.crt")],
        };
        let options = TlsOptions { client_auth: ClientAuth::Required, ..TlsOptions::default() };
        Tls::load(files, options).expect("good files");
        assert_eq!(fs::read_dir(&folder).expect("entries").count(), FILES.len());
    }

    #[test]
    fn the_folder_changes_when_something_is_due() {
        let folder = tempfile::tempdir().expect("a folder");
        let (folder, now) = (folder.path(), SystemTime::now());
        renewed(folder, now, &["--name", "fedcar"]);
        let first = texts(folder);
        let inodes = || FILES.map(|name| fs::metadata(folder.join(name)).expect("a file").ino());
        let before = inodes();
        renewed(folder, now + DAY, &["--name", "fedcar"]);
        assert_eq!((texts(folder), inodes()), (first.clone(), before), "not even written");
        let changed = |before: &[String]| -> Vec<&str> {
            let changed = FILES.iter().zip(texts(folder)).zip(before).filter(|((_, now), before)| now != *before);
            changed.map(|((name, _), _)| *name).collect()
        };
        renewed(folder, now + 70 * DAY, &["--name", "fedcar"]);
        assert_eq!(changed(&first), ["tls.crt", "tls.key"]);
        let second = texts(folder);
        renewed(folder, now + 800 * DAY, &["--name", "fedcar"]);
        assert_eq!(changed(&second), FILES);
        let old_authority = second[1].trim();
        assert!(texts(folder)[0].contains(old_authority), "the old authority stays in the bundle");
    }

    #[test]
    fn a_run_that_was_cut_off_is_mended() {
        let folder = tempfile::tempdir().expect("a folder");
        let (folder, now) = (folder.path(), SystemTime::now());
        renewed(folder, now, &["--name", "fedcar"]);
        fs::write(folder.join(".tls.key.new"), "half").expect("a file");
        fs::write(folder.join("tls.key"), "half").expect("a file");
        fs::write(folder.join("ca.key"), [0xff]).expect("a file");
        let renewal = renewed(folder, now, &["--name", "fedcar"]);
        assert_eq!((renewal.why_server, renewal.why_authority), (Some(Reason::Damaged), Some(Reason::Damaged)));
        assert_eq!(fs::read_dir(folder).expect("entries").count(), FILES.len());
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_said() {
        let parent = tempfile::tempdir().expect("a folder");
        let (file, wanted) = (parent.path().join("file"), wanted_by(&["--name", "fedcar"]).expect("arguments"));
        fs::write(&file, "").expect("a file");
        let at = |folder: &Path| renew_folder(folder, &wanted, SystemTime::now(), Talk { quiet: true }).err();
        assert!(matches!(at(&file), Some(CertificateError::Read { .. })));
        fs::create_dir(parent.path().join("tls.crt")).expect("a folder");
        assert!(matches!(at(parent.path()), Some(CertificateError::Read { .. })));
    }
}

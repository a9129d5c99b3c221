//! From arguments to texts: which files are meant, in which order, and what format each of them has.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IsTerminal as _, Read};
use std::path::{Path, PathBuf};

use globset::GlobBuilder;
use walkdir::WalkDir;

use super::{JsonObjects, LargeLists};
use crate::problem::Diagnostic;
use crate::yaml::{self, Document};

/// Files that a folder is searched for.
const EXTENSIONS: [&str; 4] = ["yaml", "yml", "json", "jsonl"];

/// How standard input is called in messages.
const STDIN: &str = "<stdin>";

/// Why an input cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// No path, and nobody pipes anything in.
    #[error("expected files, folders or patterns, or objects on standard input")]
    Nothing,
    /// There is no such file.
    #[error("no such file, folder or pattern: {path}")]
    Missing {
        /// What was asked for.
        path: String,
    },
    /// A folder or pattern that leads to no file.
    #[error("no *.yaml, *.yml, *.json or *.jsonl file in {path}")]
    NoFiles {
        /// What was asked for.
        path: String,
    },
    /// The pattern cannot be understood.
    #[error("not a file pattern")]
    Pattern(#[from] globset::Error),
    /// A folder cannot be searched.
    #[error("cannot search a folder")]
    Search(#[from] walkdir::Error),
    /// A file cannot be read.
    #[error("cannot read {file}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// The text is not what its format allows.
    #[error(transparent)]
    Syntax(Box<Syntax>),
}

/// A [`Diagnostic`] as an error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Syntax(pub Diagnostic);

/// How an input is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One or more YAML documents.
    Yaml,
    /// One or more JSON values.
    Json,
}

/// One input.
#[derive(Debug, Clone)]
pub struct Source {
    path: Option<PathBuf>,
    /// How it is written.
    pub format: Format,
}

/// A YAML text with its documents.
#[derive(Debug)]
pub struct YamlText {
    /// Its name for messages.
    pub file: String,
    /// All of it.
    pub text: String,
    /// Its documents, which are ranges of the text.
    pub documents: Vec<Document>,
}

impl Source {
    /// Its name for messages.
    pub fn name(&self) -> String {
        self.path.as_ref().map_or_else(|| STDIN.to_owned(), |path| path.display().to_string())
    }

    /// True where it can be read only once.
    pub fn is_stream(&self) -> bool {
        self.path.is_none()
    }

    /// Reads it whole, as YAML.
    pub fn read_yaml(&self) -> Result<YamlText, InputError> {
        let file = self.name();
        let mut bytes = Vec::new();
        self.open()?.read_to_end(&mut bytes).map_err(|source| InputError::Read { file: file.clone(), source })?;
        let text = String::from_utf8(bytes).map_err(|error| syntax(not_utf8(&file, error.as_bytes())))?;
        match yaml::read(&text) {
            Ok(documents) => Ok(YamlText { file, text, documents }),
            Err(error) => Err(syntax(Diagnostic::of_yaml(file, &text, error))),
        }
    }

    /// Reads it value by value, as JSON.
    pub fn read_json(&self, large_lists: LargeLists) -> Result<JsonObjects<Box<dyn BufRead>>, InputError> {
        Ok(JsonObjects::new(self.name(), self.open()?, large_lists))
    }

    fn open(&self) -> Result<Box<dyn BufRead>, InputError> {
        let Some(path) = &self.path else { return Ok(Box::new(io::stdin().lock())) };
        match File::open(path) {
            Ok(file) => Ok(Box::new(BufReader::new(file))),
            Err(source) => Err(InputError::Read { file: self.name(), source }),
        }
    }

    fn file(path: PathBuf) -> Self {
        let json = path.extension().is_some_and(|extension| extension == "json" || extension == "jsonl");
        Self { path: Some(path), format: if json { Format::Json } else { Format::Yaml } }
    }

    /// Standard input is JSON if it begins with `{` or `[`.
    fn stdin() -> Result<Self, InputError> {
        let mut stdin = io::stdin().lock();
        let start = stdin.fill_buf().map_err(|source| InputError::Read { file: STDIN.to_owned(), source })?;
        let start = start.strip_prefix("\u{feff}".as_bytes()).unwrap_or(start);
        let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
        let format = if matches!(first, Some(b'{' | b'[')) { Format::Json } else { Format::Yaml };
        Ok(Self { path: None, format })
    }
}

/// The inputs that arguments name; none of them means standard input, unless that is a terminal.
pub fn expand(arguments: &[String]) -> Result<Vec<Source>, InputError> {
    if arguments.is_empty() {
        return if io::stdin().is_terminal() { Err(InputError::Nothing) } else { Ok(vec![Source::stdin()?]) };
    }
    let mut sources = Vec::new();
    for argument in arguments {
        let path = Path::new(argument);
        match fs::metadata(path) {
            _ if argument == "-" => sources.push(Source::stdin()?),
            Ok(found) if found.is_dir() => sources.extend(files(path, argument, has_known_extension)?),
            Ok(_) => sources.push(Source::file(path.to_owned())),
            Err(_) if argument.contains(['*', '?', '[', '{']) => {
                let pattern = GlobBuilder::new(argument).literal_separator(true).build()?.compile_matcher();
                sources.extend(files(folder_of_pattern(path), argument, |file| pattern.is_match(file))?);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(InputError::Missing { path: argument.clone() });
            }
            Err(source) => return Err(InputError::Read { file: argument.clone(), source }),
        }
    }
    Ok(sources)
}

/// The files below a folder that are wanted, sorted.
fn files(folder: &Path, argument: &str, wanted: impl Fn(&Path) -> bool) -> Result<Vec<Source>, InputError> {
    let mut found = Vec::new();
    let root = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    for entry in WalkDir::new(root).follow_links(true).sort_by_file_name() {
        let entry = entry?;
        let path = if root == folder { entry.path() } else { entry.path().strip_prefix(root).unwrap_or(entry.path()) };
        if entry.file_type().is_file() && wanted(path) {
            found.push(Source::file(path.to_owned()));
        }
    }
    if found.is_empty() { Err(InputError::NoFiles { path: argument.to_owned() }) } else { Ok(found) }
}

fn has_known_extension(path: &Path) -> bool {
    path.extension().is_some_and(|found| EXTENSIONS.iter().any(|extension| found == *extension))
}

/// The folder that holds everything a pattern can match.
fn folder_of_pattern(pattern: &Path) -> &Path {
    let is_plain = |path: &&Path| !path.to_string_lossy().contains(['*', '?', '[', '{']);
    pattern.ancestors().find(is_plain).unwrap_or(Path::new(""))
}

pub(super) fn syntax(diagnostic: Diagnostic) -> InputError {
    InputError::Syntax(Box::new(Syntax(diagnostic)))
}

fn not_utf8(file: &str, bytes: &[u8]) -> Diagnostic {
    let valid = bytes.utf8_chunks().next().map(|chunk| chunk.valid()).unwrap_or_default();
    let line = valid.matches('\n').count() + 1;
    let column = valid.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let place = [line, column].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    let byte = bytes.get(valid.len()).copied().unwrap_or_default();
    let message = format!("expected UTF-8 text, found the byte 0x{byte:02x}");
    Diagnostic::at(file, &String::from_utf8_lossy(bytes), place.into(), message, None)
}

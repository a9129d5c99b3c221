//! Compiled code kept between runs, because compiling takes longer than everything else that the command line does.
//!
//! Machine code from a file runs with the rights of this process, so the folder must belong to the user alone; a folder
//! that does not is refused. Everything goes through one descriptor of the checked folder, so that nobody can swap it.
//! The checksum finds files that were cut short or damaged; it does not protect against the user's own hand.
//!
//! Invariant: a failing cache costs time and nothing else.

use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use fedcar_policy::digest::hex;
use rustix::fs::{AtFlags, Mode, OFlags, RawMode};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use wasmtime::{Engine, Module};

/// Files kept, the newest first: some modules with some settings each, for two versions of fedcar. A file is 2 MiB.
const KEPT_FILES: usize = 32;

/// No compiled module is larger.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// The checksum in front of the code.
const CHECKSUM_BYTES: usize = 32;

/// The mode bits that let anyone but the owner change a file, or do anything with the folder.
const OTHERS_WRITE: RawMode = 0o022;
const OTHERS_ANYTHING: RawMode = 0o077;

/// Why there is no cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheRefused {
    /// Neither `XDG_CACHE_HOME` nor `HOME` names a folder.
    #[error("no folder for the cache: expected an absolute path in XDG_CACHE_HOME or HOME")]
    NoHome,
    /// It cannot be made or opened; a symbolic link in its place ends here too.
    #[error("cannot open the cache folder {path}")]
    Open {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Somebody else could put code there.
    #[error(
        "the cache folder {path} must be mode 0700 and owned by user {user}, found mode {mode:04o} and user {owner}"
    )]
    NotPrivate {
        /// The folder.
        path: PathBuf,
        /// Who runs this program.
        user: u32,
        /// The folder's mode.
        mode: u32,
        /// The folder's owner.
        owner: u32,
    },
}

/// A place for compiled code, or none.
#[derive(Debug)]
pub struct Cache {
    folder: Option<OwnedFd>,
}

impl Cache {
    /// Keeps nothing.
    pub fn none() -> Self {
        Self { folder: None }
    }

    /// The user's own: `$XDG_CACHE_HOME/fedcar`, else `~/.cache/fedcar`.
    pub fn of_user() -> Result<Self, CacheRefused> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
        Self::in_folder(&base.ok_or(CacheRefused::NoHome)?.join("fedcar"))
    }

    /// Uses the folder `path`, which is made if it is not there.
    pub fn in_folder(path: &Path) -> Result<Self, CacheRefused> {
        let refused = |source: std::io::Error| CacheRefused::Open { path: path.to_owned(), source };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(refused)?;
        }
        match rustix::fs::mkdir(path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(refused(error.into())),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| refused(error.into()))?;
        let found = rustix::fs::fstat(&folder).map_err(|error| refused(error.into()))?;
        let user = rustix::process::geteuid().as_raw();
        if found.st_uid != user || found.st_mode & OTHERS_ANYTHING != 0 {
            let mode = found.st_mode & 0o7777;
            return Err(CacheRefused::NotPrivate { path: path.to_owned(), user, mode, owner: found.st_uid });
        }
        Ok(Self { folder: Some(folder) })
    }

    /// `wasm` as compiled by this engine before, or compiled now.
    pub(super) fn compile(&self, engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Module> {
        let Some(folder) = &self.folder else {
            return Module::new(engine, wasm);
        };
        let name = file_name(engine, wasm);
        if let Some(module) = read(folder, &name).and_then(|code| load(engine, &code)) {
            return Ok(module);
        }
        let module = Module::new(engine, wasm)?;
        // A cache that cannot be written is slow, which is not worth failing for.
        let _ = module.serialize().map(|code| write(folder, &name, &code).and_then(|()| trim(folder)));
        Ok(module)
    }
}

/// What the code was compiled from and for. Settings are part of a frozen module, so its bytes say all.
fn file_name(engine: &Engine, wasm: &[u8]) -> String {
    let mut hash = CompilerHash(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hash);
    hash.0.update(wasm);
    hex(hash.0.finalize())
}

/// Feeds what std would hash into a hash that is good enough for a file name.
struct CompilerHash(Sha256);

impl Hasher for CompilerHash {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.iter().take(8).fold(0, |value, &byte| value << 8 | u64::from(byte))
    }
}

/// The code in a file that is the user's own and undamaged.
fn read(folder: &OwnedFd, name: &str) -> Option<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::empty()).ok()?;
    let found = rustix::fs::fstat(&file).ok()?;
    let own = found.st_uid == rustix::process::geteuid().as_raw() && found.st_mode & OTHERS_WRITE == 0;
    if !own || !rustix::fs::FileType::from_raw_mode(found.st_mode).is_file() {
        return None;
    }
    let mut content = Vec::new();
    File::from(file).take(MAX_FILE_BYTES).read_to_end(&mut content).ok()?;
    let (checksum, code) = content.split_at_checked(CHECKSUM_BYTES)?;
    (Sha256::digest(code).as_slice() == checksum).then(|| code.to_vec())
}

/// Makes a module of code that this program wrote earlier.
fn load(engine: &Engine, code: &[u8]) -> Option<Module> {
    #[expect(unsafe_code, reason = "the bytes come from a folder that only this user can write, with their checksum")]
    // SAFETY: wasmtime wrote these bytes with `Module::serialize`; it checks its own version and settings again.
    let module = unsafe { Module::deserialize(engine, code) };
    module.ok()
}

/// Writes a file so that readers see all of it or nothing.
fn write(folder: &OwnedFd, name: &str, code: &[u8]) -> std::io::Result<()> {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let unfinished = format!("{name}.{}.{}", std::process::id(), WRITTEN.fetch_add(1, Ordering::Relaxed));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(folder, unfinished.as_str(), flags, Mode::RUSR | Mode::WUSR)?);
    let written = file.write_all(&Sha256::digest(code)).and_then(|()| file.write_all(code));
    let placed = written.and_then(|()| Ok(rustix::fs::renameat(folder, unfinished.as_str(), folder, name)?));
    if placed.is_err() {
        let _ = rustix::fs::unlinkat(folder, unfinished.as_str(), AtFlags::empty());
    }
    placed
}

/// Removes all but the newest files, unfinished ones of dead processes included.
fn trim(folder: &OwnedFd) -> std::io::Result<()> {
    let mut files = Vec::new();
    for entry in rustix::fs::Dir::read_from(folder)? {
        let entry = entry?;
        let found = rustix::fs::statat(folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
        if rustix::fs::FileType::from_raw_mode(found.st_mode).is_file() {
            files.push((found.st_mtime, found.st_mtime_nsec, entry.file_name().to_owned()));
        }
    }
    files.sort_unstable_by(|left, right| right.cmp(left));
    for (_, _, name) in files.iter().skip(KEPT_FILES) {
        rustix::fs::unlinkat(folder, name.as_c_str(), AtFlags::empty())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

    /// A cache in a folder of its own, with one module in it.
    fn used() -> (tempfile::TempDir, Cache, PathBuf) {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("fedcar");
        let cache = Cache::in_folder(&folder).expect("a private folder");
        cache.compile(&Engine::default(), EMPTY_MODULE).expect("a module");
        let file = folder.join(file_name(&Engine::default(), EMPTY_MODULE));
        (parent, cache, file)
    }

    fn read_back(cache: &Cache) -> Option<Vec<u8>> {
        read(cache.folder.as_ref().expect("a folder"), &file_name(&Engine::default(), EMPTY_MODULE))
    }

    #[test]
    fn what_was_compiled_is_kept_for_the_user_alone() {
        let (_parent, cache, file) = used();
        assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::metadata(file.parent().expect("a folder")).expect("one").permissions().mode() & 0o7777, 0o700);
        assert!(load(&Engine::default(), &read_back(&cache).expect("intact code")).is_some());
    }

    #[test]
    fn a_damaged_file_is_compiled_anew() {
        let (_parent, cache, file) = used();
        let intact = fs::read(&file).expect("a file");
        let mut flipped = intact.clone();
        flipped[CHECKSUM_BYTES + 100] ^= 1;
        for damaged in [flipped, intact[..intact.len() - 1].to_vec(), b"short".to_vec(), Vec::new()] {
            fs::write(&file, damaged).expect("a writable file");
            assert_eq!(read_back(&cache), None);
            cache.compile(&Engine::default(), EMPTY_MODULE).expect("a module");
            assert_eq!(fs::read(&file).expect("a file"), intact);
        }
    }

    #[test]
    fn code_with_a_good_checksum_that_wasmtime_does_not_know_is_compiled_anew() {
        let (_parent, cache, file) = used();
        let folder = cache.folder.as_ref().expect("a folder");
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
        write(folder, name, b"from another world").expect("a writable folder");
        cache.compile(&Engine::default(), EMPTY_MODULE).expect("a module");
        assert!(load(&Engine::default(), &read_back(&cache).expect("intact code")).is_some());
    }

    #[test]
    fn a_file_that_others_can_write_is_not_used() {
        let (_parent, cache, file) = used();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o620)).expect("our own file");
        assert_eq!(read_back(&cache), None);
    }

    #[test]
    fn a_linked_file_is_not_used() {
        let (parent, cache, file) = used();
        let elsewhere = parent.path().join("elsewhere");
        fs::rename(&file, &elsewhere).expect("a file");
        symlink(&elsewhere, &file).expect("a link");
        assert_eq!(read_back(&cache), None);
    }

    #[test]
    fn a_folder_that_others_can_reach_is_refused() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("fedcar");
        fs::create_dir(&folder).expect("a folder");
        for mode in [0o755, 0o770, 0o1777] {
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).expect("our own folder");
            assert!(
                matches!(Cache::in_folder(&folder), Err(CacheRefused::NotPrivate { mode: found, .. }) if found == mode)
            );
        }
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("our own folder");
        assert!(Cache::in_folder(&folder).is_ok());
    }

    #[test]
    fn a_link_in_place_of_the_folder_is_refused() {
        let parent = tempfile::tempdir().expect("a folder");
        let link = parent.path().join("fedcar");
        symlink(parent.path(), &link).expect("a link");
        assert!(matches!(Cache::in_folder(&link), Err(CacheRefused::Open { .. })));
    }

    #[test]
    fn a_folder_that_is_gone_costs_only_time() {
        let (parent, cache, _) = used();
        drop(parent);
        cache.compile(&Engine::default(), EMPTY_MODULE).expect("a module");
    }

    #[test]
    fn many_writers_leave_one_good_file() {
        let (_parent, cache, file) = used();
        let folder = cache.folder.as_ref().expect("a folder");
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
        std::thread::scope(|scope| {
            for writer in 0..8_u8 {
                scope.spawn(move || {
                    for _ in 0..50 {
                        write(folder, name, &vec![writer; 100_000]).expect("a writable folder");
                        let code = read(folder, name).expect("a whole file");
                        assert!(code.iter().all(|byte| *byte == code[0]), "a mixture of two writers");
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(file.parent().expect("a folder")).expect("entries").count(), 1);
    }

    #[test]
    fn only_the_newest_files_stay() {
        let (_parent, cache, file) = used();
        let folder = cache.folder.as_ref().expect("a folder");
        for number in 0..KEPT_FILES {
            write(folder, &format!("{number}"), b"code").expect("a writable folder");
        }
        let old = std::time::SystemTime::UNIX_EPOCH;
        File::options().write(true).open(&file).and_then(|file| file.set_modified(old)).expect("our own file");
        trim(folder).expect("a readable folder");
        assert_eq!(fs::read_dir(file.parent().expect("a folder")).expect("entries").count(), KEPT_FILES);
        assert!(!file.exists());
    }
}

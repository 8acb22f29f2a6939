//! PLUGIN_CACHE_DIR: compiled code of plugins, in a folder that nobody else may write to, because the code in it
//! is run.

use std::fs::{DirBuilder, File, FileTimes};
use std::hash::{Hash as _, Hasher};
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, ensure};
use nix::unistd::Uid;
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;

use super::compiled::MAX_CODE_BYTES;

/// Most bytes kept in a folder; the least recently used files are deleted first.
const MAX_KEPT_BYTES: u64 = 1024 * 1024 * 1024;
const DIGEST_BYTES: usize = 32;
/// The number of hexadecimal digits that begin the name of each cache file.
const KEY_DIGITS: usize = 2 * DIGEST_BYTES;

/// A folder that belongs to this user alone.
#[derive(Debug)]
pub struct Cache {
    /// The folder by its open handle. Whoever may write to a parent folder can replace the path, but not the
    /// handle.
    folder: PathBuf,
    /// The path as the operator wrote it.
    name: PathBuf,
    _handle: File,
}

impl Cache {
    /// Opens a folder, and creates it if it is missing.
    ///
    /// # Errors
    /// Another user may write to it.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let place = || format!("PLUGIN_CACHE_DIR {}", folder.display());
        let handle = private(folder).with_context(place)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()));
        Ok(Self { folder: path, name: folder.to_owned(), _handle: handle })
    }

    /// The cache key of a component: its digest, and everything of the engine that its code depends on.
    pub fn key(engine: &Engine, component: &[u8]) -> String {
        let mut key = Bytes(Sha256::new_with_prefix(Sha256::digest(component)));
        engine.precompile_compatibility_hash().hash(&mut key);
        hex::encode(key.0.finalize())
    }

    /// The code under a key, if it is there and intact.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        // A pipe under this name is not waited for, and a link is not followed.
        let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
        let open = File::options().read(true).custom_flags(flags).open(self.folder.join(key));
        let mut file = open.ok().filter(|file| file.metadata().is_ok_and(|of| of.is_file()))?;
        let mut digest = [0; DIGEST_BYTES];
        file.read_exact(&mut digest).ok()?;
        let mut code = Vec::new();
        (&mut file).take(MAX_CODE_BYTES + 1).read_to_end(&mut code).ok()?;
        let is_whole = Sha256::digest(&code).as_slice() == digest;
        // Used only to choose what is deleted first.
        let _refused = file.set_times(FileTimes::new().set_modified(SystemTime::now()));
        is_whole.then_some(code)
    }

    /// Stores code under a key, and deletes old files above the size limit.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put(&self, key: &str, code: &[u8]) -> anyhow::Result<()> {
        let path = self.folder.join(key);
        let partial = self.folder.join(format!("{key}.{}", uuid::Uuid::new_v4()));
        let written = || -> std::io::Result<()> {
            let mut file =
                File::options().write(true).create_new(true).mode(0o600).open(&partial)?;
            file.write_all(&Sha256::digest(code))?;
            file.write_all(code)?;
            std::fs::rename(&partial, &path)
        };
        if let Err(error) = written() {
            let _gone = std::fs::remove_file(&partial);
            return Err(error).with_context(|| self.name.join(key).display().to_string());
        }
        self.prune(MAX_KEPT_BYTES)
    }

    fn prune(&self, most_bytes: u64) -> anyhow::Result<()> {
        let mut kept = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_file() && is_ours(&entry.file_name().to_string_lossy()) {
                kept.push((metadata.modified()?, metadata.len(), entry.path()));
            }
        }
        kept.sort();
        let mut bytes = 0;
        for (_, length, path) in kept.into_iter().rev() {
            bytes += length;
            if bytes > most_bytes {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// Whether a cache wrote a file of this name.
fn is_ours(name: &str) -> bool {
    let key = name.split('.').next().unwrap_or(name);
    key.len() == KEY_DIGITS && key.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Hashes raw bytes, so that every process gets the same hash.
struct Bytes(Sha256);

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

/// Opens the folder, which must belong to this user alone.
fn private(folder: &Path) -> anyhow::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let handle = File::open(folder)?;
    let (metadata, user) = (handle.metadata()?, Uid::effective().as_raw());
    ensure!(
        metadata.is_dir() && metadata.uid() == user && metadata.mode() & 0o777 == 0o700,
        "must belong to the user of this process and be open to nobody else (mode 0700): what is \
         in it is run"
    );
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_of_its_own_that_is_open_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o750)).unwrap();
        let text = format!("{:#}", Cache::open(dir.path()).unwrap_err());
        assert!(text.contains("mode 0700"), "{text}");
    }

    #[test]
    fn a_folder_that_is_put_in_its_place_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, moved) = (dir.path().join("cache"), dir.path().join("moved"));
        let cache = Cache::open(&folder).unwrap();
        let key = "a".repeat(KEY_DIGITS);
        std::fs::rename(&folder, &moved).unwrap();
        let of_another = Cache::open(&folder).unwrap();
        of_another.put(&key, b"of another").unwrap();
        assert_eq!(cache.get(&key), None);
        cache.put(&key, b"own").unwrap();
        assert_eq!(cache.get(&key), Some(b"own".to_vec()));
        assert_eq!(of_another.get(&key), Some(b"of another".to_vec()));
        assert!(moved.join(&key).exists());
    }

    #[test]
    fn what_is_kept_is_given_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("cache");
        let cache = Cache::open(&folder).unwrap();
        let engine = Engine::new(&crate::plugins::hooks::engine::config()).unwrap();
        let (one, other) = (Cache::key(&engine, b"one"), Cache::key(&engine, b"other"));
        assert_ne!(one, other);
        let again = Engine::new(&crate::plugins::hooks::engine::config()).unwrap();
        assert_eq!(one, Cache::key(&again, b"one"));
        let differs = Engine::new(&wasmtime::Config::new()).unwrap();
        assert_ne!(one, Cache::key(&differs, b"one"));

        assert_eq!(cache.get(&one), None);
        cache.put(&one, b"code").unwrap();
        assert_eq!(cache.get(&one), Some(b"code".to_vec()));
        assert_eq!(cache.get(&other), None);
        let path = folder.join(&one);
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(cache.get(&one), None);
        std::fs::write(&path, b"cut").unwrap();
        assert_eq!(cache.get(&one), None);
        cache.put(&one, b"anew").unwrap();
        assert_eq!(cache.get(&one), Some(b"anew".to_vec()));
    }

    #[test]
    fn what_was_not_used_for_longest_is_thrown_away_and_nothing_of_others() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("cache");
        let cache = Cache::open(&folder).unwrap();
        std::fs::write(folder.join("notes.txt"), [0; 1_000]).unwrap();
        let keys = ["a", "b", "c"].map(|digit| digit.repeat(KEY_DIGITS));
        for (age, key) in (0..).zip(&keys) {
            cache.put(key, &[0; 100]).unwrap();
            let when = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(age);
            let file = File::options().write(true).open(folder.join(key)).unwrap();
            file.set_times(FileTimes::new().set_modified(when)).unwrap();
        }
        // Uses the oldest one.
        assert!(cache.get(&keys[0]).is_some());
        cache.prune(2 * (100 + DIGEST_BYTES as u64)).unwrap();
        let found = keys.each_ref().map(|key| cache.get(key).is_some());
        assert_eq!(found, [true, false, true]);
        assert!(folder.join("notes.txt").exists());
    }
}

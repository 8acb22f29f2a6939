//! Packages of the npm registry, fetched by the npm client and checked against a pinned digest.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha512};

/// A package at a version, with the digest that the registry published for it.
pub struct Package {
    /// The name, scope included.
    pub name: &'static str,
    /// The exact version.
    pub version: &'static str,
    /// `sha512-` and the digest in base64, as in a lock file.
    pub integrity: &'static str,
    /// The folder of the cache that holds it.
    pub folder: &'static str,
}

/// The ClickHouse engine as a library, for this platform.
pub const ENGINE: Option<Package> = if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
    Some(Package {
        name: "@chdb/lib-linux-x64-gnu",
        version: "26.7.3-stable.1",
        integrity: "sha512-XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw==",
        folder: "chdb-26.7.3-stable.1",
    })
} else {
    None
};

/// Real data for the tests: flights and films.
pub const DATASETS: Package = Package {
    name: "vega-datasets",
    version: "3.2.1",
    integrity: "sha512-lTSwZA6yq6qSU2YZm+6bqILiIvTPPxn4itir7jPGFmHIdPvUfQ9pCzzcrklYywMJgLUbaIeSkZQdiJd6wBxPug==",
    folder: "vega-datasets-3.2.1",
};

impl Package {
    /// The unpacked package's folder, fetched if it is not there yet.
    pub fn fetch(&self) -> anyhow::Result<PathBuf> {
        let kept = crate::cache()?.join(self.folder);
        if kept.is_dir() {
            return Ok(kept);
        }
        // Beside its place, so that the move at the end is one step on one file system.
        let work = crate::cache()?.join(format!("{}.{}.part", self.folder, std::process::id()));
        std::fs::create_dir_all(&work).with_context(|| format!("creating {}", work.display()))?;
        let fetched = self.fetch_into(&work, &kept);
        let _removed = std::fs::remove_dir_all(&work);
        fetched.with_context(|| format!("npm package {}@{}", self.name, self.version))
    }

    fn fetch_into(&self, work: &Path, kept: &Path) -> anyhow::Result<PathBuf> {
        crate::debian::tool("npm", &["nodejs", "npm"])?;
        eprintln!("fetching {}@{}", self.name, self.version);
        let packed = Command::new("npm")
            .args(["pack", "--silent", &format!("{}@{}", self.name, self.version)])
            .current_dir(work)
            .output()
            .context("running npm")?;
        ensure!(packed.status.success(), "npm: {}", String::from_utf8_lossy(&packed.stderr));
        let name = String::from_utf8(packed.stdout)?;
        let archive = work.join(name.lines().last().context("npm printed no file name")?.trim());
        self.check(&archive)?;
        let unpacked = Command::new("tar").arg("-xzf").arg(&archive).current_dir(work).status();
        ensure!(unpacked.context("running tar")?.success(), "tar could not unpack the package");
        std::fs::rename(work.join("package"), kept)
            .with_context(|| format!("moving the package to {}", kept.display()))?;
        Ok(kept.to_owned())
    }

    fn check(&self, archive: &Path) -> anyhow::Result<()> {
        let bytes = std::fs::read(archive).with_context(|| format!("{}", archive.display()))?;
        let found = format!("sha512-{}", BASE64.encode(Sha512::digest(&bytes)));
        ensure!(
            found == self.integrity,
            "the archive's digest is {found}, expected {}: nothing was unpacked",
            self.integrity
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_with_another_digest_is_refused() {
        let file = std::env::temp_dir().join(format!("sluicegate-digest-{}", std::process::id()));
        std::fs::write(&file, b"other bytes").unwrap();
        let refused = DATASETS.check(&file).unwrap_err().to_string();
        std::fs::remove_file(&file).unwrap();
        assert!(refused.contains("nothing was unpacked"), "{refused}");
    }
}

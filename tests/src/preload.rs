//! What disks and clocks do, done on demand to a process that was started with a small C library
//! loaded before its own (`preload.c`).

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

const SOURCE: &str = include_str!("preload.c");

/// What may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// The rename that publishes the next part of a MergeTree fails with EIO.
    PublishFails,
    /// The process dies by SIGKILL at that rename.
    PublishKills,
    /// No new part can be made, for want of room, until taken back.
    DiskFull,
}

impl Ask {
    fn file(self) -> &'static str {
        match self {
            Self::PublishFails => "publish_fails",
            Self::PublishKills => "publish_kills",
            Self::DiskFull => "disk_full",
        }
    }
}

/// The library, and the folder by which it is told what to do.
pub struct Preload {
    folder: TempDir,
}

impl Preload {
    /// Builds the library by `cc`, which the set-up of the tests asks for.
    pub fn build() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("sluicegate-preload-").tempdir()?;
        let preload = Self { folder };
        let source = preload.path("preload.c");
        std::fs::write(&source, SOURCE)?;
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(preload.path("preload.so")).arg(&source);
        let output = cc.arg("-ldl").output().context("running cc for preload.c")?;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "preload.c is not built: {text}");
        std::fs::write(preload.path("clock"), 0_i64.to_ne_bytes())?;
        Ok(preload)
    }

    /// The variables of a process that is to have it.
    pub fn variables(&self) -> [(&'static str, String); 2] {
        let library = self.path("preload.so").display().to_string();
        [("LD_PRELOAD", library), ("SLUICEGATE_PRELOAD", self.folder.path().display().to_string())]
    }

    /// Asks for something.
    pub fn ask(&self, what: Ask) -> anyhow::Result<()> {
        Ok(File::create(self.path(what.file())).map(drop)?)
    }

    /// Takes back what has been asked for, if it is still to come or goes on.
    pub fn take_back(&self, what: Ask) -> anyhow::Result<()> {
        match std::fs::remove_file(self.path(what.file())) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// How often anything struck, since it was built.
    pub fn struck(&self) -> u64 {
        std::fs::metadata(self.path("struck")).map_or(0, |file| file.len())
    }

    /// Sets the wall clock of the processes off by so many seconds.
    pub fn set_clock(&self, seconds: i64) -> anyhow::Result<()> {
        // In its place, since the processes have it mapped.
        let mut file = File::options().write(true).open(self.path("clock"))?;
        Ok(file.write_all(&seconds.to_ne_bytes())?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    /// Tells the seconds since 1970, and waits until a moment of that clock a tenth of a second later. Fails where
    /// less has passed by then.
    const WAITS: &str = r#"
        #include <stdio.h>
        #include <sys/time.h>
        #include <threads.h>
        #include <time.h>
        int main(void) {
            struct timeval now;
            struct timespec before, after;
            cnd_t condition;
            mtx_t mutex;
            cnd_init(&condition);
            mtx_init(&mutex, mtx_timed);
            mtx_lock(&mutex);
            clock_gettime(CLOCK_MONOTONIC, &before);
            gettimeofday(&now, NULL);
            printf("%lld", (long long)now.tv_sec);
            long nanoseconds = now.tv_usec * 1000 + 100000000;
            struct timespec until = {now.tv_sec + nanoseconds / 1000000000, nanoseconds % 1000000000};
            while (cnd_timedwait(&condition, &mutex, &until) != thrd_timedout) {}
            clock_gettime(CLOCK_MONOTONIC, &after);
            long long passed = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
            return passed < 90000000;
        }"#;

    #[test]
    fn a_wait_until_a_moment_lasts_as_long_on_a_clock_that_is_off() {
        let preload = Preload::build().unwrap();
        let (source, program) = (preload.path("waits.c"), preload.path("waits"));
        std::fs::write(&source, WAITS).unwrap();
        assert!(Command::new("cc").arg("-o").args([&program, &source]).status().unwrap().success());
        for seconds in [-864_000, 0, 864_000] {
            preload.set_clock(seconds).unwrap();
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let mut waits = Command::new("timeout");
            let waited = waits.arg("60").arg(&program).envs(preload.variables()).output().unwrap();
            assert!(waited.status.success(), "{seconds}: {waited:?}");
            let told: u64 = String::from_utf8(waited.stdout).unwrap().parse().unwrap();
            let off = i64::try_from(told).unwrap() - i64::try_from(now).unwrap();
            assert!((seconds..seconds + 60).contains(&off), "{seconds}: {off}");
        }
    }
}

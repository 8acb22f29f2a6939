//! A bound on the memory of a process, as a container sets it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// Where control groups are mounted, version 1 and 2, and the file that holds the bound.
const MOUNTS: [(&str, &str); 2] =
    [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
/// How often a group is removed again while its last process ends.
const REMOVALS: u32 = 50;

/// A bound on the memory of processes.
#[derive(Debug)]
pub enum MemoryLimit {
    /// A control group: the bound is on the memory that all its processes have touched. The kernel kills one of
    /// them past it.
    Group(PathBuf),
    /// `RLIMIT_DATA`, where no control group can be made: the bound is on the memory that each process may write
    /// to, touched or not. An allocation past it fails.
    EachProcess(u64),
}

impl MemoryLimit {
    /// A bound of so many bytes.
    pub fn new(bytes: u64) -> Self {
        let group = MOUNTS.iter().find_map(|(mount, file)| group(Path::new(mount), file, bytes));
        group.map_or(Self::EachProcess(bytes), Self::Group)
    }

    /// A command that enters the bound and becomes another command, which follows it.
    pub(crate) fn wrapper(&self) -> [OsString; 4] {
        let (script, bound) = match self {
            Self::Group(group) => {
                (r#"echo $$ > "$0/cgroup.procs" && exec "$@""#, group.clone().into_os_string())
            }
            Self::EachProcess(bytes) => {
                (r#"ulimit -d "$0" && exec "$@""#, (bytes / 1024).to_string().into())
            }
        };
        ["/bin/sh".into(), "-c".into(), script.into(), bound]
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        let Self::Group(group) = self else { return };
        for _ in 0..REMOVALS {
            if fs::remove_dir(&*group).is_ok() {
                return;
            }
            sleep(Duration::from_millis(20));
        }
    }
}

/// A group of its own below that of this process, or below the root where a container does not show it.
fn group(mount: &Path, file: &str, bytes: u64) -> Option<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let own = own_group(mount).unwrap_or_else(|| mount.to_owned());
    let group = own.join(format!("sluicegate-test-{}-{number}", process::id()));
    fs::create_dir(&group).ok()?;
    let is_set = group.join("cgroup.procs").exists()
        && group.join(file).exists()
        && fs::write(group.join(file), bytes.to_string()).is_ok();
    if !is_set {
        // Another way is taken.
        let _left = fs::remove_dir(&group);
        return None;
    }
    Some(group)
}

fn own_group(mount: &Path) -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    // `hierarchy:controllers:path`, without controllers in version 2.
    let controller = if mount.ends_with("memory") { "memory" } else { "" };
    let path = groups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        controllers.split(',').any(|name| name == controller).then_some(path)
    })?;
    let own = mount.join(path.trim_start_matches('/'));
    own.is_dir().then_some(own)
}

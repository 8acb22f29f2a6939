//! The worker process for expensive work on a plugin's file: this program again, with resource limits.
//!
//! A file determines how long it takes to compile, and its schema how long a configuration takes to
//! validate. No deadline can stop either within a process, so both run in a child process with limits
//! on CPU time and memory. It is killed at a deadline, and a crash harms nothing else.

use std::io::{Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use nix::sys::signal::Signal;

/// The subcommand of the worker.
pub const COMMAND: &str = "plugin-worker";
/// The number of compiler threads, the same on every machine, so that a file that fits the memory limit
/// on one fits on all.
const THREADS: &str = "4";
/// Most characters of a worker's refusal.
pub const MAX_REFUSAL_CHARS: usize = 10_000;
/// Most bytes kept of the stderr of a worker that crashed.
const MAX_WORDS_BYTES: u64 = 4 * 1024;
/// The bytes before each answer: its verdict and its length.
const HEAD_BYTES: usize = 9;
const MIB: u64 = 1024 * 1024;

/// The kinds of question to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerTask {
    /// Compiles a component; the answer is the code.
    Compile,
    /// Validates a configuration against a plugin's schema; the answer is empty.
    Judge,
}

impl WorkerTask {
    /// Every task.
    pub const ALL: [Self; 2] = [Self::Compile, Self::Judge];

    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compile => "compile",
            Self::Judge => "judge",
        }
    }

    /// The work and the advice for error texts.
    fn subject(self) -> (&'static str, &'static str) {
        match self {
            Self::Compile => (
                "compiling it",
                "if you trust the plugin, build it smaller, with its largest functions split",
            ),
            Self::Judge => (
                "judging its configuration by the plugin's own schema",
                "if you trust the plugin, give it a simpler schema",
            ),
        }
    }
}

/// The resource limits of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerBounds {
    /// Most CPU time of all its threads, in seconds. Waiting on a busy or throttled machine does not
    /// count, so a slow machine refuses no file.
    pub cpu_seconds: u64,
    /// Most memory that it may write to, in bytes.
    pub data_bytes: u64,
    /// Longest wait for its answer, in wall time.
    pub deadline: Duration,
}

impl Default for WorkerBounds {
    /// One and a half times what 21 MB of code from a JavaScript engine take: 690 MiB, and 31 s without
    /// the optimisations of a release.
    fn default() -> Self {
        Self { cpu_seconds: 60, data_bytes: 1024 * MIB, deadline: Duration::from_mins(10) }
    }
}

/// Starts worker processes, one for each question.
#[derive(Debug, Clone)]
pub struct Worker {
    program: Vec<PathBuf>,
    bounds: WorkerBounds,
}

impl Default for Worker {
    /// The running program, even if its file was replaced after it started.
    fn default() -> Self {
        Self::new("/proc/self/exe".into())
    }
}

/// How an answer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum WorkerVerdict {
    /// The text that follows gives the reason.
    Refused = 1,
    /// The result follows.
    Done = 2,
    /// The worker ran out of memory.
    OutOfMemory = 3,
}

/// Why no answer came.
#[derive(Debug)]
enum Lack {
    /// The answer ends early: the process ended.
    Cut,
    /// The answer is longer than allowed, in bytes.
    TooLong(u64),
}

impl Worker {
    /// A worker that runs this program, which must be `sluicegate` of this very version: the asking
    /// process runs the code that the worker compiles. Only another program, such as a benchmark, has
    /// to name it.
    pub fn new(program: PathBuf) -> Self {
        Self { program: vec![program], bounds: WorkerBounds::default() }
    }

    /// Replaces the default limits.
    #[must_use]
    pub fn with_bounds(self, bounds: WorkerBounds) -> Self {
        Self { bounds, ..self }
    }

    /// The arguments of its command line.
    pub fn arguments(&self, task: WorkerTask) -> [String; 4] {
        let WorkerBounds { cpu_seconds, data_bytes, .. } = self.bounds;
        [
            COMMAND.to_owned(),
            task.as_str().to_owned(),
            cpu_seconds.to_string(),
            data_bytes.to_string(),
        ]
    }

    /// Asks, and waits for an answer of at most `most_bytes` bytes.
    ///
    /// # Errors
    /// The worker refuses the input, exceeds a limit, or cannot be started.
    pub fn ask(&self, task: WorkerTask, input: &[u8], most_bytes: u64) -> anyhow::Result<Vec<u8>> {
        std::thread::scope(|scope| {
            // Ends within the scope, which ends the threads that serve its pipes.
            let mut process = Process(self.start(task)?);
            let pipes = (process.0.stdin.take(), process.0.stdout.take(), process.0.stderr.take());
            let (Some(mut stdin), Some(mut stdout), Some(stderr)) = pipes else {
                return Err(anyhow!("the worker has no pipes"));
            };
            // If the worker does not read its input, its exit status tells why.
            thread(scope, move || stdin.write_all(input))?;
            let words = thread(scope, move || first_words(stderr))?;
            let (answer, answered) = channel();
            thread(scope, move || answer.send(read(&mut stdout, most_bytes)))?;
            let lack = match answered.recv_timeout(self.bounds.deadline) {
                Ok(Ok((verdict, answer))) => return self.judge(task, verdict, answer),
                Ok(Err(lack)) => lack,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let time = format!("{} s", self.bounds.deadline.as_secs_f32());
                    return Err(too_much(task, &time));
                }
            };
            match lack {
                Lack::TooLong(bytes) => {
                    drop(process);
                    let (subject, _) = task.subject();
                    Err(anyhow!("{subject} gives {bytes} bytes, and may give {most_bytes}"))
                }
                // Its pipe is closed, so it is about to exit.
                Lack::Cut => {
                    let status = process.0.wait().context("waiting for the worker")?;
                    let words = words.join().unwrap_or_default();
                    Err(self.ended(task, status, words.trim()))
                }
            }
        })
    }

    fn start(&self, task: WorkerTask) -> anyhow::Result<Child> {
        let (program, stand_in) = self.program.split_first().context("no worker")?;
        Command::new(program)
            .arg0("sluicegate")
            .args(stand_in)
            .args(self.arguments(task))
            // Inherits no variable of the host, and so no secret.
            .env_clear()
            .env("RAYON_NUM_THREADS", THREADS)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| {
                format!(
                    "{} is work for a process of its own, and {} cannot be started; plugins need \
                     /proc and the right to start a process",
                    task.subject().0,
                    program.display()
                )
            })
    }

    fn judge(
        &self,
        task: WorkerTask,
        verdict: WorkerVerdict,
        answer: Vec<u8>,
    ) -> anyhow::Result<Vec<u8>> {
        match verdict {
            WorkerVerdict::Done => Ok(answer),
            WorkerVerdict::Refused => Err(anyhow!(String::from_utf8_lossy(&answer).into_owned())),
            WorkerVerdict::OutOfMemory => Err(too_much(task, &self.memory())),
        }
    }

    fn memory(&self) -> String {
        format!("{} MiB of memory", self.bounds.data_bytes / MIB)
    }

    /// The reason that it ended without an answer.
    fn ended(&self, task: WorkerTask, status: ExitStatus, words: &str) -> anyhow::Error {
        let signal = status.signal().and_then(|signal| Signal::try_from(signal).ok());
        match signal {
            Some(Signal::SIGXCPU) => {
                too_much(task, &format!("{} s of CPU time", self.bounds.cpu_seconds))
            }
            // The text of Rust's allocator.
            Some(Signal::SIGABRT) if words.contains("memory allocation of") => {
                too_much(task, &self.memory())
            }
            Some(Signal::SIGKILL) => anyhow!(
                "the process that was {} was killed, most likely since this machine or container has \
                 no memory left; it may take {}",
                task.subject().0,
                self.memory()
            ),
            _ => anyhow!(
                "the process that was {} broke ({status}), so the plugin cannot be used: {words}",
                task.subject().0
            ),
        }
    }
}

/// The error for exceeding a limit.
fn too_much(task: WorkerTask, bound: &str) -> anyhow::Error {
    let (subject, hint) = task.subject();
    anyhow!("{subject} takes more than {bound}, which no plugin may; {hint}")
}

/// Killed by its own id and waited for when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

fn thread<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> anyhow::Result<ScopedJoinHandle<'scope, T>> {
    let thread = Builder::new().name("plugin-worker".to_owned());
    thread.spawn_scoped(scope, work).context("starting a thread")
}

/// Writes an answer as [`read`] expects it.
///
/// # Errors
/// Nobody reads it.
pub fn write_answer(
    mut to: impl std::io::Write,
    verdict: WorkerVerdict,
    answer: &[u8],
) -> std::io::Result<()> {
    to.write_all(&[verdict as u8])?;
    to.write_all(&(answer.len() as u64).to_le_bytes())?;
    to.write_all(answer)?;
    to.flush()
}

fn read(from: &mut impl Read, most_bytes: u64) -> Result<(WorkerVerdict, Vec<u8>), Lack> {
    let mut head = [0; HEAD_BYTES];
    from.read_exact(&mut head).map_err(|_| Lack::Cut)?;
    let [verdict, length @ ..] = head;
    let all = [WorkerVerdict::Refused, WorkerVerdict::Done, WorkerVerdict::OutOfMemory];
    let verdict = all.into_iter().find(|known| *known as u8 == verdict).ok_or(Lack::Cut)?;
    let length = u64::from_le_bytes(length);
    let most_bytes = match verdict {
        WorkerVerdict::Done => most_bytes,
        WorkerVerdict::Refused | WorkerVerdict::OutOfMemory => 4 * MAX_REFUSAL_CHARS as u64,
    };
    if length > most_bytes {
        return Err(Lack::TooLong(length));
    }
    let mut answer = Vec::new();
    match from.take(length).read_to_end(&mut answer) {
        Ok(bytes) if bytes as u64 == length => Ok((verdict, answer)),
        Ok(_) | Err(_) => Err(Lack::Cut),
    }
}

/// The beginning of its stderr; the rest is read and discarded.
fn first_words(mut stderr: ChildStderr) -> String {
    let mut kept = Vec::new();
    let mut begin = (&mut stderr).take(MAX_WORDS_BYTES);
    let read = begin.read_to_end(&mut kept);
    if read.is_ok() {
        let _rest = std::io::copy(&mut stderr, &mut std::io::sink());
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell script in place of the worker.
    fn stand_in(script: &str) -> Worker {
        let program = ["/bin/sh", "-c", script].map(PathBuf::from).to_vec();
        Worker { program, bounds: WorkerBounds::default() }
    }

    fn asked(worker: &Worker) -> Result<Vec<u8>, String> {
        worker
            .ask(WorkerTask::Compile, &vec![7; 1_000_000], 3)
            .map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn an_answer_is_taken_whole_or_not_at_all() {
        let long = r"\000\000\000\000\000\000\000";
        let says = |head: &str, text: &str| {
            asked(&stand_in(&format!(r"cat >/dev/null; printf '{head}{long}{text}'")))
        };
        assert_eq!(says(r"\002\003", "abc"), Ok(b"abc".to_vec()));
        assert_eq!(says(r"\001\004", "abcd"), Err("abcd".to_owned()));
        let text = says(r"\002\004", "abcd").unwrap_err();
        assert!(text.contains("gives 4 bytes, and may give 3"), "{text}");
        for (head, text) in [(r"\002\003", "ab"), (r"\011\003", "abc")] {
            let text = says(head, text).unwrap_err();
            assert!(text.contains("broke (exit status: 0)"), "{text}");
        }
    }

    #[test]
    fn an_answer_counts_though_the_input_was_not_read() {
        let long = r"\000\000\000\000\000\000\000";
        let answer = asked(&stand_in(&format!(r"printf '\002\001{long}a'; exec sleep 1000")));
        assert_eq!(answer, Ok(b"a".to_vec()));
    }

    #[test]
    fn a_worker_that_ends_or_is_stopped_is_told_by_its_bound() {
        for (script, said) in [
            ("kill -XCPU $$", "compiling it takes more than 60 s of CPU time"),
            (
                "echo memory allocation of 9 bytes failed >&2; kill -ABRT $$",
                "compiling it takes more than 1024 MiB of memory",
            ),
            (
                r"printf '\003\000\000\000\000\000\000\000\000'",
                "compiling it takes more than 1024 MiB of memory",
            ),
            ("kill -KILL $$", "no memory left"),
            ("echo it is wrong >&2; kill -ABRT $$", "it is wrong"),
            ("yes | head -c 100000 >&2; exit 3", "broke (exit status: 3)"),
        ] {
            let text = asked(&stand_in(script)).unwrap_err();
            assert!(text.contains(said), "{script}: {text}");
            assert!(text.len() < 5_000, "{script}: {} bytes", text.len());
        }
    }

    #[test]
    fn a_worker_that_does_not_answer_is_killed_at_the_deadline() {
        let bounds =
            WorkerBounds { deadline: Duration::from_millis(50), ..WorkerBounds::default() };
        let text = asked(&stand_in("exec sleep 1000").with_bounds(bounds)).unwrap_err();
        assert!(text.contains("compiling it takes more than 0.05 s"), "{text}");
    }

    #[test]
    fn a_worker_that_cannot_be_started_is_named_with_what_plugins_need() {
        let text = asked(&Worker::new("/nowhere/sluicegate".into())).unwrap_err();
        assert!(text.contains("/nowhere/sluicegate cannot be started"), "{text}");
        assert!(text.contains("/proc") && text.contains("No such file"), "{text}");
    }

    #[test]
    fn a_worker_has_nothing_of_the_environment() {
        let (head, long) = (r"\001\001", r"\000\000\000\000\000\000\000");
        let script = format!("[ -z \"$CARGO_MANIFEST_DIR$HOME\" ] && printf '{head}{long}a'");
        assert_eq!(asked(&stand_in(&script)), Err("a".to_owned()));
    }
}

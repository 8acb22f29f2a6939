//! The worker process: sets its own resource limits, reads one question, and answers it.

use std::io::{Read, Write as _};

use anyhow::{Context as _, bail};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use serde::Deserialize;
use serde_json::Value;
use wasmtime::Engine;

use super::manifest;
use super::worker::{MAX_REFUSAL_CHARS, WorkerTask, WorkerVerdict, write_answer};

/// Answers the question on stdin, within the limits of [`super::worker::WorkerBounds`].
///
/// # Errors
/// A limit cannot be set, or the question cannot be read or answered.
pub fn answer_question(task: &str, cpu_seconds: u64, data_bytes: u64) -> anyhow::Result<()> {
    confine(cpu_seconds, data_bytes)?;
    let task = WorkerTask::ALL.into_iter().find(|known| known.as_str() == task);
    let Some(task) = task else { bail!("a host runs this for itself, to load plugins") };
    let (verdict, answer) = answer(task, std::io::stdin().lock());
    write_answer(std::io::stdout().lock(), verdict, &answer).context("answering")
}

/// Sets the resource limits, which nothing in this process can raise again.
fn confine(cpu_seconds: u64, data_bytes: u64) -> anyhow::Result<()> {
    // Best effort: if memory runs out, the kernel kills this process before the host.
    if let Ok(mut file) = std::fs::File::options().write(true).open("/proc/self/oom_score_adj") {
        let _refused = file.write_all(b"1000");
    }
    // The signal at the soft limit names the cause; the hard limit follows a second later.
    limit(Resource::RLIMIT_CPU, cpu_seconds, cpu_seconds + 1)?;
    limit(Resource::RLIMIT_DATA, data_bytes, data_bytes)?;
    limit(Resource::RLIMIT_FSIZE, 0, 0)?;
    // No core file: the configuration may hold a secret. The process dies with its parent.
    prctl::set_dumpable(false).context("forbidding core files")?;
    prctl::set_pdeathsig(Signal::SIGKILL).context("ending with the host")
}

fn limit(resource: Resource, soft: u64, hard: u64) -> anyhow::Result<()> {
    let set = || {
        let (_, most) = getrlimit(resource)?;
        setrlimit(resource, soft.min(most), hard.min(most))
    };
    set().with_context(|| format!("setting {resource:?}"))
}

fn answer(task: WorkerTask, mut input: impl Read) -> (WorkerVerdict, Vec<u8>) {
    let mut bytes = Vec::new();
    let read = input.read_to_end(&mut bytes).context("reading what to work on");
    let done = read.and_then(|_| match task {
        WorkerTask::Compile => compile(&bytes),
        WorkerTask::Judge => judge(&bytes).map(|()| Vec::new()),
    });
    match done {
        Ok(answer) => (WorkerVerdict::Done, answer),
        Err(error) if is_want_of_memory(&error) => (WorkerVerdict::OutOfMemory, Vec::new()),
        Err(error) => {
            let text: String = format!("{error:#}").chars().take(MAX_REFUSAL_CHARS).collect();
            (WorkerVerdict::Refused, text.into_bytes())
        }
    }
}

fn compile(component: &[u8]) -> anyhow::Result<Vec<u8>> {
    let engine = Engine::new(&super::engine::config())?;
    Ok(engine.precompile_component(component)?)
}

/// A plugin's schema, and the configuration to validate against it.
#[derive(Deserialize)]
struct ReceivedQuestion {
    schema: Value,
    config: Value,
}

fn judge(question: &[u8]) -> anyhow::Result<()> {
    let ReceivedQuestion { schema, config } = serde_json::from_slice(question)?;
    manifest::judge_config(&schema, &config)
}

fn is_want_of_memory(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<wasmtime::OutOfMemory>()
            || cause
                .downcast_ref::<std::io::Error>()
                .is_some_and(|error| error.kind() == std::io::ErrorKind::OutOfMemory)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(task: WorkerTask, input: &[u8]) -> (WorkerVerdict, String) {
        let (verdict, answer) = answer(task, input);
        (verdict, String::from_utf8_lossy(&answer).into_owned())
    }

    #[test]
    fn a_component_is_compiled_and_what_is_none_is_refused_with_the_reason() {
        let component = wat::parse_str("(component (core module (func)))").unwrap();
        let (verdict, code) = answer(WorkerTask::Compile, &*component);
        assert_eq!(verdict, WorkerVerdict::Done);
        assert!(Engine::detect_precompiled(&code).is_some());
        let (verdict, text) = text(WorkerTask::Compile, component.get(..12).unwrap());
        assert_eq!(verdict, WorkerVerdict::Refused);
        assert!(text.contains("out of bounds"), "{text}");
    }

    #[test]
    fn a_configuration_is_judged_by_the_schema_that_comes_with_it() {
        let fits = br#"{"schema":{"type":"object"},"config":{}}"#;
        assert_eq!(text(WorkerTask::Judge, fits), (WorkerVerdict::Done, String::new()));
        let (verdict, said) =
            text(WorkerTask::Judge, br#"{"schema":{"type":"object"},"config":7}"#);
        assert_eq!(verdict, WorkerVerdict::Refused);
        assert!(said.contains("(by `/type` of the plugin's schema)"), "{said}");
        let (verdict, said) =
            text(WorkerTask::Judge, br#"{"schema":{"type":"objekt"},"config":7}"#);
        assert_eq!(verdict, WorkerVerdict::Refused);
        assert!(said.contains("the schema of its configuration: "), "{said}");
    }

    #[test]
    fn the_words_about_an_input_are_bounded() {
        let schema = serde_json::json!({"items": {"enum": ["x".repeat(1_000)]}});
        let question = serde_json::json!({"schema": schema, "config": vec![0; 100_000]});
        let (verdict, said) = text(WorkerTask::Judge, question.to_string().as_bytes());
        assert_eq!((verdict, said.chars().count()), (WorkerVerdict::Refused, MAX_REFUSAL_CHARS));
    }
}

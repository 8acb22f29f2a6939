//! Commits offsets, each with the mark of its topic.

use rdkafka::consumer::{CommitMode, Consumer};

use super::Poller;
use crate::delivery::offsets::Commit;
use crate::kafka::lists::list_of;
use crate::source::SourceEvent;
use crate::source::context::failed;

impl Poller {
    /// Commits the offsets of partitions that are still ours: a command may come after a revocation, which
    /// has already committed newer ones.
    pub(super) fn commit(&mut self, mut commits: Vec<Commit>, mode: CommitMode) {
        commits.retain(|commit| self.builder.owns(&commit.partition) && !self.is_rejoining);
        if commits.is_empty() {
            return;
        }
        if self.consumer.context().has_marks() {
            for commit in &mut commits {
                self.mark(commit);
            }
        }
        let outcome = list_of(&commits).and_then(|list| match mode {
            CommitMode::Async => self.queue.commit(&list),
            CommitMode::Sync => self.consumer.commit(&list, mode),
        });
        match outcome {
            Err(error) => {
                let of = commits.into_iter().map(|commit| commit.partition).collect();
                self.tell_answer(failed(&error, of));
            }
            // The event that answers comes through `poll`.
            Ok(()) if matches!(mode, CommitMode::Async) => {}
            Ok(()) => {
                tracing::info!(partitions = commits.len(), "offsets committed");
                self.tell_answer(SourceEvent::Committed(commits));
            }
        }
    }

    fn tell_answer(&self, answer: SourceEvent) {
        self.consumer.context().note_answer(&answer);
        self.tell(answer);
    }

    /// Writes the topic's mark into the commit metadata, if its id is known.
    fn mark(&mut self, commit: &mut Commit) {
        if let Some(id) = self.watch.ids().get(&commit.partition.topic) {
            commit.metadata = self.beginnings.mark(id, commit.offset).to_string();
        }
    }
}

//! What a run is asked for.

use std::time::Duration;

use clap::{Parser, ValueEnum};
use serde::Serialize;

use crate::audit;
use crate::kind::{Kind, Named};

/// Faults of every kind against hosts between a real broker and a real engine; then every record is
/// counted by partition and offset.
#[derive(Debug, Clone, Parser)]
#[command(name = "cargo xtask chaos", version)]
pub struct Options {
    /// How long rounds of faults begin; the last one is finished, and all is caught up.
    #[arg(long, default_value_t = 5.0, value_parser = minutes)]
    pub minutes: f64,
    /// At least so many rounds begin, however long they take.
    #[arg(long, default_value_t = 0)]
    pub rounds: usize,
    /// Chooses the faults and their order.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// What the hosts promise.
    #[arg(long, value_enum, default_value_t = Mode::AtLeastOnce)]
    pub mode: Mode,
    /// A run that must fail, to show that the audit sees what it is there for.
    #[arg(long, value_enum)]
    pub control: Option<Control>,
    /// How the members of the group share the partitions.
    #[arg(long, value_enum, default_value_t = Protocol::Cooperative)]
    pub protocol: Protocol,
    /// Only these kinds of faults, comma-separated; `quick` for all of the short run among the tests.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub only: Vec<Named>,
    /// None of these kinds of faults, comma-separated.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub without: Vec<Named>,
    /// In at_least_once too, the table remembers deduplication tokens.
    #[arg(long)]
    pub window: bool,
    /// In exactly_once too, each INSERT goes into three partitions of the table. One of them that cannot
    /// be published then makes the hosts pause, so such kinds are left out.
    #[arg(long)]
    pub several_partitions: bool,
    /// In exactly_once: the table has no column for tokens, so that the hosts pause where they
    /// cannot tell whether rows landed.
    #[arg(long)]
    pub no_token_column: bool,
    /// Records produced each second.
    #[arg(long, default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub per_second: u64,
}

/// What the hosts promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[value(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing is lost; a record may land twice.
    AtLeastOnce,
    /// Nothing is lost, and nothing lands twice.
    ExactlyOnce,
}

/// How the members of the group share the partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Each rebalance moves what must move.
    Cooperative,
    /// Each rebalance takes all partitions from all members.
    Eager,
    /// The broker decides (KIP-848).
    Consumer,
}

impl Protocol {
    /// KAFKA_PROPERTIES of the hosts. A session lasts 3 s with each; with the broker's own protocol
    /// that is the broker's setting.
    pub fn properties(self) -> &'static str {
        match self {
            Self::Cooperative => "session.timeout.ms=3000,heartbeat.interval.ms=500",
            Self::Eager => {
                "session.timeout.ms=3000,heartbeat.interval.ms=500,\
                 partition.assignment.strategy=range"
            }
            Self::Consumer => "group.protocol=consumer",
        }
    }
}

/// A way to break the promise from outside of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// In exactly_once: the hosts are told to deliver at least once, so that the doubles show.
    NoPlan,
    /// All hosts are killed, and what they had not settled is committed in their stead: what a host
    /// leaves behind that commits before it settles.
    EarlyCommit,
}

impl Options {
    /// How long rounds begin.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.minutes * 60.0)
    }

    /// Fails where the run cannot be made.
    pub fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.mode == Mode::ExactlyOnce || self.control != Some(Control::NoPlan),
            "--control no-plan shows what exactly_once is for: it needs --mode exactly_once"
        );
        anyhow::ensure!(
            self.mode == Mode::ExactlyOnce || !self.no_token_column,
            "--no-token-column is about --mode exactly_once"
        );
        for kind in self.only.iter().flat_map(|named| &named.0) {
            let is_alone = self.only.len() == 1 && self.only.iter().all(|named| named.0.len() == 1);
            anyhow::ensure!(
                !is_alone || self.suits(*kind),
                "`{}` is nothing for this mode",
                kind.name()
            );
        }
        anyhow::ensure!(!self.kinds().is_empty(), "no kind of fault is left");
        Ok(())
    }

    /// Whether a kind can strike, and the promise be kept.
    fn suits(&self, kind: Kind) -> bool {
        match kind {
            // A table that takes another's place has not seen its tokens.
            Kind::TablesExchanged => self.mode == Mode::AtLeastOnce,
            // A part of an INSERT has landed, and its token is used up: the hosts pause.
            Kind::PublishKilled | Kind::PublishFails => {
                self.mode == Mode::AtLeastOnce || !self.several_partitions
            }
            // Without tokens INSERTs go through the server's queue, whose answers count no rows, and
            // nothing is looked up.
            Kind::SuccessOfNothing | Kind::SuccessInPart | Kind::PartsReadSlow => self.window() > 0,
            // What other hosts insert meanwhile leaves the search for a token alone to tell.
            Kind::RowsReadSlow => self.mode == Mode::ExactlyOnce && !self.no_token_column,
            _ => true,
        }
    }

    /// The kinds of faults that are to strike.
    pub fn kinds(&self) -> Vec<Kind> {
        let is_in = |named: &[Named], kind: &Kind| named.iter().any(|named| named.0.contains(kind));
        let is_wanted = |kind: &&Kind| {
            self.suits(**kind)
                && (self.only.is_empty() || is_in(&self.only, kind))
                && !is_in(&self.without, kind)
        };
        Kind::ALL.iter().filter(is_wanted).copied().collect()
    }

    /// The variables that make the hosts promise it; none for the default of the host.
    pub fn variables(&self) -> &'static [(&'static str, &'static str)] {
        match (self.mode, self.control) {
            (Mode::ExactlyOnce, None | Some(Control::EarlyCommit)) => {
                &[("DELIVERY", "exactly_once")]
            }
            (Mode::ExactlyOnce, Some(Control::NoPlan)) => &[("DELIVERY", "at_least_once")],
            (Mode::AtLeastOnce, _) => &[],
        }
    }

    /// The variable METADATA_COLUMNS of the hosts: with the column for tokens where they plan.
    pub fn metadata_columns(&self) -> String {
        let is_planned = self.mode == Mode::ExactlyOnce && self.control != Some(Control::NoPlan);
        let token = if is_planned && !self.no_token_column { ",token=token" } else { "" };
        format!("{}{token}", audit::METADATA)
    }

    /// What the table is partitioned by: where it is by more than Kafka's partition, an INSERT goes
    /// into several partitions.
    pub fn partition_key(&self) -> &'static str {
        if self.has_several_partitions() { "(kafka_partition, n % 3)" } else { "kafka_partition" }
    }

    fn has_several_partitions(&self) -> bool {
        self.several_partitions || self.mode == Mode::AtLeastOnce
    }

    /// The settings that the table must have for it.
    pub fn table_settings(&self) -> String {
        match self.window() {
            0 => String::new(),
            tokens => format!("SETTINGS non_replicated_deduplication_window = {tokens}"),
        }
    }

    /// How many deduplication tokens the table remembers.
    pub fn window(&self) -> u32 {
        let is_asked = self.window || self.mode == Mode::ExactlyOnce;
        if is_asked { 100_000 } else { 0 }
    }

    /// Whether a record that landed twice breaks the promise.
    pub fn forbids_doubles(&self) -> bool {
        self.mode == Mode::ExactlyOnce
    }
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|error| format!("{error}"))?;
    let is_sound = minutes > 0.0 && minutes <= 24.0 * 60.0;
    if is_sound { Ok(minutes) } else { Err("more than 0, a day at most".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["chaos"], arguments].concat())
    }

    #[test]
    fn a_control_without_its_mode_is_refused() {
        assert!(parse(&["--control", "no-plan"]).unwrap().check().is_err());
        let exact = ["--mode", "exactly_once", "--control", "no-plan"];
        for taken in [&[][..], &["--minutes", "0.5", "--control", "early-commit"], &exact] {
            assert!(parse(taken).unwrap().check().is_ok(), "{taken:?}");
        }
        assert!(parse(&["--minutes", "0"]).is_err());
        assert!(parse(&["--no-token-column"]).unwrap().check().is_err());
    }

    #[test]
    fn kinds_are_chosen_by_name_and_by_what_suits_the_mode() {
        let kinds = |arguments: &[&str]| parse(arguments).unwrap().kinds();
        let all = kinds(&[]);
        assert!(all.contains(&Kind::TablesExchanged) && !all.contains(&Kind::SuccessOfNothing));
        assert!(kinds(&["--window"]).contains(&Kind::SuccessOfNothing));
        let exact = kinds(&["--mode", "exactly_once", "--without", "disk_full,host_killed"]);
        assert_eq!(exact.len(), Kind::ALL.len() - 3);
        let two = kinds(&["--only", "disk_full,host_killed"]);
        assert_eq!(two, [Kind::DiskFull, Kind::HostKilled]);
        assert_eq!(kinds(&["--only", "quick"]).len(), 29);
        assert!(parse(&["--only", "success_in_part"]).unwrap().check().is_err());
        assert!(parse(&["--only", "nonsense"]).is_err());
    }

    #[test]
    fn the_mode_reaches_the_hosts_as_a_variable() {
        let exact = parse(&["--mode", "exactly_once"]).unwrap();
        assert_eq!(exact.variables(), [("DELIVERY", "exactly_once")]);
        let control = Options { control: Some(Control::NoPlan), ..exact };
        assert_eq!(control.variables(), [("DELIVERY", "at_least_once")]);
        assert!(parse(&[]).unwrap().variables().is_empty());
    }
}

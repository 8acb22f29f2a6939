//! What is checked: the protocol or a variant that breaks it, and the bounds of the world.

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its row lands.
    Lands,
    /// The host rejects it before the INSERT, and dead-letters it.
    Rejected,
    /// ClickHouse refuses every INSERT that holds its row.
    Refused,
}

/// The protocol, or what happens without one of its rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// The protocol as docs/exactly-once.md tells it.
    Sound,
    /// No plan: a token lives as long as the process that made it.
    AtLeastOnce,
    /// The token is made of positions alone.
    NoNonce,
    /// The tokens of the halves of a split batch are derived from that of the whole, without a plan.
    SuffixTokens,
    /// A batch counts as settled when its dead letters are handed to the producer.
    CommitBeforeReport,
    /// The INSERT does not wait for the plan to be committed.
    InsertBeforePlan,
    /// The broker takes the commits of a member whose assignment is over, as with `assign()`.
    UnfencedCommit,
    /// A commit that was not answered is sent again under the same generation.
    CommitAgainAfterSilence,
    /// Any refused batch is split, also one that may have landed before.
    SplitOfUnknown,
    /// The window is believed to hold every token of a plan, however old.
    TrustedWindow,
    /// A token that was never used is sent however old its plan is.
    UnusedTokenKept,
    /// An INSERT may be under way for longer than the window lasts.
    UnboundedInsert,
    /// Dead letters are sent after the INSERT.
    LettersAfterInsert,
    /// A batch counts as landed if the table has a row with one of its positions.
    VerifiedByPosition,
    /// The plan does not say which topic it is of.
    PlanWithoutTopic,
    /// The plan does not say which table it is for.
    PlanWithoutTable,
    /// Tries of an INSERT reach whichever server.
    AnyServer,
    /// A success counts as landed, though an earlier try may have left the token without the rows.
    TrustedSuccess,
}

/// The variant, the records and the bounds of one check.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Which rules are followed.
    pub variant: Variant,
    /// For each record what becomes of it, before and after the table is altered.
    pub records: Vec<[Verdict; 2]>,
    /// The group's last generation: every crash, restart and rebalance takes one.
    pub generations: u8,
    /// How often the table is altered, at most once.
    pub alterations: u8,
    /// How often what was planned becomes too old for the deduplication window.
    pub windows: u64,
    /// How often another table takes the place of the table, with its rows.
    pub replacements: u32,
    /// How many servers that are no replicas have a table of the name.
    pub servers: u32,
    /// How often a server fails after it has logged a token, and before it has stored the rows.
    pub failures: u8,
    /// How often the topic is created again, at most once.
    pub recreations: u8,
    /// How many records retention or compaction takes.
    pub vanishing: usize,
    /// Batches in flight.
    pub in_flight: usize,
    /// Records of a batch.
    pub batch: usize,
    /// Whether the table can be asked for a token: each row carries it, or the parts tell that came since.
    pub has_token_column: bool,
}

impl Setup {
    /// The protocol with nothing but crashes, rebalances and lost or late requests.
    pub fn new(records: impl IntoIterator<Item = Verdict>) -> Self {
        Self {
            variant: Variant::Sound,
            records: records.into_iter().map(|verdict| [verdict; 2]).collect(),
            generations: 3,
            alterations: 0,
            windows: 0,
            replacements: 0,
            servers: 1,
            failures: 0,
            recreations: 0,
            vanishing: 0,
            in_flight: 2,
            batch: 2,
            has_token_column: true,
        }
    }

    /// Without one of the rules.
    #[must_use]
    pub fn with_variant(&self, variant: Variant) -> Self {
        Self { variant, ..self.clone() }
    }

    /// Whether this is the variant.
    pub fn is(&self, variant: Variant) -> bool {
        self.variant == variant
    }
}

//! The server and table that planned rows go to. A table that is not replicated remembers tokens by itself,
//! so every try of an INSERT under one token has to reach the same table of the same server. An HTTP session
//! ensures that: a query that names the server opens it, and any other server refuses an INSERT of that
//! session before it begins, since it does not know the session. Each query gets a new session name, since a
//! name that was opened on another server in vain is known there. The INSERT's query id is its token: a
//! server runs one query of an id at a time, so it refuses a try while an earlier one is still under way.

use twox_hash::XxHash3_64;

use super::refusal::Refusal;
use super::{PAUSE, Sink};
use crate::base::retry::Backoff;
use crate::clickhouse::Carried;
use crate::clickhouse::errors::{self, InsertError};
use crate::clickhouse::merge_tree::{WINDOW, window};
use crate::clickhouse::post::Failed;
use crate::clickhouse::table::Table;
use crate::delivery::plans::{Home, short_fingerprint};
use crate::flow::hold::Hold;
use crate::observe::count::{self, RetryClass, RetryStep};
use crate::observe::status::Waiter;
use crate::schema::quoted::literal;

/// How often a session is opened before the planned server counts as unreachable: behind a shared address,
/// each try may reach another server.
const MAX_OPENED: u32 = 8;

/// The UUID of tables in a database without UUIDs; their paths identify them.
const NONE: &str = "00000000-0000-0000-0000-000000000000";

/// What a server says about itself and the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableStand {
    /// The answering server and its table.
    pub home: Home,
    /// The highest block number among the table's parts; 0 if it has none.
    pub block: u64,
    /// How many tokens the table remembers.
    pub window: u64,
}

impl TableStand {
    /// How far the deduplication window has moved: the highest block number. Each inserted part takes at
    /// least one number, and the window counts parts (measured on 26.7). A table without parts is at its
    /// first block, which is 1.
    pub fn window_position(&self) -> u64 {
        self.block.max(1)
    }
}

/// A server's answer about the table.
struct StandAnswer {
    stand: TableStand,
    /// The table's CREATE statement.
    statement: String,
    /// The name of the session it was asked in.
    session: String,
}

/// Rows that a plan names.
#[derive(Debug, Clone, Copy)]
pub struct Promised<'a> {
    /// The position of the deduplication window when they were planned.
    pub window_position: u64,
    /// The server and table they were planned for, if known.
    pub home: Option<Home>,
    /// Whether an earlier INSERT under the same token may have landed them.
    pub is_sent: bool,
    /// Whether this member sent that INSERT and got no clear answer.
    pub is_unclear: bool,
    /// Where they carry their token. If the table cannot be searched for it, a server that has run since they
    /// were planned is believed: one that dies may leave a token without its rows, but one that runs reports
    /// that in its answer, which the sender heard or did not live to hear.
    pub carried: Carried<'a>,
}

impl Promised<'_> {
    /// Whether a success under their token proves that they are in the table.
    pub fn is_believed(&self, stand: &TableStand) -> bool {
        self.carried.searched().is_none()
            && !self.is_unclear
            && self.home.is_none_or(|home| home.has_run_until(&stand.home))
    }

    /// Their parts have block numbers above this one.
    pub fn before(&self) -> u64 {
        // A table without parts has the same window position as one with a first part.
        if self.window_position <= 1 { 0 } else { self.window_position }
    }
}

impl Sink {
    /// The table's state as it was last read.
    pub async fn stand(&self, table: &Table) -> TableStand {
        let last = *self.last_stand();
        match last {
            Some(stand) => stand,
            None => self.stand_now(table).await,
        }
    }

    /// The table's state now.
    async fn stand_now(&self, table: &Table) -> TableStand {
        self.look_at_home(table, false, &self.status.waiter("clickhouse")).await.stand
    }

    /// The table's state now on this server; `None` if it is not reached: behind a shared address, each try
    /// may reach another server.
    pub async fn stand_on(&self, table: &Table, server: u32) -> Option<TableStand> {
        let mut backoff = Backoff::default();
        loop {
            let stand = self.stand_now(table).await;
            if stand.home.server == server {
                return Some(stand);
            }
            if backoff.attempts() >= MAX_OPENED {
                return None;
            }
            backoff.wait().await;
        }
    }

    /// The refusal of a planned INSERT while another server answers.
    pub fn elsewhere(&self, table: &Table) -> Refusal {
        let (url, place) = (self.server.url(), table.place());
        Refusal::Elsewhere(format!(
            "they were planned for another server than the one that answers at CLICKHOUSE_HOST {url}, and the \
             tokens of `{place}` are known where it was inserted only: let CLICKHOUSE_HOST lead to one \
             server, or to that one again"
        ))
    }

    /// Opens a session on the server that the rows were planned for, and checks that the table cannot have
    /// forgotten their token. Returns the table's state and the session's name.
    ///
    /// # Errors
    /// Why they may not be sent under their token.
    pub(super) async fn open(
        &self,
        table: &Table,
        promised: &Promised<'_>,
        waiter: &Waiter,
    ) -> Result<(TableStand, String), Refusal> {
        let (mut backoff, place) = (Backoff::default(), table.place());
        loop {
            let StandAnswer { stand, statement, session } =
                self.look_at_home(table, true, waiter).await;
            let home = promised.home.unwrap_or(stand.home);
            if home.server != stand.home.server {
                if backoff.attempts() >= MAX_OPENED {
                    return Err(self.elsewhere(table));
                }
                waiter.hold(Hold::Transient(format!(
                    "another server answers at CLICKHOUSE_HOST {} than the one that rows of `{place}` were \
                     planned for: that one is sought",
                    self.server.url()
                )));
                backoff.wait().await;
                continue;
            }
            if home.table != stand.home.table {
                return Err(Refusal::Replaced(format!(
                    "`{place}` is another table than the one that they were planned for, or has another \
                     non_replicated_deduplication_window: it need not know their token"
                )));
            }
            if let Some(text) = aged(&place, promised.window_position, &stand) {
                return Err(Refusal::Aged(text));
            }
            // Of several servers, this one may have got an ALTER last.
            if !table.facts.is_of(&statement) {
                let text =
                    format!("`{place}` is defined otherwise on the server that is to get the rows");
                return Err(Refusal::Schema(text));
            }
            return Ok((stand, session));
        }
    }

    /// Asks until a server names itself and describes the table; if `opens`, each query opens a new session,
    /// since one whose answer was lost may have reached another server.
    async fn look_at_home(&self, table: &Table, opens: bool, waiter: &Waiter) -> StandAnswer {
        let (database, name) = (literal(&table.schema.database), literal(&table.schema.table));
        // Only tables without a window of their own need this, so other users need no right to read it.
        let of_server = match table.facts.is_window_of_server {
            true => {
                format!(
                    "(SELECT any(value) FROM system.merge_tree_settings WHERE name = '{WINDOW}')"
                )
            }
            false => "''".to_owned(),
        };
        let sql = format!(
            "SELECT toString(serverUUID()), toString(toUnixTimestamp(now()) - uptime()), if(uuid = toUUID('{NONE}'), \
             arrayStringConcat(data_paths), toString(uuid)), engine_full, {of_server}, (SELECT \
             toString(max(max_block_number)) FROM system.parts WHERE database = {database} AND table = \
             {name}), create_table_query FROM system.tables WHERE \
             database = {database} AND name = {name} \
             FORMAT JSONCompactEachRow"
        );
        let mut backoff = Backoff::default();
        loop {
            let session = uuid::Uuid::new_v4().to_string();
            let answer = self.server.ask(&sql, opens.then_some(session.as_str())).await;
            let hold = match answer {
                Ok(text) => match stand(&text) {
                    Some((stand, statement)) => {
                        *self.last_stand() = Some(stand);
                        return StandAnswer { stand, statement, session };
                    }
                    None => Hold::Paused(format!(
                        "table `{}` is unknown to CLICKHOUSE_HOST {}",
                        table.place(),
                        self.server.url()
                    )),
                },
                Err(failed) => self.hold_of_failed(&failed, table),
            };
            wait_out(hold, waiter, &mut backoff).await;
        }
    }

    /// What a failed query means if it sent no rows.
    pub(super) fn hold_of_failed(&self, failed: &Failed, table: &Table) -> Hold {
        let judged = errors::judge_failure(failed, self.server.url(), &table.place());
        match judged.error {
            // Without rows, an unclear outcome does not matter.
            InsertError::Unknown(text) | InsertError::Unproved(text) => Hold::Transient(text),
            error => errors::hold_of_query(error, ToString::to_string),
        }
    }
}

/// Waits before a query that failed for this reason is asked again.
pub(super) async fn wait_out(hold: Hold, waiter: &Waiter, backoff: &mut Backoff) {
    let pause = match hold {
        Hold::Paused(_) => PAUSE,
        Hold::Transient(_) => backoff.next_delay(),
    };
    count::retried(RetryStep::Table, RetryClass::from(&hold));
    waiter.hold(hold);
    waiter.pause(pause).await;
}

/// The reason if a table may have forgotten a token that was planned at this window position. Half of the
/// window is reserved for INSERTs under way at the time of the check.
fn aged(
    place: &crate::clickhouse::TableName,
    window_position: u64,
    stand: &TableStand,
) -> Option<String> {
    let (now, window) = (stand.window_position(), stand.window);
    (!is_remembered(window_position, now, window)).then(|| {
        format!(
            "{} parts were inserted into `{place}` since it was planned, and \
             non_replicated_deduplication_window is {window}",
            now.saturating_sub(window_position)
        )
    })
}

/// Whether a table surely remembers a token that was planned at `window_position`, now that its window stands
/// at `now`.
pub(super) fn is_remembered(window_position: u64, now: u64, window: u64) -> bool {
    now.checked_sub(window_position).is_some_and(|passed| passed <= window / 2)
}

/// Whether this fingerprint is that of the server with this UUID.
pub(super) fn is_server(server: u32, uuid: &str) -> bool {
    server == fingerprint(uuid)
}

fn fingerprint(text: &str) -> u32 {
    short_fingerprint(XxHash3_64::oneshot(text.as_bytes()))
}

/// Parses an answer into the table's state and its CREATE statement.
fn stand(text: &str) -> Option<(TableStand, String)> {
    let [server, started, uuid, engine_full, of_server, block, statement]: [String; 7] =
        serde_json::from_str(text).ok()?;
    let window = window(&engine_full, &of_server);
    let started = u16::try_from(started.parse::<u64>().ok()? % (1 << 16)).ok()?;
    let table = fingerprint(&format!("{uuid} {window}"));
    let home = Home { server: fingerprint(&server), table, started };
    Some((TableStand { home, block: block.parse().ok()?, window }, statement))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clickhouse::TableName;

    fn told(server: &str, table: &str, window: u64, block: u64) -> TableStand {
        let engine = format!("MergeTree SETTINGS non_replicated_deduplication_window = {window}");
        stand(&format!(r#"["{server}", "70000", "{table}", "{engine}", "", "{block}", "d"]"#))
            .unwrap()
            .0
    }

    #[test]
    fn a_home_changes_with_server_table_and_window_and_with_nothing_else() {
        let here = told("s", "t", 100, 7);
        assert_eq!((here.block, here.window, here.home.started), (7, 100, 4_464));
        assert_eq!(told("s", "t", 100, 8).home, here.home);
        let (server, table) = (here.home.server, here.home.table);
        let there = told("s2", "t", 100, 7).home;
        assert!(there.server != server && there.table == table);
        for home in [told("s", "t2", 100, 7).home, told("s", "t", 99, 7).home] {
            assert!(home.server == server && home.table != table);
        }
        assert_eq!(stand(""), None);
        let of_server = r#"["s", "70000", "t", "MergeTree ORDER BY id", "100", "7", "d"]"#;
        assert_eq!(stand(of_server).unwrap(), (here, "d".to_owned()));
    }

    #[test]
    fn a_token_is_known_for_half_of_the_window() {
        let place = TableName { database: "d".into(), name: "t".into() };
        let is_aged = |window_position, block| {
            aged(&place, window_position, &told("s", "t", 100, block)).is_some()
        };
        assert!(!is_aged(1, 0) && !is_aged(7, 7) && !is_aged(7, 57));
        assert!(is_aged(7, 58), "more than half of it passed");
        assert!(is_aged(7, 6), "its parts are gone, or it is another table");
    }
}

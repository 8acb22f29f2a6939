//! Functions that may answer otherwise when the same record is sent again: the server tells which ones do, and a
//! list tells where the server does not.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::answer;
use super::client::Server;
use super::table::answered;
use crate::flow::hold::Hold;

/// Those that certainly do, in lower case.
const CHANGING: &[&str] = &[
    "authenticateduser",
    "authuser",
    "buildid",
    "catboostevaluate",
    "chdb",
    "connection_id",
    "connectionid",
    "curdate",
    "database",
    "datetimetouuidv7",
    "defaultprofiles",
    "defaultroles",
    "displayname",
    "enabledprofiles",
    "enabledroles",
    "file",
    "fqdn",
    "fullhostname",
    "getclienthttpheader",
    "getmacro",
    "getmergetreesetting",
    "getoskernelversion",
    "hascolumnintable",
    "hostname",
    "localtime",
    "localtimestamp",
    "neighbor",
    "query_id",
    "queryid",
    "revision",
    "schema",
    "session_user",
    "shardcount",
    "shardnum",
    "tcpport",
    "timezone",
    "today",
    "transactionid",
    "uptime",
    "user",
    "utc_timestamp",
    "utctimestamp",
    "version",
    "yesterday",
    "zookeepersessionuptime",
];

/// How the names of others begin.
const CHANGING_PREFIXES: &[&str] = &[
    "block",
    "current",
    "dictget",
    "dicthas",
    "dictis",
    "filesystem",
    "fuzz",
    "generate",
    "getserver",
    "getsetting",
    "initial",
    "joinget",
    "naivebayes",
    "now",
    "rand",
    "region",
    "rownumber",
    "running",
    "server",
];

/// Those that ClickHouse calls though no brackets follow them.
const WITHOUT_BRACKETS: &[&str] = &[
    "curdate",
    "current_database",
    "current_date",
    "current_timestamp",
    "current_user",
    "localtime",
    "localtimestamp",
    "now",
    "session_user",
    "today",
    "user",
    "utc_timestamp",
    "yesterday",
];

/// A token of an expression or a statement, as ClickHouse prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlToken<'a> {
    /// Its text; of a quoted name what is within the quotes.
    pub text: Cow<'a, str>,
    /// Whether it is a word, a quoted name, a value or a sign.
    pub kind: SqlTokenKind,
    /// How many brackets are open around it.
    pub depth: usize,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlTokenKind {
    /// A name, a keyword or a number.
    Word,
    /// A name in quotes.
    Name,
    /// A value in quotes.
    Value,
    /// Any other sign, one character of it.
    Sign,
}

impl SqlToken<'_> {
    /// Whether it is this keyword.
    pub fn is(&self, keyword: &str) -> bool {
        self.kind == SqlTokenKind::Word && self.text.eq_ignore_ascii_case(keyword)
    }

    /// Whether it is this sign.
    pub fn is_sign(&self, sign: &str) -> bool {
        self.kind == SqlTokenKind::Sign && self.text == sign
    }

    /// Whether it may be a name.
    pub fn is_name(&self) -> bool {
        matches!(self.kind, SqlTokenKind::Word | SqlTokenKind::Name)
    }
}

/// The tokens of an expression or a statement.
pub fn tokens(text: &str) -> Vec<SqlToken<'_>> {
    let (mut tokens, mut rest, mut depth) = (Vec::new(), text, 0_usize);
    while let Some(first) = rest.chars().next() {
        let (token, kind, behind) = match first {
            '\'' | '`' | '"' => {
                let (token, behind) = quoted(rest, first);
                (
                    token,
                    if first == '\'' { SqlTokenKind::Value } else { SqlTokenKind::Name },
                    behind,
                )
            }
            first if is_of_word(first) => {
                let end = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
                let (word, behind) = rest.split_at(end);
                (Cow::Borrowed(word), SqlTokenKind::Word, behind)
            }
            first => {
                let (sign, behind) = rest.split_at(first.len_utf8());
                (Cow::Borrowed(sign), SqlTokenKind::Sign, behind)
            }
        };
        rest = behind;
        if first.is_whitespace() {
            continue;
        }
        if matches!(first, ')' | ']' | '}') {
            depth = depth.saturating_sub(1);
        }
        tokens.push(SqlToken { text: token, kind, depth });
        if matches!(first, '(' | '[' | '{') {
            depth += 1;
        }
    }
    tokens
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What is within the quotes that a text begins with, and what follows them.
fn quoted(text: &str, quote: char) -> (Cow<'_, str>, &str) {
    let (mut inner, mut characters) = (String::new(), text.chars());
    characters.next();
    while let Some(character) = characters.next() {
        match character {
            '\\' => inner.extend(characters.next()),
            _ if character == quote && characters.as_str().starts_with(quote) => {
                inner.extend(characters.next());
            }
            _ if character == quote => break,
            _ => inner.push(character),
        }
    }
    (Cow::Owned(inner), characters.as_str())
}

/// The names that the tokens read: not those that they give by AS.
pub fn names_read<'a>(tokens: &'a [SqlToken<'a>]) -> impl Iterator<Item = &'a SqlToken<'a>> {
    let is_given = |at: usize| {
        at.checked_sub(1).and_then(|at| tokens.get(at)).is_some_and(|before| before.is("AS"))
    };
    let names =
        tokens.iter().enumerate().filter(move |(at, token)| token.is_name() && !is_given(*at));
    names.map(|(_, token)| token)
}

/// The functions that are called, in lower case: what has an argument list, or is one of those that need none and is
/// no column.
pub fn called(tokens: &[SqlToken<'_>], is_column: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let is_called = |(at, token): &(usize, &SqlToken<'_>)| {
        let has_arguments = tokens.get(at + 1).is_some_and(|next| next.is_sign("("));
        let is_part = at
            .checked_sub(1)
            .and_then(|at| tokens.get(at))
            .is_some_and(|before| before.is_sign("."));
        let stands_alone = || {
            let is_such = WITHOUT_BRACKETS.iter().any(|name| token.is(name));
            is_such && !is_part && !is_column(&token.text)
        };
        token.is_name() && (has_arguments || stands_alone())
    };
    let found = tokens.iter().enumerate().filter(is_called);
    found.map(|(_, token)| token.text.to_ascii_lowercase()).collect()
}

/// Those of the functions that are not known to answer alike each time.
///
/// # Errors
/// What to wait for, as of [`crate::clickhouse::read_table`].
pub async fn changing(server: &Server, names: BTreeSet<String>) -> Result<BTreeSet<String>, Hold> {
    let (mut changing, asked): (BTreeSet<_>, BTreeSet<_>) =
        names.into_iter().partition(|name| is_changing(name));
    if asked.is_empty() {
        return Ok(changing);
    }
    // The column has one of two names; a server that has none, or keeps it to itself, refuses the query. What is
    // no function, such as a keyword, is not listed.
    let query = server
        .query(
            "SELECT DISTINCT lower(name) FROM system.functions WHERE lower(name) IN ? AND NOT is_aggregate \
             AND ifNull(COLUMNS('^(is_|)deterministic$'), 0) = 0",
        )
        .bind(Vec::from_iter(asked));
    let found: Result<Vec<String>, Hold> = answered(server, query, answer::all).await;
    match found {
        Ok(found) => changing.extend(found),
        Err(Hold::Paused(text)) => {
            tracing::debug!("which functions are deterministic is not told: {text}");
        }
        Err(hold) => return Err(hold),
    }
    Ok(changing)
}

fn is_changing(name: &str) -> bool {
    CHANGING.contains(&name) || CHANGING_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(expression: &str) -> Vec<String> {
        let is_column = |name: &str| ["id", "user", "now_at"].contains(&name);
        called(&tokens(expression), is_column)
            .into_iter()
            .filter(|name| is_changing(name))
            .collect()
    }

    #[test]
    fn a_function_is_known_by_its_whole_name() {
        assert_eq!(of("toUnixTimestamp(UTCTimestamp())"), ["utctimestamp"]);
        assert_eq!(of("CURRENT_TIMESTAMP"), ["current_timestamp"]);
        assert_eq!(of("concat(user, toString(now_at), 'now()')"), [""; 0]);
        assert_eq!(of("user()"), ["user"]);
        assert_eq!(of("`rand`(id)"), ["rand"]);
        assert_eq!(of("toUUID(cutQueryString(id)) IN ('a\\'', 'today()')"), [""; 0]);
        for name in [
            "FQDN()",
            "localtime()",
            "localtimestamp",
            "tcpPort()",
            "filesystemAvailable()",
            "filesystemUnreserved()",
            "fuzzBits(id, 0.5)",
            "connectionId()",
            "transactionID()",
            "rowNumberInBlock()",
            "rowNumberInAllBlocks()",
            "blockNumber()",
            "blockSize()",
            "version()",
            "displayName()",
            "hasColumnInTable('d', 't', 'c')",
            "shardNum()",
            "timezone()",
            "catboostEvaluate('p', id)",
            "naiveBayesClassifier('m', id)",
            "dictGet('d', 'region', id)",
            "joinGet('j', 'c', id)",
            "file('f')",
            "uptime()",
            "getSetting('s')",
            "getMacro('m')",
            "hostName()",
            "serverUUID()",
            "now64(3)",
            "generateUUIDv4()",
            "rand32()",
            "today()",
            "queryID()",
            "currentUser()",
        ] {
            assert_eq!(of(name).len(), 1, "{name}");
        }
    }

    #[test]
    fn tokens_know_their_depth_and_what_is_quoted() {
        let tokens = tokens("f(`a b`, 'it''s') AS x");
        let told: Vec<(&str, SqlTokenKind, usize)> =
            tokens.iter().map(|token| (&*token.text, token.kind, token.depth)).collect();
        assert_eq!(
            told,
            [
                ("f", SqlTokenKind::Word, 0),
                ("(", SqlTokenKind::Sign, 0),
                ("a b", SqlTokenKind::Name, 1),
                (",", SqlTokenKind::Sign, 1),
                ("it's", SqlTokenKind::Value, 1),
                (")", SqlTokenKind::Sign, 0),
                ("AS", SqlTokenKind::Word, 0),
                ("x", SqlTokenKind::Word, 0),
            ]
        );
    }
}

//! Functions that may return another value when the same record is sent again, by the server's word, or by a
//! list where the server does not tell.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::answer;
use super::client::Server;
use super::table::answered;
use crate::flow::hold::Hold;

/// Functions that certainly change, in lower case.
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

/// Name prefixes of further changing functions.
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

/// Functions that ClickHouse calls without brackets.
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
    /// Its text; without the quotes if it is quoted.
    pub text: Cow<'a, str>,
    /// Its kind.
    pub kind: SqlTokenKind,
    /// The number of open brackets around it.
    pub depth: usize,
}

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlTokenKind {
    /// A name, a keyword or a number.
    Word,
    /// A name in quotes.
    Name,
    /// A value in quotes.
    Value,
    /// Any other sign, of one character.
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

/// The content of the quotes at the start of a text, and the rest.
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

/// The names that the tokens read, without those defined by AS.
pub fn names_read<'a>(tokens: &'a [SqlToken<'a>]) -> impl Iterator<Item = &'a SqlToken<'a>> {
    let is_given = |at: usize| {
        at.checked_sub(1).and_then(|at| tokens.get(at)).is_some_and(|before| before.is("AS"))
    };
    let names =
        tokens.iter().enumerate().filter(move |(at, token)| token.is_name() && !is_given(*at));
    names.map(|(_, token)| token)
}

/// The called functions, in lower case: names with an argument list, and those that need none unless they are
/// columns.
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

/// The functions that are not known to return the same value each time.
///
/// # Errors
/// What to wait for: see [`crate::clickhouse::read_table`].
pub async fn changing(server: &Server, names: BTreeSet<String>) -> Result<BTreeSet<String>, Hold> {
    let (mut changing, asked): (BTreeSet<_>, BTreeSet<_>) =
        names.into_iter().partition(|name| is_changing(name));
    if asked.is_empty() {
        return Ok(changing);
    }
    // The column has one of two names; a server that lacks or hides it refuses the query. Other words, such
    // as keywords, are not listed.
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

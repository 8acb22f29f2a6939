//! What must be known of a statement before the engine sees it: is it an INSERT, and in which
//! format do its rows follow.

/// A token of a statement: its text and the byte where it starts. Quoted texts keep their
/// quotes, so that none of them is taken for a keyword.
struct Token<'s> {
    text: &'s str,
    start: usize,
}

/// Cuts a statement into words, quoted texts and single characters; comments are left out.
fn tokens(sql: &str) -> impl Iterator<Item = Token<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = sql.get(at..)?;
            let first = rest.chars().next()?;
            let length = if first.is_whitespace() {
                at += first.len_utf8();
                continue;
            } else if rest.starts_with("--") {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            } else if rest.starts_with("/*") {
                at += rest.find("*/").map_or(rest.len(), |end| end + 2);
                continue;
            } else if matches!(first, '\'' | '"' | '`') {
                quoted_length(rest, first)
            } else if first.is_alphanumeric() || first == '_' {
                rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len())
            } else {
                first.len_utf8()
            };
            let start = at;
            at += length;
            return Some(Token { text: rest.get(..length)?, start });
        }
    })
}

/// Bytes up to the closing quote; a backslash escapes, a doubled quote reads as two texts.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + c.len_utf8();
        }
    }
    text.len()
}

/// Whether the statement's first word is INSERT.
pub fn is_insert(sql: &str) -> bool {
    tokens(sql).next().is_some_and(|token| token.text.eq_ignore_ascii_case("insert"))
}

/// The statement before a closing `FORMAT Name`, and that name. None where it does not end
/// in one.
pub fn split_format(sql: &str) -> Option<(&str, &str)> {
    let mut before = None;
    let mut last: Option<Token<'_>> = None;
    for token in tokens(sql).filter(|token| token.text != ";") {
        before = last.replace(token);
    }
    let (keyword, name) = (before?, last?);
    let is_name = name.text.starts_with(|c: char| c.is_alphabetic());
    if !keyword.text.eq_ignore_ascii_case("format") || !is_name {
        return None;
    }
    Some((sql.get(..keyword.start)?.trim_end(), name.text))
}

/// Whether a second statement follows a semicolon.
pub fn has_second(sql: &str) -> bool {
    tokens(sql).skip_while(|token| token.text != ";").any(|token| token.text != ";")
}

/// Table functions, engines and sources that read files, run programs or ask other servers.
const OUTSIDE: [&str; 22] = [
    "catboostevaluate",
    "cluster",
    "clusterallreplicas",
    "disk",
    "file",
    "filecluster",
    "filelog",
    "filesystem",
    "gcs",
    "hive",
    "http",
    "jdbc",
    "kafka",
    "library",
    "nats",
    "odbc",
    "oss",
    "python",
    "redis",
    "sqlite",
    "url",
    "urlcluster",
];

/// The same, where the beginning tells.
const OUTSIDE_FAMILIES: [&str; 16] = [
    "arrowflight",
    "azure",
    "cosn",
    "deltalake",
    "executable",
    "hdfs",
    "hudi",
    "iceberg",
    "materialized",
    "mongodb",
    "mysql",
    "paimon",
    "postgresql",
    "remote",
    "s3",
    "ytsaurus",
];

/// What of a statement reads files, runs programs or asks other servers, as it stands there; or what the engine
/// may take for a comment, a space or a quote, behind which such a word would not be seen.
pub fn reaches_out(sql: &str) -> Option<&str> {
    let texts: Vec<&str> = tokens(sql).map(|token| token.text).collect();
    if let Some(hidden) = texts.iter().find(|text| may_hide(text)) {
        return Some(hidden);
    }
    let at = |at: Option<usize>| at.and_then(|at| texts.get(at)).copied().unwrap_or_default();
    texts.iter().enumerate().find_map(|(number, &text)| {
        let (last, next) = (at(number.checked_sub(1)), at(Some(number + 1)));
        let behind = if last == "=" { at(number.checked_sub(2)) } else { last };
        let is_named = next == "(" || behind.eq_ignore_ascii_case("engine");
        let is_clause = ["infile", "outfile"].iter().any(|word| text.eq_ignore_ascii_case(word))
            && next.starts_with('\'');
        (is_clause || is_named && is_outside(text)).then_some(text)
    })
}

/// Whether a token is a `#`, which begins a comment, a `$`, which begins a text, or no letter of ASCII's and none of
/// any other script's: a quote of typography or a space without width.
fn may_hide(token: &str) -> bool {
    let mut chars = token.chars();
    matches!((chars.next(), chars.next()), (Some(c), None)
        if matches!(c, '#' | '$') || !c.is_ascii() && !c.is_alphanumeric())
}

fn is_outside(text: &str) -> bool {
    let is_quoted = text.starts_with(['`', '"']);
    // A letter that is written as its code could make any name.
    let is_letter = |after: &str| after.starts_with(['4', '5', '6', '7']);
    if is_quoted && text.split("\\x").skip(1).any(is_letter) {
        return true;
    }
    let name = text.trim_matches(['`', '"']).to_ascii_lowercase();
    OUTSIDE.contains(&&*name) || OUTSIDE_FAMILIES.iter().any(|family| name.starts_with(family))
}

/// Quotes a text as a SQL string.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Quotes a name as a SQL identifier.
pub fn quote_name(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_an_insert_behind_space_and_comments() {
        for sql in ["INSERT INTO t", "  insert into t", "-- why\n/* a */ Insert Into t"] {
            assert!(is_insert(sql), "{sql}");
        }
        for sql in ["SELECT 'INSERT'", "inserted", "", "-- INSERT", "/* INSERT"] {
            assert!(!is_insert(sql), "{sql}");
        }
    }

    #[test]
    fn splits_the_format_off_the_end_only() {
        let split = |sql| split_format(sql);
        assert_eq!(
            split("INSERT INTO t (a, `b`) FORMAT ArrowStream"),
            Some(("INSERT INTO t (a, `b`)", "ArrowStream"))
        );
        assert_eq!(
            split("insert into t format JSONEachRow ;\n"),
            Some(("insert into t", "JSONEachRow"))
        );
        assert_eq!(split("INSERT INTO t FORMAT CSV -- done"), Some(("INSERT INTO t", "CSV")));
        assert_eq!(split("INSERT INTO `FORMAT x`"), None);
        assert_eq!(split("INSERT INTO t VALUES ('a FORMAT CSV')"), None);
        assert_eq!(split("INSERT INTO t FORMAT CSV 1,2"), None);
        assert_eq!(split("INSERT INTO t"), None);
        assert_eq!(split("FORMAT"), None);
        assert_eq!(split("SELECT 'it\\'s' FORMAT TSV"), Some(("SELECT 'it\\'s'", "TSV")));
        assert_eq!(split("SELECT 'open FORMAT TSV"), None);
    }

    #[test]
    fn sees_a_second_statement() {
        assert!(has_second("SELECT 1; SELECT 2"));
        for sql in ["SELECT 1", "SELECT 1;\n", "SELECT ';' ; -- done", ""] {
            assert!(!has_second(sql), "{sql}");
        }
    }

    #[test]
    fn what_leaves_the_engine_is_seen_and_names_alike_are_not() {
        for (sql, found) in [
            ("SELECT * FROM file('/etc/passwd', 'LineAsString')", "file"),
            ("SELECT * FROM /* a */ FILE /* b */ ('/etc/passwd')", "FILE"),
            ("SELECT * FROM `file`('/etc/passwd')", "`file`"),
            (r"SELECT * FROM `\x66ile`('/etc/passwd')", r"`\x66ile`"),
            ("INSERT INTO FUNCTION url('http://a/', 'CSV') SELECT 1", "url"),
            ("SELECT * FROM s3Cluster('c', 'http://a/')", "s3Cluster"),
            ("SELECT * FROM remoteSecure('a:9440', d.t)", "remoteSecure"),
            ("SELECT * FROM executable('a.sh', 'CSV', 'a Int8')", "executable"),
            ("CREATE TABLE t (a Int8) ENGINE = PostgreSQL('a:1', 'd', 't')", "PostgreSQL"),
            ("CREATE TABLE t (a Int8) engine MySQL('a:1')", "MySQL"),
            ("CREATE TABLE t (a Int8) ENGINE = Kafka SETTINGS kafka_broker_list = 'a'", "Kafka"),
            ("CREATE DICTIONARY d (a Int8) PRIMARY KEY a SOURCE(FILE(path '/a'))", "FILE"),
            ("BACKUP TABLE t TO Disk('d', 'a')", "Disk"),
            ("SELECT 1 INTO OUTFILE '/tmp/a'", "OUTFILE"),
            ("INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV", "INFILE"),
        ] {
            assert_eq!(reaches_out(sql), Some(found), "{sql}");
        }
        for (sql, hidden) in [
            ("SELECT * FROM file# x\n('/etc/passwd')", "#"),
            ("SELECT * FROM file#! x\n('/etc/passwd')", "#"),
            ("SELECT * FROM file\u{200b}('/etc/passwd')", "\u{200b}"),
            ("SELECT * FROM file\u{feff}('/etc/passwd')", "\u{feff}"),
            ("SELECT * FROM \u{201c}file\u{201d}('/etc/passwd')", "\u{201c}"),
            ("SELECT $$'$$, * FROM file('/etc/passwd')", "$"),
        ] {
            assert_eq!(reaches_out(sql), Some(hidden), "{sql}");
        }
        for sql in [
            "SELECT '# $ \u{201c}\u{200b}', `\u{e9}t\u{e9} $`, \u{e9} FROM t",
            "CREATE TABLE t (url String, file UInt8, s3 Int8) ENGINE = MergeTree ORDER BY (url)",
            "INSERT INTO t (`url`, file) FORMAT ArrowStream",
            r"INSERT INTO `d`.`t ?\\x` (`we\`ird`) FORMAT ArrowStream",
            r"INSERT INTO `\x1B\xE2\x80\xAE` (a) FORMAT ArrowStream",
            "SELECT 'file(1)', \"url\" FROM t -- file(",
            "CREATE TABLE r (a Int8) ENGINE = ReplicatedMergeTree ORDER BY a",
            "SELECT filesystemAvailable(), outfile FROM t",
        ] {
            assert_eq!(reaches_out(sql), None, "{sql}");
        }
    }

    #[test]
    fn quotes_what_could_end_a_quote() {
        assert_eq!(quote("a'b\\c"), "'a\\'b\\\\c'");
        assert_eq!(quote_name("a`b"), "`a\\`b`");
    }
}

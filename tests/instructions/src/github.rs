//! Nested events, as GitHub's archive has them: twelve columns are wanted, the rest is skipped.

use std::io::Write as _;

use fastrand::Rng;
use sluicegate::cli::telemetry::Broken;

/// Five flat columns, three Tuples, one Tuple that holds an Array of Tuples, a Map, two Arrays.
pub const COLUMNS: &str = "
    id UInt64,
    delivery UUID,
    kind Enum8('PushEvent' = 1, 'PullRequestEvent' = 2, 'IssuesEvent' = 3),
    created_at DateTime('UTC'),
    public Bool,
    actor Tuple(id UInt64, login String),
    repo Tuple(id UInt64, name String, stars UInt32),
    org Tuple(id UInt32, login LowCardinality(String)),
    payload Tuple(push_id UInt64, size UInt8, ref String, commits Array(Tuple(sha String, message String, distinct Bool))),
    counters Map(String, UInt32),
    labels Array(String),
    parents Array(UInt64)";

/// The columns without which a record is worth nothing.
pub const REQUIRED: &str = "id,delivery,kind";

const KINDS: [&str; 3] = ["PushEvent", "PullRequestEvent", "IssuesEvent"];
const LABELS: [&str; 4] =
    ["[]", r#"["bug"]"#, r#"["bug","help wanted"]"#, r#"["good first issue"]"#];
const WORDS: [&str; 8] =
    ["fix", "the", "parser", "of \\\"quoted\\\" names", "in", "README.md", "again", "\\u2713"];

/// The record of a number.
pub fn write(
    random: &mut Rng,
    number: u64,
    broken: Option<Broken>,
    out: &mut Vec<u8>,
) -> std::io::Result<()> {
    let is = |way| broken == Some(way);
    let of = |random: &mut Rng, texts: &[&'static str]| random.choice(texts.iter().copied());
    let sha = |random: &mut Rng| format!("{:032x}{:08x}", random.u128(..), random.u32(..));
    let delivery = uuid::Builder::from_random_bytes(random.u128(..).to_be_bytes()).into_uuid();
    let delivery = delivery.to_string();
    let delivery =
        if is(Broken::BadUuid) { delivery.get(..20).unwrap_or_default() } else { &delivery };
    let (actor, repo, org) = (random.u32(1_000..90_000_000), random.u32(..), random.u16(1..500));
    let kind = if is(Broken::UnknownLabel) {
        "WatchParty"
    } else {
        of(random, &KINDS).unwrap_or_default()
    };
    let day = if is(Broken::BadDate) {
        "02-30".to_owned()
    } else {
        format!("03-{:02}", number / 86_400 % 28 + 1)
    };
    let (hour, minute, second) = (number / 3_600 % 24, number / 60 % 60, number % 60);
    out.push(b'{');
    match broken {
        Some(Broken::Missing) => {}
        Some(Broken::Null) => write!(out, r#""id":null,"#)?,
        Some(Broken::WrongType) => write!(out, r#""id":"event {number}","#)?,
        _ => write!(out, r#""id":{},"#, 30_000_000_000 + number)?,
    }
    write!(out, r#""delivery":"{delivery}","kind":"{kind}","#)?;
    write!(
        out,
        r#""actor":{{"id":{actor},"login":"user-{actor}","display_login":"user-{actor}","gravatar_id":"","url":"https://api.example.com/users/user-{actor}","avatar_url":"https://avatars.example.com/u/{actor}?"}},"#
    )?;
    write!(
        out,
        r#""repo":{{"id":{repo},"name":"user-{actor}/project-{}","url":"https://api.example.com/repos/user-{actor}/project-{}","stars":{}}},"#,
        repo % 1_000,
        repo % 1_000,
        random.u32(0..200_000)
    )?;
    let size = if is(Broken::OutOfRange) { 300 } else { random.u16(1..4) };
    write!(
        out,
        r#""payload":{{"repository_id":{repo},"push_id":{},"size":{size},"distinct_size":{size},"ref":"refs/heads/topic-{}","head":"{}","before":"{}","commits":["#,
        random.u64(1_000_000_000..20_000_000_000),
        random.u8(..),
        sha(random),
        sha(random)
    )?;
    for commit in 0..random.u8(1..=2) {
        let (sha, comma) = (sha(random), if commit == 0 { "" } else { "," });
        let mut words = || of(random, &WORDS).unwrap_or_default();
        let (first, second, third) = (words(), words(), words());
        write!(
            out,
            r#"{comma}{{"sha":"{sha}","author":{{"email":"user-{actor}@example.com","name":"User {actor}"}},"message":"{first} {second} {third}","distinct":{},"url":"https://api.example.com/repos/user-{actor}/project/commits/{sha}"}}"#,
            random.bool()
        )?;
    }
    write!(
        out,
        r#"]}},"public":true,"created_at":"2026-{day}T{hour:02}:{minute:02}:{second:02}Z","#
    )?;
    write!(
        out,
        r#""org":{{"id":{org},"login":"org-{org}","gravatar_id":"","url":"https://api.example.com/orgs/org-{org}","avatar_url":"https://avatars.example.com/o/{org}?"}},"#
    )?;
    write!(
        out,
        r#""counters":{{"additions":{},"deletions":{},"files":{}}},"labels":{},"parents":[{},{}]}}"#,
        random.u16(..),
        random.u16(..),
        random.u8(1..),
        of(random, &LABELS).unwrap_or_default(),
        random.u32(..),
        random.u32(..)
    )
}

use serde::Deserialize;

/// How the plugin begins, and how slow `slow` is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What `init` does.
    pub init: Init,
    /// How long `slow` works, in milliseconds of a core at about 3 GHz; see `acts::work`.
    pub slow_ms: u64,
}

/// What `init` does.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Init {
    /// It ends well.
    #[default]
    Ok,
    /// It never ends.
    Loop,
    /// It panics.
    Panic,
    /// It answers with an error.
    Error,
    /// It takes memory without end.
    Allocate,
}

//! Keeps every record, without looking at one: the baseline of the benchmarks.

use sluicegate_plugin::{Batch, NoConfig, Outcome, Raw, RowsPlugin};

/// The plugin.
#[derive(Debug)]
pub struct Passthrough;

impl RowsPlugin for Passthrough {
    type Config = NoConfig;
    type Record<'a> = Raw<'a>;

    fn new(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<Outcome, String> {
        Ok(Outcome::keep_all(batch.rows()))
    }
}

sluicegate_plugin::export!(Passthrough);

#[cfg(test)]
mod tests {
    use sluicegate_plugin::testing::{Answer, run};

    use super::*;

    #[test]
    fn every_record_is_kept_whatever_it_is() {
        let payloads: [&[u8]; 3] = [b"{}", b"", b"\xff"];
        assert_eq!(run::<Passthrough>("{}", &payloads), Ok(vec![Answer::Keep; 3]));
    }

    #[test]
    fn a_config_is_refused() {
        let error = run::<Passthrough>(r#"{"a":1}"#, &["{}"]).unwrap_err();
        assert_eq!(error, "config, key `a`: unknown field at line 1 column 4");
    }
}

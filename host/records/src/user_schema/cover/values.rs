//! Proofs for the keywords of numbers and strings.

use jsonschema::Validator;
use serde_json::Map;

use super::super::bounds::compare;
use super::super::document::Document;
use super::super::node::Payload;
use super::{Place, Proof};
use crate::schema::shape::{Shape, Unsaid};

impl Place<'_> {
    pub fn is_low(&self, shape: &Shape, is_exclusive: bool) -> Proof {
        self.is_beyond(shape, |(low, _)| low, |low, limit| compare(limit, low), is_exclusive)
    }

    pub fn is_high(&self, shape: &Shape, is_exclusive: bool) -> Proof {
        self.is_beyond(shape, |(_, high)| high, compare, is_exclusive)
    }

    /// Proves that the table's own bound lies within the limit.
    fn is_beyond(
        &self,
        shape: &Shape,
        end: impl Fn(&(String, String)) -> &String,
        outward: impl Fn(&str, &str) -> std::cmp::Ordering,
        is_exclusive: bool,
    ) -> Proof {
        let (Some(numbers), Some(limit)) = (&shape.number, self.schema.as_number()) else {
            return Ok(());
        };
        let Some(bound) = numbers.bounds.as_ref().map(end) else {
            return self.no("the table has no bound here");
        };
        let found = outward(bound, &limit.to_string());
        if found.is_lt() || found.is_eq() && (!is_exclusive || numbers.is_open) {
            return Ok(());
        }
        self.no(format!("the table takes numbers up to {bound}"))
    }

    pub fn divides(&self, shape: &Shape) -> Proof {
        let (Some(numbers), Some(step)) = (&shape.number, self.schema.as_number()) else {
            return Ok(());
        };
        let step = step.to_string();
        let is_one = numbers.is_integer && compare(&step, "1").is_eq();
        let is_same = numbers.step.as_ref().is_some_and(|own| compare(own, &step).is_eq());
        if is_one || is_same { Ok(()) } else { self.no("the table takes other numbers too") }
    }

    pub fn takes_texts(&self, keyword: &str, shape: &Shape) -> Proof {
        let Some(texts) = &shape.text else { return Ok(()) };
        if let Some(labels) = &texts.labels {
            return self.takes_each(keyword, labels);
        }
        let limit = self.schema.as_u64();
        let is_covered = match keyword {
            "minLength" => limit.is_some_and(|least| least <= texts.min_chars),
            "maxLength" => limit.zip(texts.max_chars).is_some_and(|(limit, most)| most <= limit),
            // The table's own pattern proves nothing if it refuses texts that the table accepts.
            _ => {
                texts.unsaid != Some(Unsaid::Exponent)
                    && texts.pattern.is_some()
                    && texts.pattern.as_deref() == self.schema.as_str()
            }
        };
        if is_covered { Ok(()) } else { self.no("the table takes other strings too") }
    }

    /// Tests a keyword on each of a list of texts.
    fn takes_each(&self, keyword: &str, texts: &[String]) -> Proof {
        let schema = Map::from_iter([(keyword.to_owned(), self.schema.clone())]).into();
        let options = jsonschema::options_for::<Payload>().with_draft(self.draft).offline();
        let Ok(validator): Result<Validator<Payload>, _> = options.build(&schema) else {
            return self.no("it stands by itself for nothing");
        };
        let is_refused =
            |text: &&String| !validator.is_valid(&Document::Text(text.as_str().into()));
        match texts.iter().find(is_refused) {
            Some(text) => self.no(format!("the table takes {text:?}")),
            None => Ok(()),
        }
    }
}

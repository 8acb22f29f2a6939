//! Kafka's ids of the topics that are read: a recreated topic keeps its name but has another id. Pure: no
//! clock, no I/O.

use std::collections::{HashMap, HashSet};

/// The id under which each topic is read.
#[derive(Debug, Default)]
pub struct Ids {
    of: HashMap<String, u128>,
    /// Earlier ids of topics. None comes back, so a broker that answers with one is behind.
    former: HashSet<u128>,
}

/// What a topic id from a broker means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The topic is the one being read, or none is known.
    Same,
    /// The topic was deleted and recreated.
    Remade,
    /// The broker does not know of the change yet.
    Behind,
}

impl Ids {
    /// The id under which a topic is read.
    pub fn get(&self, topic: &str) -> Option<u128> {
        self.of.get(topic).copied()
    }

    /// Judges a broker's id of a topic.
    pub fn judge(&self, topic: &str, told: u128) -> Meaning {
        match self.of.get(topic) {
            Some(known) if *known != told && self.former.contains(&told) => Meaning::Behind,
            Some(known) if *known != told => Meaning::Remade,
            _ => Meaning::Same,
        }
    }

    /// Reads the topic under this id from now on.
    pub fn learn(&mut self, topic: &str, id: u128) {
        if let Some(before) = self.of.insert(topic.to_owned(), id)
            && before != id
        {
            self.former.insert(before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_id_is_another_topic_and_an_old_one_never_comes_back() {
        let mut ids = Ids::default();
        assert_eq!(ids.judge("t", 1), Meaning::Same);
        ids.learn("t", 1);
        assert_eq!((ids.judge("t", 1), ids.judge("t", 2)), (Meaning::Same, Meaning::Remade));
        assert_eq!(ids.judge("u", 2), Meaning::Same);
        ids.learn("t", 2);
        assert_eq!((ids.judge("t", 2), ids.judge("t", 1)), (Meaning::Same, Meaning::Behind));
        assert_eq!((ids.get("t"), ids.get("u")), (Some(2), None));
    }
}

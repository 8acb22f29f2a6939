//! The producer of dead letters, made anew when librdkafka gives it up: an idempotent one has
//! errors that it never leaves.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::ClientConfig;
use rdkafka::error::KafkaResult;
use rdkafka::producer::FutureProducer;

/// One producer at a time.
pub struct Producers {
    settings: ClientConfig,
    current: Mutex<Numbered>,
}

/// A producer, and how many were before it.
#[derive(Clone)]
pub struct Numbered {
    /// Which one it is, from 0.
    pub number: u64,
    /// It; a handle that is cheap to clone.
    pub producer: FutureProducer,
}

impl Producers {
    /// Makes the first; it connects by itself.
    ///
    /// # Errors
    /// Settings that librdkafka refuses, in its own words.
    pub fn new(settings: ClientConfig) -> KafkaResult<Self> {
        let producer = settings.create()?;
        Ok(Self { settings, current: Mutex::new(Numbered { number: 0, producer }) })
    }

    /// The one to use now.
    pub fn current(&self) -> Numbered {
        self.lock().clone()
    }

    /// Makes another in place of the one of this number, unless that is over already: all the
    /// letters in flight hear of the same fatal error.
    pub fn replace(&self, number: u64) {
        let mut current = self.lock();
        if current.number != number {
            return;
        }
        match self.settings.create() {
            Ok(producer) => *current = Numbered { number: number + 1, producer },
            Err(error) => tracing::warn!(%error, "dead letter producer not made anew"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Numbered> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_that_many_letters_gave_up_is_replaced_once() {
        let producers = Producers::new(ClientConfig::new()).unwrap();
        let failed = producers.current().number;
        for _letter in 0..3 {
            producers.replace(failed);
        }
        assert_eq!(producers.current().number, failed + 1);
    }
}

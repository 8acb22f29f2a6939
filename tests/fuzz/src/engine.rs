//! Makes inputs for a target and watches what becomes of them.

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::mutate::mutated;
use crate::panics::caught;
use crate::targets::Target;

/// Most inputs that are kept as bases of further ones.
const MAX_POOL: usize = 4_096;
/// Most cases that are spent on making a failing input smaller.
const MAX_SHRINKS: usize = 2_000;

/// A run over one target.
pub struct Engine<'t> {
    target: &'t Target,
    rng: Rng,
    pool: Vec<Vec<u8>>,
    /// The outcomes seen so far, as hashes.
    seen: HashSet<u64>,
    /// How many inputs were tried.
    pub cases: u64,
    /// The input that took longest.
    pub slowest: (Duration, Vec<u8>),
}

/// An input that broke a property of its target.
#[derive(Debug)]
pub struct Failure {
    /// The target's name.
    pub target: &'static str,
    /// The smallest input found that fails.
    pub input: Vec<u8>,
    /// The property that it breaks, or the panic.
    pub what: String,
}

impl<'t> Engine<'t> {
    /// A run that begins with these seeds. The same seed number gives the same inputs.
    ///
    /// # Errors
    /// A seed fails.
    pub fn new(target: &'t Target, seed: u64, seeds: Vec<Vec<u8>>) -> Result<Self, Failure> {
        let mut engine = Self {
            target,
            rng: Rng::with_seed(seed),
            pool: Vec::new(),
            seen: HashSet::new(),
            cases: 0,
            slowest: (Duration::ZERO, Vec::new()),
        };
        for input in seeds {
            let _is_new = engine.case(&input)?;
            engine.pool.push(input);
        }
        Ok(engine)
    }

    /// How many different outcomes were seen.
    pub fn outcomes(&self) -> usize {
        self.seen.len()
    }

    /// Tries one further input.
    ///
    /// # Errors
    /// It fails; it was made as small as it could be.
    pub fn step(&mut self) -> Result<(), Failure> {
        let (base, other) = (self.rng.choice(&self.pool), self.rng.choice(&self.pool));
        let (base, other) =
            (base.map_or(&[][..], Vec::as_slice), other.map_or(&[][..], Vec::as_slice));
        let input = mutated(&mut self.rng, base, other);
        if self.case(&input)? {
            if self.pool.len() < MAX_POOL {
                self.pool.push(input);
            } else if let Some(kept) = self.rng.choice(&mut self.pool) {
                *kept = input;
            }
        }
        Ok(())
    }

    /// Tries an input, and says whether its outcome is new.
    fn case(&mut self, input: &[u8]) -> Result<bool, Failure> {
        self.cases += 1;
        let started = Instant::now();
        let outcome = run(self.target, input);
        let took = started.elapsed();
        if took > self.slowest.0 {
            self.slowest = (took, input.to_vec());
        }
        match outcome {
            Ok(outcome) => Ok(self.seen.insert(outcome)),
            Err(what) => Err(shrunk(self.target, input.to_vec(), what)),
        }
    }
}

/// Runs a target on an input.
///
/// # Errors
/// The property that is broken, or the panic.
pub fn run(target: &Target, input: &[u8]) -> Result<u64, String> {
    caught(|| (target.run)(input)).map_err(|panic| format!("panic at {panic}")).flatten()
}

/// Leaves out parts of a failing input as long as it fails.
fn shrunk(target: &Target, mut input: Vec<u8>, mut what: String) -> Failure {
    let mut tries = 0;
    let mut size = input.len().div_ceil(2);
    while size > 0 && tries < MAX_SHRINKS {
        let mut at = 0;
        while at < input.len() && tries < MAX_SHRINKS {
            tries += 1;
            let mut fewer = input.clone();
            fewer.drain(at..(at + size).min(input.len()));
            match run(target, &fewer) {
                Err(still) => (input, what) = (fewer, still),
                Ok(_) => at += size,
            }
        }
        size /= 2;
    }
    Failure { target: target.name, input, what }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, input, what } = self;
        write!(
            f,
            "target {target}: {what}\ninput, {} bytes: \"{}\"",
            input.len(),
            input.escape_ascii()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::outcome_of;

    const PICKY: Target = Target {
        name: "picky",
        cases: 1,
        run: |input| match input.windows(2).any(|pair| pair == b"]]") {
            true => Err("two in a row".to_owned()),
            false => Ok(outcome_of(&input.len())),
        },
    };

    #[test]
    fn a_failing_input_is_found_and_made_small() {
        let mut engine = Engine::new(&PICKY, 1, vec![b"a[b]c".to_vec()]).ok().unwrap();
        let failure = (0..10_000).find_map(|_| engine.step().err()).unwrap();
        assert_eq!((failure.input, &*failure.what), (b"]]".to_vec(), "two in a row"));
        assert!(engine.outcomes() > 3);
    }

    #[test]
    fn a_panic_is_a_failure_with_its_place() {
        let target = Target { run: |_| panic!("at once"), ..PICKY };
        let what = run(&target, b"").unwrap_err();
        assert!(what.starts_with("panic at ") && what.ends_with(": at once"), "{what}");
    }
}

//! HTTP sessions, as the server has them: named by `session_id`, one request at a time, forgotten after
//! `session_timeout` seconds without one. The engine behind knows none: nothing that a session would keep
//! is kept, but what is not found and what is in use is told as the server tells it. So are the ids of
//! queries, of which one runs at a time.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::chdb::EngineError;
use crate::request::Request;

/// How long a session lives without a request that names no time.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);

/// The sessions that are known.
#[derive(Debug, Clone, Default)]
pub struct Sessions {
    of: Arc<Mutex<HashMap<String, State>>>,
    running: Arc<Mutex<HashSet<String>>>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    InUse,
    Until(Instant),
}

/// A session and the id of a query in use, until it is dropped.
#[derive(Debug)]
pub struct InUse {
    sessions: Sessions,
    session: Option<(String, Duration)>,
    query_id: Option<String>,
}

impl Sessions {
    /// Takes the session and the query's id of a request into use, as far as it names them.
    ///
    /// # Errors
    /// One of them is in use, or the session is not known and was to be.
    pub fn enter(&self, request: &Request) -> Result<InUse, EngineError> {
        // What is taken is given back if the other cannot be.
        let mut taken = InUse { sessions: self.clone(), session: None, query_id: None };
        taken.session = self.session(request)?;
        if let Some(id) = request.query_id.as_ref().filter(|id| !id.is_empty()) {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            if !running.insert(id.clone()) {
                let message = format!("Query with id = {id} is already running.");
                return Err(EngineError::new(
                    216,
                    "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
                    &message,
                ));
            }
            taken.query_id = Some(id.clone());
        }
        Ok(taken)
    }

    fn session(&self, request: &Request) -> Result<Option<(String, Duration)>, EngineError> {
        let Some(name) = request.shown.get("session_id").filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let seconds = request.shown.get("session_timeout").and_then(|text| text.parse().ok());
        let timeout = seconds.map_or(DEFAULT_TIMEOUT, Duration::from_secs);
        let must_exist = request.shown.get("session_check").is_some_and(|check| check == "1");
        let now = Instant::now();
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        of.retain(|_, state| !matches!(state, State::Until(until) if *until <= now));
        match of.get(name) {
            Some(State::InUse) => {
                let message = format!("Session {name} is locked by a concurrent client");
                return Err(EngineError::new(373, "SESSION_IS_LOCKED", &message));
            }
            None if must_exist => {
                let message = format!("Session {name} not found");
                return Err(EngineError::new(372, "SESSION_NOT_FOUND", &message));
            }
            Some(State::Until(_)) | None => {}
        }
        of.insert(name.clone(), State::InUse);
        Ok(Some((name.clone(), timeout)))
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        if let Some((name, timeout)) = self.session.take() {
            let until = State::Until(Instant::now() + timeout);
            let mut of = self.sessions.of.lock().unwrap_or_else(PoisonError::into_inner);
            of.insert(name, until);
        }
        if let Some(id) = self.query_id.take() {
            self.sessions.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(sessions: &Sessions, parameters: &[(&str, &str)]) -> Result<InUse, i32> {
        let mut request = Request::default();
        for (name, value) in parameters {
            request.add((*name).to_owned(), (*value).to_owned());
        }
        sessions.enter(&request).map_err(|error| error.code)
    }

    #[test]
    fn a_session_is_opened_found_in_use_and_forgotten() {
        let sessions = Sessions::default();
        let open = [("session_id", "a"), ("session_timeout", "60")];
        let check = [("session_id", "a"), ("session_check", "1"), ("session_timeout", "0")];
        assert_eq!(enter(&sessions, &check).unwrap_err(), 372);
        let used = enter(&sessions, &open).unwrap();
        assert_eq!(enter(&sessions, &check).unwrap_err(), 373);
        assert!(enter(&sessions, &[("session_id", "b")]).is_ok(), "another is free");
        drop(used);
        // Its time is over as soon as it is free.
        drop(enter(&sessions, &check).unwrap());
        assert_eq!(enter(&sessions, &check).unwrap_err(), 372);
    }

    #[test]
    fn one_query_of_an_id_runs_at_a_time() {
        let sessions = Sessions::default();
        let both = [("session_id", "a"), ("query_id", "q")];
        let running = enter(&sessions, &[("query_id", "q")]).unwrap();
        assert_eq!(enter(&sessions, &both).unwrap_err(), 216);
        drop(running);
        assert!(enter(&sessions, &both).is_ok(), "neither is kept by the one that was refused");
    }
}

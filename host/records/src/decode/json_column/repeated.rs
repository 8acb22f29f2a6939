//! Finds paths with two values: the server refuses `{"a.b":1,"a":{"b":2}}`, which has two at `a.b`. An object within an
//! array has paths of its own. A null or an empty object is not a value, except a null at a typed path.

use hashbrown::HashSet;

use super::{NAME_BYTES, Reader};
use crate::decode::fault::{kind_of, twice, within};
use crate::decode::serde_walk::{each_element, each_member};
use crate::flow::rejection::Fault;

type Paths = HashSet<String, foldhash::fast::RandomState>;

impl Reader<'_> {
    /// Refuses an object, whose names are each known to occur once, for the second value at a path.
    #[cold]
    pub(super) fn each_path_once(&self, token: &str) -> Result<(), Box<Fault>> {
        let before = self.room.left();
        self.paths_of(token, "", true, &mut Paths::default())?;
        self.room.give_back(before.saturating_sub(self.room.left()));
        Ok(())
    }

    fn paths_of(
        &self,
        token: &str,
        prefix: &str,
        is_of_column: bool,
        paths: &mut Paths,
    ) -> Result<(), Box<Fault>> {
        each_member(token, |name, token| {
            let path = format!("{prefix}{name}");
            let is_typed = is_of_column
                && self.paths.iter().any(|typed| typed.name.as_deref() == Some(path.as_str()));
            let read = match kind_of(token) {
                "object" if !is_typed => {
                    self.paths_of(token, &format!("{path}."), is_of_column, paths)
                }
                "null" if !is_typed => Ok(()),
                _ => self.put_path(path, paths).and_then(|()| match is_typed {
                    true => Ok(()),
                    false => self.paths_within(token),
                }),
            };
            read.map_err(|fault| within(fault, name))
        })
    }

    fn put_path(&self, path: String, paths: &mut Paths) -> Result<(), Box<Fault>> {
        self.room.take(path.len() + NAME_BYTES)?;
        match paths.insert(path) {
            true => Ok(()),
            false => Err(twice("one value at each path, whose names may hold points")),
        }
    }

    /// Checks the objects within an array.
    fn paths_within(&self, token: &str) -> Result<(), Box<Fault>> {
        if !token.starts_with('[') {
            return Ok(());
        }
        each_element(token, |index, token| {
            let read = match kind_of(token) {
                "object" => self.paths_of(token, "", false, &mut Paths::default()),
                _ => self.paths_within(token),
            };
            read.map_err(|fault| within(fault, index))
        })
    }
}

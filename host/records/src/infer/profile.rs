//! Statistics of the values at each place of the records, in bounded memory.

use std::hash::BuildHasher as _;

use hashbrown::{HashMap, HashSet};

use super::paths::may_repeat;
use super::scalar::{Numbers, Strings, widened};
use crate::decode::{each_element, each_member, kind_of, text_of};

/// Most places within fields that are tracked separately, for all records together.
pub const MAX_PLACES: usize = 5_000;
/// Most names of one object that are tracked separately within a column; more make it a map.
pub const MAX_MEMBERS: usize = 100;
/// Most levels of arrays and objects within a column that are examined.
pub const MAX_LEVELS: usize = 8;
/// Most distinct values of one place that are counted.
pub const MAX_DISTINCT: usize = 1_000;
/// Most bytes kept of an example.
const EXAMPLE_BYTES: usize = 60;

/// The same hash in every place, so that places can be merged.
type Hasher = foldhash::fast::FixedState;

/// How many more places may be tracked.
#[derive(Debug)]
pub struct Room {
    places: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { places: MAX_PLACES }
    }
}

impl Room {
    /// Takes one place; `None` if none is left.
    pub fn take(&mut self) -> Option<()> {
        self.places = self.places.checked_sub(1)?;
        Some(())
    }
}

/// Statistics of the values at one place.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    /// How many values, including nulls.
    pub seen: u64,
    /// How many are null.
    pub nulls: u64,
    /// How many are true or false.
    pub booleans: u64,
    /// The numbers.
    pub numbers: Numbers,
    /// The strings.
    pub strings: Strings,
    /// The arrays.
    pub arrays: Arrays,
    /// The objects.
    pub objects: Objects,
    /// Whether a JSON column may refuse a value that decodes; set for whole fields only.
    pub may_repeat_paths: bool,
    /// The start of the first value that is not null, as written.
    pub example: Option<Box<str>>,
    /// Hashes of booleans, numbers and strings; `None` once there are too many.
    distinct: Option<HashSet<u64, Hasher>>,
    is_over: bool,
}

/// Statistics of arrays.
#[derive(Debug, Clone, Default)]
pub struct Arrays {
    /// How many.
    pub count: u64,
    /// The lengths of the shortest and the longest.
    pub lengths: Option<(usize, usize)>,
    /// Their elements; `None` if none was examined.
    pub elements: Option<Box<Profile>>,
    /// Whether some elements were not examined.
    pub is_cut: bool,
}

/// Statistics of objects.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    /// How many.
    pub count: u64,
    /// Their members by name; empty once there were too many names.
    pub members: Members,
    /// The values of all members, once there were too many names.
    pub values: Option<Box<Profile>>,
    /// Whether some members were not examined.
    pub is_cut: bool,
}

/// Places by name, in the order of first occurrence.
#[derive(Debug, Clone, Default)]
pub struct Members {
    places: HashMap<Box<str>, usize, Hasher>,
    list: Vec<(Box<str>, Profile)>,
}

impl Members {
    /// The names with their statistics.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Profile)> {
        self.list.iter().map(|(name, profile)| (&**name, profile))
    }

    /// Whether the name is known.
    pub fn knows(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// The number of names.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The place of a known name, or a new one if there is room.
    pub fn place(&mut self, name: &str, has_room: impl FnOnce() -> bool) -> Option<&mut Profile> {
        let at = match self.places.get(name) {
            Some(at) => *at,
            None => {
                has_room().then_some(())?;
                self.places.insert(name.into(), self.list.len());
                self.list.push((name.into(), Profile::default()));
                self.list.len() - 1
            }
        };
        self.list.get_mut(at).map(|(_, profile)| profile)
    }

    /// Those with any value other than null and empty arrays.
    pub fn told(&self) -> impl Iterator<Item = (&str, &Profile)> {
        self.iter().filter(|(_, profile)| profile.is_telling())
    }
}

impl Profile {
    /// Adds a value of a valid record; `level` counts the arrays and objects around it.
    pub fn add(&mut self, token: &str, room: &mut Room, level: usize) {
        self.seen += 1;
        let kind = kind_of(token);
        if kind == "null" {
            self.nulls += 1;
            return;
        }
        if self.example.is_none() {
            self.example = token.get(..token.floor_char_boundary(EXAMPLE_BYTES)).map(Into::into);
        }
        if level == 0 {
            self.may_repeat_paths |= may_repeat(token);
        }
        match kind {
            "boolean" => self.booleans += 1,
            "number" => self.numbers.add(token),
            "string" => self.strings.add(token, &text_of(token).unwrap_or_default()),
            "array" => return self.arrays.add(token, room, level),
            _ => return self.objects.add(token, room, level),
        }
        self.count_distinct([Hasher::default().hash_one(token)]);
    }

    fn count_distinct(&mut self, hashes: impl IntoIterator<Item = u64>) {
        if self.is_over {
            return;
        }
        let distinct = self.distinct.get_or_insert_default();
        distinct.extend(hashes);
        if distinct.len() > MAX_DISTINCT {
            self.distinct = None;
            self.is_over = true;
        }
    }

    /// The number of distinct booleans, numbers and strings; `None` for more than [`MAX_DISTINCT`].
    pub fn distinct(&self) -> Option<usize> {
        (!self.is_over).then(|| self.distinct.as_ref().map_or(0, HashSet::len))
    }

    /// The kinds of JSON that were seen, except null, with their counts.
    pub fn kinds(&self) -> Vec<(&'static str, u64)> {
        let all = [
            ("boolean", self.booleans),
            ("number", self.numbers.count),
            ("string", self.strings.count),
            ("array", self.arrays.count),
            ("object", self.objects.count),
        ];
        all.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Whether the values determine a type.
    fn is_telling(&self) -> bool {
        let is_empty = |arrays: &Arrays| {
            !arrays.is_cut && arrays.elements.as_ref().is_none_or(|of| !of.is_telling())
        };
        self.kinds().iter().any(|(kind, _)| *kind != "array") || !is_empty(&self.arrays)
    }

    /// Merges the statistics of another place.
    pub fn merge(&mut self, other: &Self, room: &mut Room) {
        self.seen += other.seen;
        self.nulls += other.nulls;
        self.booleans += other.booleans;
        self.numbers.merge(&other.numbers);
        self.strings.merge(&other.strings);
        self.arrays.merge(&other.arrays, room);
        self.objects.merge(&other.objects, room);
        if self.example.is_none() {
            self.example.clone_from(&other.example);
        }
        if other.is_over {
            self.distinct = None;
            self.is_over = true;
        }
        self.count_distinct(other.distinct.iter().flatten().copied());
    }
}

impl Arrays {
    fn add(&mut self, token: &str, room: &mut Room, level: usize) {
        self.count += 1;
        let mut length = 0;
        let _sound = each_element(token, |_, token| {
            length += 1;
            match self.place(room, level) {
                Some(place) => place.add(token, room, level + 1),
                None => self.is_cut = true,
            }
            Ok(())
        });
        self.lengths = Some(widened(self.lengths, (length, length)));
    }

    fn place(&mut self, room: &mut Room, level: usize) -> Option<&mut Profile> {
        if self.elements.is_none() && level < MAX_LEVELS && room.take().is_some() {
            self.elements = Some(Box::default());
        }
        self.elements.as_deref_mut()
    }

    fn merge(&mut self, other: &Self, room: &mut Room) {
        self.count += other.count;
        self.is_cut |= other.is_cut;
        self.lengths = other.lengths.map(|lengths| widened(self.lengths, lengths)).or(self.lengths);
        if let Some(elements) = &other.elements {
            match self.place(room, 0) {
                Some(place) => place.merge(elements, room),
                None => self.is_cut = true,
            }
        }
    }
}

impl Objects {
    fn add(&mut self, token: &str, room: &mut Room, level: usize) {
        self.count += 1;
        let _sound = each_member(token, |name, token| {
            match self.place(name, room, level) {
                Some(place) => place.add(token, room, level + 1),
                None => self.is_cut = true,
            }
            Ok(())
        });
    }

    /// The place of a member: its own, or the common one.
    fn place(&mut self, name: &str, room: &mut Room, level: usize) -> Option<&mut Profile> {
        if level >= MAX_LEVELS {
            return None;
        }
        let is_known = self.members.knows(name);
        if self.values.is_none() && !is_known && self.members.len() >= MAX_MEMBERS {
            self.values = Some(Box::new(self.merged(room)));
            self.members = Members::default();
        }
        match &mut self.values {
            Some(values) => Some(values),
            None => self.members.place(name, || room.take().is_some()),
        }
    }

    /// The statistics of all members together.
    pub fn merged(&self, room: &mut Room) -> Profile {
        let mut all = self.values.as_deref().cloned().unwrap_or_default();
        for (_, profile) in self.members.iter() {
            all.merge(profile, room);
        }
        all
    }

    fn merge(&mut self, other: &Self, room: &mut Room) {
        self.count += other.count;
        self.is_cut |= other.is_cut;
        if let Some(values) = &other.values {
            let mut all = self.merged(room);
            all.merge(values, room);
            *self = Self { values: Some(Box::new(all)), members: Members::default(), ..*self };
        }
        for (name, profile) in other.members.iter() {
            match self.place(name, room, 0) {
                Some(place) => place.merge(profile, room),
                None => self.is_cut = true,
            }
        }
    }
}

//! Which columns the fields of a record fill, and those of the objects within it.

use std::sync::Arc;

use hashbrown::HashMap;

/// What the fields of an object are looked up in.
pub trait Fields {
    /// The place of a field; `guess` is where it may be, since producers write their fields in
    /// the same order again and again.
    fn find(&self, name: &str, guess: usize) -> Option<usize>;
}

/// The fields of one object, or the elements of one array by their number.
#[derive(Debug, Default)]
pub struct Names {
    fields: Vec<Field>,
    /// By the name, in lower case where case does not matter.
    by_name: HashMap<Arc<str>, usize, foldhash::fast::RandomState>,
    ignores_case: bool,
}

/// One of them.
#[derive(Debug)]
pub struct Field {
    name: Arc<str>,
    /// The columns that its value fills.
    pub columns: Vec<usize>,
    /// What is wanted of its value's own fields.
    pub within: Option<Names>,
}

impl Names {
    /// No field yet.
    pub fn new(ignores_case: bool) -> Self {
        Self { ignores_case, ..Self::default() }
    }

    /// Adds the field that a path leads to, for a column.
    pub fn add(&mut self, path: &[Arc<str>], column: usize) {
        let Some((first, rest)) = path.split_first() else { return };
        let name = if self.ignores_case { first.to_lowercase().into() } else { Arc::clone(first) };
        let next = self.fields.len();
        let at = *self.by_name.entry(Arc::clone(&name)).or_insert(next);
        if at == next {
            self.fields.push(Field { name, columns: Vec::new(), within: None });
        }
        let Some(field) = self.fields.get_mut(at) else { return };
        if rest.is_empty() {
            field.columns.push(column);
        } else {
            let within = field.within.get_or_insert_with(|| Self::new(self.ignores_case));
            within.add(rest, column);
        }
    }

    /// All fields.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter()
    }

    /// The field at a place.
    pub fn field(&self, at: usize) -> Option<&Field> {
        self.fields.get(at)
    }
}

impl Fields for Names {
    fn find(&self, name: &str, guess: usize) -> Option<usize> {
        if self.fields.get(guess).is_some_and(|field| *field.name == *name) {
            return Some(guess);
        }
        let found = self.by_name.get(name).copied();
        if found.is_none() && self.ignores_case {
            return self.by_name.get(&*name.to_lowercase()).copied();
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(ignores_case: bool, paths: &[&[&str]]) -> Names {
        let mut names = Names::new(ignores_case);
        for (column, path) in paths.iter().enumerate() {
            let path: Vec<Arc<str>> = path.iter().map(|step| (*step).into()).collect();
            names.add(&path, column);
        }
        names
    }

    #[test]
    fn a_field_may_fill_columns_and_hold_others() {
        let names = names(false, &[&["a"], &["a", "b"], &["a"], &["c"]]);
        let a = names.field(names.find("a", 7).unwrap()).unwrap();
        assert_eq!(a.columns, [0, 2]);
        let within = a.within.as_ref().unwrap();
        assert_eq!(within.field(within.find("b", 0).unwrap()).unwrap().columns, [1]);
        assert_eq!(names.find("c", 1), Some(1));
        assert_eq!(names.find("b", 0), None);
    }

    #[test]
    fn case_matters_unless_it_is_ignored() {
        let paths: &[&[&str]] = &[&["Größe", "Über"]];
        assert_eq!(names(false, paths).find("GRÖßE", 0), None);
        let names = names(true, paths);
        for name in ["Größe", "größe", "GRÖßE"] {
            let field = names.field(names.find(name, 1).unwrap()).unwrap();
            assert_eq!(field.within.as_ref().unwrap().find("ÜBER", 0), Some(0), "{name}");
        }
    }
}

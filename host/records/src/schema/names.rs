//! Which columns the fields of a record fill, and those of the objects within it.

use std::sync::Arc;

use hashbrown::HashMap;

/// Looks up the fields of an object.
pub trait FindField {
    /// The index of a field. `guess` is its likely index, since producers write fields in the same order again and
    /// again.
    fn find(&self, name: &str, guess: usize) -> Option<usize>;
}

/// The fields of one object, or the elements of one array by number.
#[derive(Debug, Default)]
pub struct FieldNames {
    fields: Vec<Field>,
    /// Indexes by name, in lower case if case does not matter.
    by_name: HashMap<Arc<str>, usize, foldhash::fast::RandomState>,
    ignores_case: bool,
}

/// One field.
#[derive(Debug)]
pub struct Field {
    name: Arc<str>,
    /// The columns that its value fills.
    pub columns: Vec<usize>,
    /// The fields to read within its value.
    pub within: Option<Box<InnerFields>>,
}

/// The fields to read within a value.
#[derive(Debug)]
pub struct InnerFields {
    /// Fields on the path of a pointer; others are ignored.
    pub pointed: FieldNames,
    /// Fields that are parts of a column's dotted name; others are unknown.
    pub dotted: FieldNames,
}

/// Selects one of the two.
type Into = fn(&mut InnerFields) -> &mut FieldNames;

/// Most parts of a dotted name that is filled from within objects; records hardly nest deeper.
const MAX_STEPS: usize = 100;

impl FieldNames {
    /// No fields yet.
    pub fn new(ignores_case: bool) -> Self {
        Self { ignores_case, ..Self::default() }
    }

    /// Adds the field that a pointer leads to, for a column.
    pub fn add(&mut self, path: &[Arc<str>], column: usize) {
        self.add_within(path, column, |within| &mut within.pointed);
    }

    /// Adds the paths that fill a column of a dotted name from within objects: split at each point, or at the first
    /// alone, as JSONEachRow does.
    pub fn add_dotted(&mut self, name: &str, column: usize) {
        let Some((first, rest)) = name.split_once('.') else { return };
        let steps: Vec<Arc<str>> = name.split('.').take(MAX_STEPS + 1).map(Arc::from).collect();
        if steps.len() > MAX_STEPS || steps.iter().any(|step| step.is_empty()) {
            return;
        }
        let into_dotted: Into = |within| &mut within.dotted;
        self.add_within(&steps, column, into_dotted);
        if steps.len() > 2 {
            self.add_within(&[first.into(), rest.into()], column, into_dotted);
        }
    }

    fn add_within(&mut self, path: &[Arc<str>], column: usize, into: Into) {
        let Some((first, rest)) = path.split_first() else { return };
        let ignores_case = self.ignores_case;
        let Some(field) = self.field_of(first) else { return };
        if rest.is_empty() {
            field.columns.push(column);
        } else {
            let new = || Box::new(InnerFields::new(ignores_case));
            into(field.within.get_or_insert_with(new)).add_within(rest, column, into);
        }
    }

    fn field_of(&mut self, name: &Arc<str>) -> Option<&mut Field> {
        let name = if self.ignores_case { name.to_lowercase().into() } else { Arc::clone(name) };
        let next = self.fields.len();
        let at = *self.by_name.entry(Arc::clone(&name)).or_insert(next);
        if at == next {
            self.fields.push(Field { name, columns: Vec::new(), within: None });
        }
        self.fields.get_mut(at)
    }

    /// All fields.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The field at an index.
    pub fn field(&self, at: usize) -> Option<&Field> {
        self.fields.get(at)
    }
}

impl Field {
    /// The name, in lower case if case does not matter.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl InnerFields {
    fn new(ignores_case: bool) -> Self {
        let names = || FieldNames::new(ignores_case);
        Self { pointed: names(), dotted: names() }
    }
}

impl FindField for FieldNames {
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

    fn names(ignores_case: bool, paths: &[&[&str]]) -> FieldNames {
        let mut names = FieldNames::new(ignores_case);
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
        let within = &a.within.as_ref().unwrap().pointed;
        assert_eq!(within.field(within.find("b", 0).unwrap()).unwrap().columns, [1]);
        assert_eq!(names.find("c", 1), Some(1));
        assert_eq!(names.find("b", 0), None);
    }

    #[test]
    fn a_dotted_name_is_led_to_by_each_of_its_points_and_by_the_first_alone() {
        let mut names = FieldNames::new(false);
        names.add_dotted("a.b.c", 0);
        for name in ["a", ".a", "a.", "a..b", &vec!["x"; MAX_STEPS + 1].join(".")] {
            names.add_dotted(name, 1);
        }
        assert_eq!(names.fields().map(Field::name).collect::<Vec<_>>(), ["a"]);
        let within = |names: &FieldNames, name: &str| {
            let field = names.field(names.find(name, 0).unwrap()).unwrap();
            (field.columns.clone(), field.within.as_ref().map(|within| within.dotted.fields.len()))
        };
        assert_eq!(within(&names, "a"), (vec![], Some(2)));
        let a = &names.fields[0].within.as_ref().unwrap().dotted;
        assert_eq!(within(a, "b.c"), (vec![0], None));
        assert_eq!(within(a, "b"), (vec![], Some(1)));
    }

    #[test]
    fn case_matters_unless_it_is_ignored() {
        let paths: &[&[&str]] = &[&["Größe", "Über"]];
        assert_eq!(names(false, paths).find("GRÖßE", 0), None);
        let names = names(true, paths);
        for name in ["Größe", "größe", "GRÖßE"] {
            let field = names.field(names.find(name, 1).unwrap()).unwrap();
            let within = &field.within.as_ref().unwrap().pointed;
            assert_eq!(within.find("ÜBER", 0), Some(0), "{name}");
        }
    }
}

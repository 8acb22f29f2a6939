use crate::wire::arrow::{Column, Planned};

/// What a plugin takes and gives of each row. A column that it neither reads nor writes stays with
/// the host, and cannot be changed by it.
///
/// ```
/// use sluicegate_plugin::arrow::Plan;
///
/// let plan = Plan::new().read("fleet").field("vin", "Nullable(String)").write("owner");
/// # let _ = plan;
/// ```
#[derive(Debug, Clone)]
pub struct Plan(Planned);

impl Plan {
    /// One that takes and gives nothing.
    #[allow(clippy::new_without_default, reason = "an empty plan is where one begins, no default")]
    pub const fn new() -> Self {
        Self(Planned { reads: Vec::new(), fields: Vec::new(), writes: Vec::new() })
    }

    /// Takes a column of the table, as it is in the record or as the plugin before wrote it.
    /// Naming one twice is the same as once.
    #[must_use]
    pub fn read(mut self, column: impl Into<String>) -> Self {
        add(&mut self.0.reads, column.into());
        self
    }

    /// Takes a field of the record that is no column of the table, decoded to a ClickHouse type. A
    /// record whose value does not fit it is rejected; an absent one is null.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, clickhouse_type: impl Into<String>) -> Self {
        let (name, clickhouse_type) = (name.into(), clickhouse_type.into());
        self.0.fields.push(Column { name, clickhouse_type });
        self
    }

    /// Gives a column of the table. If no plugin reads it before, it is not asked of the record: a
    /// field of its name is passed over. Naming one twice is the same as once.
    #[must_use]
    pub fn write(mut self, column: impl Into<String>) -> Self {
        add(&mut self.0.writes, column.into());
        self
    }

    pub(crate) fn into_wire(self) -> Planned {
        self.0
    }
}

/// Takes the lists as they are, for code that makes them itself.
impl From<Planned> for Plan {
    fn from(lists: Planned) -> Self {
        Self(lists)
    }
}

fn add(names: &mut Vec<String>, name: String) {
    if !names.contains(&name) {
        names.push(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_named_twice_stands_once_and_in_its_order() {
        let plan = Plan::new().read("b").write("x").read("a").read("b").write("x");
        let lists = plan.into_wire();
        assert_eq!((lists.reads, lists.writes), (vec!["b".into(), "a".into()], vec!["x".into()]));
    }
}

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef};

use super::ipc;
use crate::wire;

/// The columns of the table that records may fill, in the table's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    columns: Vec<Column>,
}

/// A column of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    clickhouse_type: String,
    field: FieldRef,
}

impl Table {
    /// A table of these columns; the host makes it in a component, and a test by
    /// [`testing::table`](crate::testing::table).
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect() }
    }

    /// With one more column.
    #[must_use]
    pub fn with(mut self, column: Column) -> Self {
        self.columns.push(column);
        self
    }

    /// All columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column of this name.
    ///
    /// # Errors
    ///
    /// There is none: a text for the operator, with the name that comes near.
    pub fn column(&self, name: &str) -> Result<&Column, String> {
        self.find(name).ok_or_else(|| {
            format!("column `{name}`: the table has none that records fill{}", self.near(name))
        })
    }

    /// The column of this name, if it is of this type, Nullable and LowCardinality aside.
    ///
    /// # Errors
    ///
    /// There is none, or it is of another type: a text for the operator.
    pub fn column_of(&self, name: &str, bare_type: &str) -> Result<&Column, String> {
        let column = self.column(name)?;
        if column.bare_type() == bare_type {
            return Ok(column);
        }
        Err(format!("column `{name}`: expected {bare_type}, got {}", column.clickhouse_type))
    }

    /// The table as the host tells of it.
    pub(crate) fn from_wire(
        columns: Vec<wire::arrow::Column>,
        schema: Vec<u8>,
    ) -> Result<Self, String> {
        let (schema, _) = ipc::read(schema).map_err(|text| format!("the host's table: {text}"))?;
        let names = schema.fields().iter().map(|field| field.name());
        if !names.eq(columns.iter().map(|column| &column.name)) {
            return Err("the host's table: its schema has other columns".to_owned());
        }
        let fields = schema.fields().iter().map(Arc::clone);
        let column = |(column, field): (wire::arrow::Column, FieldRef)| Column {
            clickhouse_type: column.clickhouse_type,
            field,
        };
        Ok(Self::new(columns.into_iter().zip(fields).map(column)))
    }

    /// The fields of the columns of these names, without those that are none.
    pub(crate) fn fields(&self, names: &[String]) -> Vec<FieldRef> {
        let field = |name: &String| Some(Arc::clone(&self.find(name)?.field));
        names.iter().filter_map(field).collect()
    }

    fn find(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name() == name)
    }

    fn near(&self, name: &str) -> String {
        self.columns
            .iter()
            .map(|column| (strsim::damerau_levenshtein(column.name(), name), column.name()))
            .min()
            .filter(|(distance, _)| *distance <= 2.max(name.len() / 4))
            .map(|(_, near)| format!("; did you mean `{near}`?"))
            .unwrap_or_default()
    }
}

impl Column {
    /// A column of a ClickHouse type, which comes as this Arrow type.
    pub fn new(
        name: impl Into<String>,
        clickhouse_type: impl Into<String>,
        data_type: DataType,
    ) -> Self {
        let field = Field::new(name, data_type, true);
        Self { clickhouse_type: clickhouse_type.into(), field: Arc::new(field) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.field.name()
    }

    /// Its type as ClickHouse prints it, such as `Nullable(String)`.
    pub fn clickhouse_type(&self) -> &str {
        &self.clickhouse_type
    }

    /// Its type without `Nullable` and `LowCardinality`: those of `String`, `Nullable(String)` and
    /// `LowCardinality(Nullable(String))` come as the same Arrow type.
    pub fn bare_type(&self) -> &str {
        let mut bare = self.clickhouse_type.trim();
        while let Some(inner) = ["Nullable(", "LowCardinality("]
            .iter()
            .find_map(|wrapper| bare.strip_prefix(wrapper)?.strip_suffix(')'))
        {
            bare = inner.trim();
        }
        bare
    }

    /// Its Arrow field. It is always nullable: any value of a batch may be null.
    pub fn field(&self) -> &Field {
        &self.field
    }

    /// Its Arrow type: that of the array that is read, and of the one that must be written.
    pub fn data_type(&self) -> &DataType {
        self.field.data_type()
    }
}

#[cfg(test)]
mod tests {
    use arrow_schema::Schema;

    use super::*;

    fn told(names: &[&str]) -> Vec<wire::arrow::Column> {
        let column = |name: &&str| wire::arrow::Column {
            name: (*name).to_owned(),
            clickhouse_type: "String".to_owned(),
        };
        names.iter().map(column).collect()
    }

    #[test]
    fn a_name_that_is_none_is_refused_with_the_one_that_comes_near() {
        let column = |name| Column::new(name, "String", DataType::Utf8);
        let table = Table::new([column("owner"), column("fleet")]);
        assert_eq!(table.column("fleet").unwrap().name(), "fleet");
        assert_eq!(
            table.column("onwer").unwrap_err(),
            "column `onwer`: the table has none that records fill; did you mean `owner`?"
        );
        assert_eq!(
            table.column("price").unwrap_err(),
            "column `price`: the table has none that records fill"
        );
    }

    #[test]
    fn a_type_is_asked_for_without_its_wrappers() {
        let cases = [
            ("String", true),
            ("Nullable(String)", true),
            ("LowCardinality(Nullable(String))", true),
            ("LowCardinality(String)", true),
            ("Array(Nullable(String))", false),
            ("FixedString(3)", false),
        ];
        for (text, is_string) in cases {
            let table = Table::new([Column::new("c", text, DataType::Utf8)]);
            let column = table.column("c").unwrap();
            let expected = format!("column `c`: expected String, got {text}");
            let expected = if is_string { Ok(column) } else { Err(expected) };
            assert_eq!(table.column_of("c", "String"), expected);
        }
    }

    #[test]
    fn a_table_whose_schema_has_other_columns_is_refused() {
        let schema = Schema::new(vec![Field::new("a", DataType::Utf8, true)]);
        let schema = ipc::stream(&schema, None).unwrap();
        assert!(Table::from_wire(told(&["a"]), schema.clone()).is_ok());
        for other in [&["b"][..], &[], &["a", "b"]] {
            let error = Table::from_wire(told(other), schema.clone()).unwrap_err();
            assert_eq!(error, "the host's table: its schema has other columns");
        }
        let error = Table::from_wire(told(&["a"]), Vec::new()).unwrap_err();
        assert_eq!(error, "the host's table: no schema");
    }
}

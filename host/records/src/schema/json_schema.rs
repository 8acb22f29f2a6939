//! The JSON Schema (draft 2020-12) of a table's records, derived from the plan that decodes them.

use std::str::FromStr as _;

use serde_json::{Map, Number, Value};

use super::plan::TablePlan;
use super::shape::{
    Shape, ShapeField, ShapeFields, ShapeItems, ShapeNumbers, ShapeTexts, Underived,
};

/// What no JSON Schema says of any record.
const OF_EVERY_RECORD: &str = "sluicegate refuses a record in which a field that it reads, or a key \
                               of a map, stands twice, one nested deeper than 127 levels, and, \
                               unless UNFILLED_RECORDS=accept, one of which it reads no field";

/// The schema of a record. It accepts exactly what decode and check accept, except as its comments state.
///
/// # Errors
/// A rule of the configuration that no schema expresses.
pub fn json_schema(plan: &TablePlan) -> Result<Value, Underived> {
    let mut schema = schema_of(&Shape::of_record(plan)?);
    set(&mut schema, "$schema", "https://json-schema.org/draft/2020-12/schema");
    set(&mut schema, "$comment", OF_EVERY_RECORD);
    Ok(schema.into())
}

/// The schema of a place.
fn schema_of(shape: &Shape) -> Map<String, Value> {
    let Shape { is_nullable, is_boolean, number, text, array, object, unsaid } = shape;
    let mut schema = Map::new();
    if let Some(ShapeTexts { labels: Some(labels), .. }) = text {
        let labels = labels.iter().map(|label| Value::from(&**label));
        let null = is_nullable.then_some(Value::Null);
        set(&mut schema, "enum", labels.chain(null).collect::<Vec<_>>());
        return schema;
    }
    let number_type = number.as_ref().map(|numbers| match numbers.is_integer {
        true => "integer",
        false => "number",
    });
    let types = [
        is_boolean.then_some("boolean"),
        number_type,
        text.is_some().then_some("string"),
        array.is_some().then_some("array"),
        object.is_some().then_some("object"),
        is_nullable.then_some("null"),
    ];
    let types: Vec<&str> = types.into_iter().flatten().collect();
    match *types {
        [one] => set(&mut schema, "type", one),
        _ => set(&mut schema, "type", types),
    }
    // Each keyword constrains only values of its own type, so they can be combined.
    if let Some(numbers) = number {
        numbers.write(&mut schema);
    }
    if let Some(texts) = text {
        texts.write(&mut schema);
    }
    match array {
        None => {}
        Some(ShapeItems::Each(shape)) => set(&mut schema, "items", schema_of(shape)),
        Some(ShapeItems::Exactly(shapes)) => {
            set(&mut schema, "prefixItems", shapes.iter().map(schema_of).collect::<Vec<_>>());
            set(&mut schema, "minItems", shapes.len());
            set(&mut schema, "maxItems", shapes.len());
        }
    }
    match object {
        None => {}
        Some(ShapeFields::Named { fields, is_closed }) => {
            write_fields(&mut schema, fields, *is_closed);
        }
        Some(ShapeFields::Each(names, values)) => {
            let names = schema_of(&Shape { text: Some(names.clone()), ..Shape::default() });
            set(&mut schema, "propertyNames", names);
            set(&mut schema, "additionalProperties", schema_of(values));
        }
    }
    if let Some(unsaid) = unsaid {
        set(&mut schema, "$comment", unsaid.words());
    }
    schema
}

fn write_fields(schema: &mut Map<String, Value>, fields: &[ShapeField], is_closed: bool) {
    let named = fields.iter().map(|field| (field.name.clone(), schema_of(&field.shape).into()));
    let named: Map<String, Value> = named.collect();
    if !named.is_empty() || is_closed {
        set(schema, "properties", named);
    }
    if is_closed {
        set(schema, "additionalProperties", false);
    }
    let required = fields.iter().filter(|field| field.is_required).map(|field| &*field.name);
    let required: Vec<&str> = required.collect();
    if !required.is_empty() {
        set(schema, "required", required);
    }
}

impl ShapeNumbers {
    fn write(&self, schema: &mut Map<String, Value>) {
        let (low, high) = match self.is_open {
            false => ("minimum", "maximum"),
            true => ("exclusiveMinimum", "exclusiveMaximum"),
        };
        if let Some((lowest, highest)) = &self.bounds {
            set(schema, low, number(lowest));
            set(schema, high, number(highest));
        }
        if let Some(step) = &self.step {
            set(schema, "multipleOf", number(step));
        }
        if let Some(unsaid) = self.unsaid {
            set(schema, "$comment", unsaid.words());
        }
    }
}

impl ShapeTexts {
    fn write(&self, schema: &mut Map<String, Value>) {
        if let Some(pattern) = &self.pattern {
            set(schema, "pattern", &**pattern);
        } else {
            if self.min_chars > 0 {
                set(schema, "minLength", self.min_chars);
            }
            if let Some(most) = self.max_chars {
                set(schema, "maxLength", most);
            }
        }
        if let Some(unsaid) = self.unsaid {
            set(schema, "$comment", unsaid.words());
        }
    }
}

/// A number with all its digits.
fn number(text: &str) -> Value {
    Number::from_str(text).map_or(Value::Null, Value::Number)
}

fn set(schema: &mut Map<String, Value>, keyword: &str, value: impl Into<Value>) {
    schema.insert(keyword.to_owned(), value.into());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::plan::{Rules, TimestampUnit};
    use crate::schema::shape::Unsaid;
    use crate::schema::source::{Metadata, OnInvalid, Pointer, UnknownFields};
    use crate::schema::table::{ColumnRow, TableSchema};

    /// What is said of each column, one a line.
    fn said(columns: &[(&str, &str)], rules: &Rules) -> String {
        let rows = columns.iter().map(|(name, ty)| ColumnRow {
            name: (*name).into(),
            ty: (*ty).into(),
            default_kind: String::new(),
            default_expression: String::new(),
        });
        let table = TableSchema::from_rows("d", "t", "UTC", rows).unwrap();
        let schema = json_schema(&TablePlan::new(&table, rules).unwrap()).unwrap();
        let said = columns.iter().map(|(name, _)| format!("{name} {}", schema["properties"][name]));
        let said: Vec<String> = said.chain([format!("required {}", schema["required"])]).collect();
        said.join("\n")
    }

    #[test]
    fn each_kind_of_value_has_its_keywords() {
        let columns = [
            ("i", "Int8"),
            ("l", "UInt64"),
            ("f", "Float32"),
            ("d", "Float64"),
            ("b", "Nullable(Bool)"),
            ("s", "String"),
            ("x", "FixedString(3)"),
            ("p", "Decimal(4, 2)"),
            ("e", "Enum8('on' = 1, 'off' = 2)"),
            ("n", "Nullable(Enum8('on' = 1))"),
            ("t", "DateTime"),
        ];
        let rules = Rules {
            timestamp_unit: Some(TimestampUnit::Milliseconds),
            datetime: vec!["t".to_owned()],
            required: vec!["i".to_owned()],
            ..Rules::default()
        };
        insta::assert_snapshot!(said(&columns, &rules), @r#"
        i {"maximum":127,"minimum":-128,"type":"integer"}
        l {"$comment":"sluicegate also takes a number with an exponent, such as 1e3","maximum":18446744073709551615,"minimum":0,"pattern":"^(?:(?:0|[1-9][0-9]{0,18}|(?:1844674407370955161[0-5]|1844674407370955160[0-9]|18446744073709551[0-5][0-9]{2}|18446744073709550[0-9]{3}|184467440737095[0-4][0-9]{4}|18446744073709[0-4][0-9]{5}|1844674407370[0-8][0-9]{6}|18446744073[0-6][0-9]{8}|1844674407[0-2][0-9]{9}|184467440[0-6][0-9]{10}|1844674[0-3][0-9]{12}|184467[0-3][0-9]{13}|18446[0-6][0-9]{14}|1844[0-5][0-9]{15}|184[0-3][0-9]{16}|18[0-3][0-9]{17}|1[0-7][0-9]{18}))|-(?:0))(?:\\.0+)?$","type":["integer","string","null"]}
        f {"exclusiveMaximum":340282356779733661637539395458142568448,"exclusiveMinimum":-340282356779733661637539395458142568448,"type":["number","null"]}
        d {"$comment":"sluicegate refuses a number that the float cannot hold","type":["number","null"]}
        b {"type":["boolean","null"]}
        s {"type":["string","null"]}
        x {"$comment":"the length is one in bytes of UTF-8; here characters are counted","maxLength":3,"type":["string","null"]}
        p {"$comment":"sluicegate also takes a number with an exponent, such as 1e3","maximum":99.99,"minimum":-99.99,"multipleOf":0.01,"pattern":"^-?(?:0|[1-9][0-9]{0,1})(?:\\.[0-9]{1,2}0*)?$","type":["number","string","null"]}
        e {"enum":["on","off"]}
        n {"enum":["on",null]}
        t {"$comment":"sluicegate takes a closed list of layouts (DATETIME_COLUMNS)","maximum":4294967295000,"minimum":0,"multipleOf":1000,"type":["integer","string","null"]}
        required ["i"]
        "#);
    }

    #[test]
    fn nested_types_nest() {
        let columns = [
            ("a", "Array(Nullable(Int8))"),
            ("m", "Map(UInt8, Float32)"),
            ("t", "Tuple(a Int8, b Nullable(String))"),
            ("u", "Tuple(Int8, Bool)"),
        ];
        insta::assert_snapshot!(said(&columns, &Rules::default()), @r#"
        a {"items":{"maximum":127,"minimum":-128,"type":["integer","null"]},"type":["array","null"]}
        m {"additionalProperties":{"exclusiveMaximum":340282356779733661637539395458142568448,"exclusiveMinimum":-340282356779733661637539395458142568448,"type":"number"},"propertyNames":{"$comment":"sluicegate also takes a number with an exponent, such as 1e3","pattern":"^(?:(?:0|[1-9][0-9]{0,1}|(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}))|-(?:0))(?:\\.0+)?$","type":"string"},"type":["object","null"]}
        t {"maxItems":2,"minItems":2,"prefixItems":[{"maximum":127,"minimum":-128,"type":"integer"},{"type":["string","null"]}],"properties":{"a":{"maximum":127,"minimum":-128,"type":"integer"},"b":{"type":["string","null"]}},"required":["a"],"type":["array","object","null"]}
        u {"maxItems":2,"minItems":2,"prefixItems":[{"maximum":127,"minimum":-128,"type":"integer"},{"type":"boolean"}],"type":["array","null"]}
        required null
        "#);
    }

    /// The schema of a table of one column `c`, under rules.
    fn of_one(ty: &str, rules: &Rules) -> Result<Value, Underived> {
        let row = ColumnRow {
            name: "c".into(),
            ty: ty.into(),
            default_kind: String::new(),
            default_expression: String::new(),
        };
        let table = TableSchema::from_rows("d", "t", "UTC", [row]).unwrap();
        json_schema(&TablePlan::new(&table, rules).unwrap())
    }

    #[test]
    fn what_no_keyword_says_of_a_type_is_told_in_a_comment() {
        let said = |ty| of_one(ty, &Rules::default()).unwrap()["properties"]["c"].clone();
        let json = said("Nullable(JSON(a UInt8))");
        assert_eq!(json["type"], serde_json::json!(["object", "null"]));
        assert_eq!(json["$comment"], Unsaid::Json.words());
        let variant = said("Variant(Array(Nullable(Int8)), Int64, Tuple(Bool, UUID))");
        assert_eq!(
            variant["type"],
            serde_json::json!(["integer", "string", "array", "null"]),
            "{variant}"
        );
        let element = serde_json::json!(["boolean", "integer", "string", "null"]);
        assert_eq!(variant["items"]["type"], element, "{variant}");
        assert_eq!(variant["$comment"], Unsaid::Member.words());
        let wide = said("UInt256");
        let digits =
            "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        assert_eq!(wide["maximum"].to_string(), digits);
        assert_eq!(said("Decimal(76, 75)")["maximum"].to_string(), format!("9.{}", "9".repeat(75)));
    }

    #[test]
    fn a_column_that_no_field_fills_is_not_asked_for_and_other_fields_may_be_refused() {
        let rules = Rules {
            metadata: vec![("c".to_owned(), Metadata::Offset)],
            unknown_fields: UnknownFields::Reject,
            ..Rules::default()
        };
        let schema = of_one("Int64", &rules).unwrap();
        assert_eq!(schema["properties"], serde_json::json!({}));
        assert_eq!(schema["additionalProperties"], false);
        let rules = Rules { unknown_fields: UnknownFields::Column("c".into()), ..Rules::default() };
        let schema = of_one("String", &rules).unwrap();
        assert_eq!((schema.get("properties"), schema.get("additionalProperties")), (None, None));
    }

    #[test]
    fn nothing_is_derived_where_a_rule_changes_what_a_field_is() {
        let rest = || UnknownFields::Column("c".to_owned());
        let rules = [
            ("FIELD_CASE", Rules { ignores_case: true, ..Rules::default() }),
            (
                "COLUMN_FROM",
                Rules {
                    column_from: vec![("c".to_owned(), Pointer::parse("/a/b").unwrap())],
                    ..Rules::default()
                },
            ),
            ("COERCION", Rules { is_lenient: true, ..Rules::default() }),
            (
                "COLUMN_ON_INVALID",
                Rules { on_invalid: vec![("c".to_owned(), OnInvalid::Null)], ..Rules::default() },
            ),
            ("UNKNOWN_FIELDS", Rules { unknown_fields: rest(), ..Rules::default() }),
        ];
        for (variable, rules) in rules {
            assert_eq!(of_one("Nullable(JSON)", &rules), Err(Underived { variable }));
        }
    }
}

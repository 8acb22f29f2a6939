//! What is proved of a table, and what is not.

use super::super::UserSchema;
use crate::schema::plan::{Rules, TablePlan};
use crate::schema::source::UnknownFields;
use crate::schema::table::{ColumnRow, TableSchema};

const TABLE: &[(&str, &str)] = &[
    ("i", "UInt8"),
    ("f", "Float64"),
    ("e", "Enum8('on' = 1, 'off' = 2)"),
    ("b", "Nullable(Bool)"),
    ("d", "Date"),
    ("l", "Int64"),
    ("s", "FixedString(3)"),
    ("p", "Decimal(4, 2)"),
    ("a", "Array(Int8)"),
    ("m", "Map(String, Bool)"),
    ("t", "Tuple(a Int8, b Nullable(String))"),
];

fn proof(schema: &str) -> String {
    proof_under(Rules::default(), schema)
}

fn proof_under(rules: Rules, schema: &str) -> String {
    match UserSchema::new(schema).unwrap().is_covered_by(&plan(rules)) {
        Ok(()) => "covered".to_owned(),
        Err(not_covered) => not_covered.to_string(),
    }
}

fn plan(rules: Rules) -> TablePlan {
    let rows = TABLE.iter().map(|(name, ty)| ColumnRow {
        name: (*name).into(),
        ty: (*ty).into(),
        default_kind: String::new(),
        default_expression: String::new(),
    });
    let rules = Rules { required: vec!["i".into(), "e".into()], ..rules };
    let table = TableSchema::from_rows("d", "t", "UTC", rows).unwrap();
    TablePlan::new(&table, &rules).unwrap()
}

fn of(field: &str, keywords: &str) -> String {
    proof(&format!(r#"{{"properties":{{"{field}":{{{keywords}}}}}}}"#))
}

#[test]
fn what_the_table_asks_for_is_covered() {
    for schema in [
        "true",
        "{}",
        r#"{"type":"object","required":["i","e"],"title":"t","minProperties":2}"#,
        r#"{"additionalProperties":true,"properties":{"unread":{"description":"x"}}}"#,
        r##"{"properties":{"i":{"$ref":"#/$defs/id"}},"$defs":{"id":{"maximum":255}}}"##,
        r#"{"allOf":[{"anyOf":[false,{"properties":{"i":{"minimum":0}}}]}]}"#,
        r#"{"$id":"https://example.com/t","properties":{"d":{"format":"date"}}}"#,
    ] {
        assert_eq!(proof(schema), "covered", "{schema}");
    }
    for (field, keywords) in [
        ("i", r#""type":"integer","minimum":0,"maximum":255.0,"multipleOf":1"#),
        ("i", r#""type":["number","null"],"exclusiveMaximum":255.5,"minLength":9"#),
        ("e", r#""enum":["x","off","on"],"pattern":"^o","maxLength":3"#),
        ("b", r#""enum":[null,true,false],"type":["boolean","null"]"#),
        ("d", r#""minLength":10,"maxLength":10,"type":["string","null"]"#),
        ("s", r#""maxLength":3"#),
        ("p", r#""multipleOf":0.01,"maximum":99.99,"minimum":-100"#),
        ("a", r#""items":{"type":"integer","maximum":127},"minItems":0"#),
        ("m", r#""additionalProperties":{"type":"boolean"},"propertyNames":{"type":"string"}"#),
        ("t", r#""required":["a"],"properties":{"a":{"maximum":127}},"maxItems":2"#),
        ("t", r#""prefixItems":[{"minimum":-128},true],"items":false"#),
    ] {
        assert_eq!(of(field, keywords), "covered", "{field} {keywords}");
    }
}

#[test]
fn what_asks_for_more_or_is_not_known_is_run_and_its_place_is_told() {
    let table = [
        proof("false"),
        proof(r#"{"required":["i","d"]}"#),
        proof(r#"{"additionalProperties":false}"#),
        proof(r#"{"properties":{"unread":{"type":"string"}}}"#),
        proof(r##"{"properties":{"t":{"$ref":"#"}},"required":["i"]}"##),
        proof(r#"{"maxProperties":20}"#),
        of("i", r#""maximum":254"#),
        of("i", r#""exclusiveMinimum":0"#),
        of("i", r#""type":"integer""#),
        of("f", r#""maximum":1e300"#),
        of("e", r#""enum":["on"]"#),
        of("e", r#""pattern":"n$""#),
        of("l", r#""type":["integer","null"]"#),
        of("a", r#""items":{"maximum":126}"#),
        of("a", r#""uniqueItems":true"#),
        of("t", r#""required":["b"]"#),
        proof(
            r#"{"$schema":"http://json-schema.org/draft-04/schema#",
            "properties":{"a":{"items":{"type":"integer"}}}}"#,
        ),
        proof(
            r#"{"$schema":"http://json-schema.org/draft-07/schema#",
            "properties":{"d":{"format":"date"}}}"#,
        ),
    ];
    insta::assert_snapshot!(table.join("\n"), @r#"
    at its root: it refuses every value
    at /required: the table takes records without "d"
    at /additionalProperties: it refuses every value
    at /properties/unread/type: the table does not read this field, so anything may stand in it
    at /properties/t/$ref: this reference is not followed
    at /maxProperties: this keyword is not looked into
    at /properties/i/maximum: the table takes numbers up to 255
    at /properties/i/exclusiveMinimum: the table takes numbers up to 0
    covered
    at /properties/f/maximum: the table has no bound here
    at /properties/e/enum: the table takes "off", which is not listed
    at /properties/e/pattern: the table takes "off"
    at /properties/l/type: the table takes a value of kind string here
    at /properties/a/items/maximum: the table takes numbers up to 127
    at /properties/a/uniqueItems: this keyword is not looked into
    at /properties/t/required: the table takes records without "b"
    at /properties/a/items/type: the table takes a value of kind number here
    at /properties/d/format: this keyword is not looked into
    "#);
}

#[test]
fn where_unknown_fields_are_refused_a_schema_may_refuse_them_too() {
    let proof = |schema| {
        let rules = Rules { unknown_fields: UnknownFields::Reject, ..Rules::default() };
        proof_under(rules, schema)
    };
    let all: Vec<String> = TABLE.iter().map(|(name, _)| format!("{name:?}:true")).collect();
    let all = format!(r#"{{"properties":{{{}}},"additionalProperties":false}}"#, all.join(","));
    for schema in [&*all, r#"{"properties":{"unread":false},"propertyNames":{"maxLength":1}}"#] {
        assert_eq!(proof(schema), "covered", "{schema}");
    }
    let few = r#"{"properties":{"i":true},"additionalProperties":false}"#;
    assert_eq!(proof(few), "at /additionalProperties: it refuses every value");
    let names = r#"{"propertyNames":{"enum":["i"]}}"#;
    assert!(proof(names).starts_with("at /propertyNames/enum: the table takes "), "{names}");
}

#[test]
fn nothing_is_proved_where_the_table_does_not_say_what_a_record_is() {
    let lenient = Rules { is_lenient: true, ..Rules::default() };
    assert_eq!(
        proof_under(lenient, "true"),
        "at its root: with COERCION set, nothing is derived from the table"
    );
    let behind = UserSchema::new("true").unwrap().before_plugins();
    let told = behind.is_covered_by(&plan(Rules::default())).unwrap_err().to_string();
    assert_eq!(told, "at its root: plugins on decoded rows fill columns too");
}

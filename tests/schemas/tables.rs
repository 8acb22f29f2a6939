//! The tables that records are made for, and the two judges of a record.

use std::str::FromStr as _;

use sluicegate::check::check;
use sluicegate::decode::{decode, judge_text};
use sluicegate::flow::rejection::Fault;
use sluicegate::schema::json_schema::json_schema;
use sluicegate::schema::plan::{Rules, TablePlan, TimestampUnit};
use sluicegate::schema::source::{Metadata, UnknownFields};
use sluicegate::schema::table::{ColumnRow, TableSchema};
use sluicegate::user_schema::UserSchema;

/// A table with its plan and its derived schema.
pub struct Table {
    pub name: &'static str,
    pub plan: TablePlan,
    pub schema: UserSchema,
    columns: &'static [Column],
    rules: Rules,
}

/// A column's name, type and DEFAULT.
pub type Column = (&'static str, &'static str, &'static str);

/// Every scalar.
const SCALARS: &[Column] = &[
    ("i8", "Int8", ""),
    ("i16", "Nullable(Int16)", ""),
    ("u32", "UInt32", "7"),
    ("i64", "Int64", ""),
    ("u64", "UInt64", ""),
    ("f32", "Float32", ""),
    ("f64", "Float64", ""),
    ("b", "Bool", ""),
    ("s", "String", ""),
    ("fs", "FixedString(3)", ""),
    ("lc", "LowCardinality(Nullable(String))", ""),
    ("e", "Enum8('on' = 1, 'off' = 2)", ""),
    ("ed", "Enum16('a' = 1, 'é' = 2)", "'a'"),
    ("d", "Date", ""),
    ("d32", "Nullable(Date32)", ""),
    ("dt", "DateTime('Europe/Berlin')", ""),
    ("t0", "DateTime64(0, 'UTC')", ""),
    ("t3", "DateTime64(3, 'Europe/Berlin')", ""),
    ("t9", "DateTime64(9, 'UTC')", ""),
    ("id", "UUID", ""),
    ("p", "Decimal(10, 2)", ""),
    ("p0", "Decimal(5, 0)", ""),
    ("pp", "Nullable(Decimal(38, 38))", ""),
];

/// The scalars beyond 64 bits, addresses and spans of time.
const FURTHER: &[Column] = &[
    ("i128", "Int128", ""),
    ("i256", "Nullable(Int256)", ""),
    ("u128", "UInt128", "7"),
    ("u256", "UInt256", ""),
    ("lw", "LowCardinality(Int128)", ""),
    ("bf", "BFloat16", ""),
    ("v4", "IPv4", ""),
    ("v6", "IPv6", ""),
    ("t", "Time", ""),
    ("t3", "Nullable(Time64(3))", ""),
    ("t9", "Time64(9)", ""),
    ("p76", "Decimal(76, 38)", ""),
    ("p60", "Nullable(Decimal(60, 0))", ""),
    ("m4", "Map(IPv4, Bool)", ""),
    ("m6", "Map(IPv6, UInt256)", ""),
    ("mt", "Map(Time, Array(Decimal(40, 2)))", ""),
    ("mw", "Map(UInt128, BFloat16)", ""),
    ("js", "JSON", ""),
    ("jt", "Nullable(JSON(`a.b` UInt8, d Date))", ""),
    ("va", "Variant(Array(Int8), Bool, Int64, UUID)", ""),
    ("vt", "Variant(Decimal(4, 2), Map(String, Int8), Tuple(Int8, String))", ""),
    ("dy", "Dynamic", ""),
    ("ad", "Array(Dynamic)", ""),
    ("_offset", "Int64", ""),
];

/// What stands within something else.
const NESTED: &[Column] = &[
    ("a", "Array(Array(Nullable(Int8)))", ""),
    ("au", "Array(UInt64)", "[1]"),
    ("m", "Map(String, Int8)", ""),
    ("mi", "Map(Int16, Nullable(String))", ""),
    ("mu", "Map(UUID, Bool)", ""),
    ("md", "Map(Date, Bool)", ""),
    ("me", "Map(Enum8('on' = 1, 'off' = 2), Bool)", ""),
    ("mf", "Map(Float64, Bool)", ""),
    ("mb", "Map(Bool, Bool)", ""),
    ("mp", "Map(Decimal(4, 2), Array(Bool))", ""),
    ("t", "Tuple(a Int8, `b/c` Nullable(String))", ""),
    ("u", "Tuple(Int8, Array(Bool))", ""),
    ("n", "Nullable(Tuple(a Int8))", ""),
    ("te", "Tuple(e Enum8('x' = 1))", ""),
    ("at", "Array(Tuple(id UInt8, tags Map(String, Array(Nullable(Int8)))))", ""),
];

/// What the rules of the configuration change.
const RULED: &[Column] = &[
    ("id", "UInt64", ""),
    ("note", "Nullable(String)", ""),
    ("day", "Date", ""),
    ("wide", "DateTime('Europe/Berlin')", ""),
    ("at", "DateTime", ""),
    ("at1", "DateTime64(1)", ""),
    ("at3", "Nullable(DateTime64(3))", ""),
    ("at8", "DateTime64(8)", ""),
    ("kind", "Enum8('DEFAULT' = 1, 'x' = 2)", ""),
    ("moments", "Array(DateTime64(4))", ""),
    ("by", "Map(DateTime, Float32)", ""),
    ("rest", "String", ""),
];

/// The plan of a table of these columns.
pub fn plan(columns: &[Column], rules: &Rules) -> TablePlan {
    let rows = columns.iter().map(|(name, ty, default)| ColumnRow {
        name: (*name).into(),
        ty: (*ty).into(),
        default_kind: if default.is_empty() { "" } else { "DEFAULT" }.into(),
        default_expression: (*default).into(),
    });
    let table = TableSchema::from_rows("d", "t", "UTC", rows).unwrap();
    TablePlan::new(&table, rules).unwrap()
}

impl Table {
    fn new(name: &'static str, columns: &'static [Column], rules: &Rules) -> Self {
        let plan = plan(columns, rules);
        let schema = UserSchema::new(&json_schema(&plan).unwrap().to_string()).unwrap();
        Self { name, plan, schema, columns, rules: rules.clone() }
    }

    /// The plan of the same table with COERCION=lenient.
    pub fn lenient(&self) -> TablePlan {
        plan(self.columns, &Rules { is_lenient: true, ..self.rules.clone() })
    }

    /// The tables.
    pub fn all() -> [Self; 4] {
        let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let rules = Rules {
            required: named(&["id", "note"]),
            datetime: named(&["day", "wide"]),
            string_enum: named(&["kind"]),
            timestamp_unit: Some(TimestampUnit::Milliseconds),
            unknown_fields: UnknownFields::Column("rest".to_owned()),
            ..Rules::default()
        };
        let closed = Rules {
            metadata: vec![("_offset".to_owned(), Metadata::Offset)],
            unknown_fields: UnknownFields::Reject,
            ..Rules::default()
        };
        [
            Self::new("scalars", SCALARS, &Rules::default()),
            Self::new("further", FURTHER, &closed),
            Self::new("nested", NESTED, &Rules::default()),
            Self::new("ruled", RULED, &rules),
        ]
    }

    /// What decode and check say of each record.
    pub fn decide(&self, records: &[Vec<u8>]) -> Vec<Option<Fault>> {
        let rows = decode(&self.plan, (0..).zip(records.iter().map(Vec::as_slice)));
        let mut faults: Vec<Option<Fault>> = records.iter().map(|_| None).collect();
        for rejection in check(&self.plan, rows, Vec::new(), judge_text).rejections {
            faults[rejection.origin as usize] = Some(rejection.fault);
        }
        faults
    }
}

/// How many records a loop judges of each table; `SLUICEGATE_RECORDS` has its own.
pub fn count() -> u64 {
    let set = std::env::var("SLUICEGATE_RECORDS").ok();
    set.and_then(|text| u64::from_str(&text).ok()).unwrap_or(200_000)
}

/// The seed of a record, by its table and its number.
pub fn seed(table: &Table, number: u64) -> u64 {
    table.name.bytes().fold(number, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()))
}

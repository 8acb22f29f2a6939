//! The shape of each type, and of a record.

use std::collections::BTreeSet;

use super::super::nested::Dotted;
use super::super::pattern;
use super::super::plan::{ColumnPlan, TablePlan, UnknownField, ValueRules, WhenAbsent, WhenNull};
use super::super::source::{ColumnSource, OnInvalid};
use super::super::types::{Element, Kind, Type};
use super::{
    Shape, ShapeField, ShapeFields, ShapeItems, ShapeNumbers, ShapeTexts, Underived, Unsaid,
};

/// The variable, if one is set, that changes what a record may be in a way that no shape expresses.
fn underived(plan: &TablePlan) -> Option<&'static str> {
    let any = |is_so: fn(&ColumnPlan) -> bool| plan.columns.iter().any(is_so);
    let collects_json = match plan.unknown {
        UnknownField::Column(at) => {
            plan.columns.get(at).is_some_and(|column| column.ty.kind.is_json())
        }
        UnknownField::Ignore | UnknownField::Reject => false,
    };
    let rules = [
        ("FIELD_CASE", plan.ignores_case()),
        ("COLUMN_FROM", any(|column| matches!(column.source, ColumnSource::Pointer(_)))),
        ("COERCION", any(|column| column.values.is_lenient())),
        ("COLUMN_ENCODING", any(|column| column.values.encoding().is_some())),
        ("COLUMN_ON_INVALID", any(|c| c.on_invalid != OnInvalid::Reject && c.source.is_field())),
        // A value in any field must then fit that column.
        ("UNKNOWN_FIELDS", collects_json),
    ];
    rules.into_iter().find(|(_, is_set)| *is_set).map(|(variable, _)| variable)
}

impl Shape {
    /// A record of a table.
    ///
    /// # Errors
    /// A rule that no shape expresses.
    pub fn of_record(plan: &TablePlan) -> Result<Self, Underived> {
        match underived(plan) {
            Some(variable) => Err(Underived { variable }),
            None => Ok(Self::of_fields(plan)),
        }
    }

    /// The fields that fill columns by name; other columns are filled with Kafka's metadata, or with the unknown
    /// fields.
    fn of_fields(plan: &TablePlan) -> Self {
        let columns = || plan.columns.iter().filter(|column| column.source == ColumnSource::Name);
        let names = plan.columns.iter().map(|column| &*column.name);
        let dotted = Dotted::new(names, plan.ignores_case());
        let fields = columns().map(|column| {
            let is_parted = dotted.is_parted(&column.name);
            // The server or a rule fills a null or absent field of the record itself.
            let takes_no_null = column.is_required || column.when_null == WhenNull::Reject;
            let is_required = takes_no_null
                && !is_parted
                && (column.is_required || column.when_absent == WhenAbsent::AsNull);
            let shape = Self::of(&column.ty, column.values);
            let unsaid = shape.unsaid.or(is_parted.then_some(Unsaid::Parts));
            let shape = Self { is_nullable: !takes_no_null, unsaid, ..shape };
            ShapeField { name: column.name.to_string(), shape, is_required }
        });
        let (mut fields, is_closed) =
            (fields.collect::<Vec<_>>(), plan.unknown == UnknownField::Reject);
        if is_closed {
            let parted = columns().filter(|column| dotted.is_parted(&column.name));
            let wholes = parted.filter_map(|column| column.name.split('.').next());
            let wholes: BTreeSet<&str> = wholes.collect();
            fields.extend(wholes.into_iter().map(|whole| ShapeField {
                name: whole.to_owned(),
                shape: Self {
                    object: Some(ShapeFields::Named { fields: Vec::new(), is_closed: false }),
                    unsaid: Some(Unsaid::Parts),
                    ..Self::default()
                },
                is_required: false,
            }));
        }
        Self { object: Some(ShapeFields::Named { fields, is_closed }), ..Self::default() }
    }

    /// A nested value, as in [`Shape::of_record`].
    fn of(ty: &Type, rules: ValueRules) -> Self {
        let (number, text) = (Self::of_numbers, Self::of_texts);
        let unit = rules.unit_of(&ty.kind);
        let counted = || unit.and_then(|unit| ShapeNumbers::counted(&ty.kind, unit));
        let shape = match &ty.kind {
            Kind::Int(kind) => {
                let (low, high) = kind.range();
                let numbers = ShapeNumbers::integers(&low, &high);
                let texts = kind.is_64_bit().then(|| numbers.as_texts());
                Self { text: texts, ..number(numbers) }
            }
            Kind::WideInt(kind) => {
                let (low, high) = kind.digits();
                let numbers = ShapeNumbers::integers(&low, &high);
                Self { text: Some(numbers.as_texts()), ..number(numbers) }
            }
            Kind::BFloat16 => {
                // Half way to the next float, less the rounding up when it is read as a Float64.
                number(ShapeNumbers::within("339617752923045986637456772423047184384"))
            }
            Kind::Float32 => {
                // Half way to the next float: numbers below are rounded down.
                number(ShapeNumbers::within("340282356779733661637539395458142568448"))
            }
            Kind::Float64 => {
                number(ShapeNumbers { unsaid: Some(Unsaid::FloatRange), ..ShapeNumbers::default() })
            }
            Kind::Bool => Self { is_boolean: true, ..Self::default() },
            Kind::String => text(ShapeTexts::default()),
            Kind::FixedString(width) => text(ShapeTexts {
                max_chars: Some(u64::try_from(*width).unwrap_or(0)),
                unsaid: Some(Unsaid::Bytes),
                ..ShapeTexts::default()
            }),
            Kind::Uuid => text(ShapeTexts::matching(pattern::UUID.to_owned(), 32, Some(45))),
            Kind::Ipv4 => text(ShapeTexts::matching(pattern::ipv4(), 7, Some(15))),
            Kind::Ipv6 => text(ShapeTexts::matching(pattern::ipv6(), 2, Some(45))),
            Kind::Time => {
                Self { number: counted(), ..text(ShapeTexts::matching(pattern::time(0), 7, None)) }
            }
            Kind::Time64 { precision } => Self {
                number: counted(),
                ..text(ShapeTexts::matching(pattern::time(*precision), 7, None))
            },
            Kind::Date => Self {
                number: counted(),
                ..text(ShapeTexts::date((1970, 1, 1), (2149, 6, 6), rules))
            },
            Kind::Date32 => Self {
                number: counted(),
                ..text(ShapeTexts::date((1900, 1, 1), (2299, 12, 31), rules))
            },
            Kind::DateTime { .. } => Self {
                number: counted(),
                ..text(ShapeTexts::moment((1969, 12, 31), (2106, 2, 8), 0, rules))
            },
            Kind::DateTime64 { precision, .. } => {
                // With more digits, ticks are nanoseconds in 64 bits.
                let last = if *precision > 6 { (2262, 4, 12) } else { (2300, 1, 1) };
                Self {
                    number: counted(),
                    ..text(ShapeTexts::moment((1899, 12, 31), last, *precision, rules))
                }
            }
            Kind::Decimal { precision, scale } => {
                let whole = u32::from(precision.saturating_sub(*scale));
                Self {
                    text: Some(ShapeTexts {
                        pattern: Some(pattern::decimal(whole, (*scale).into())),
                        min_chars: 1,
                        unsaid: Some(Unsaid::Exponent),
                        ..ShapeTexts::default()
                    }),
                    ..number(ShapeNumbers::decimal(whole, (*scale).into()))
                }
            }
            Kind::Enum(labels, _) => text(ShapeTexts {
                labels: Some(labels.iter().map(ToString::to_string).collect()),
                ..ShapeTexts::default()
            }),
            Kind::Array(element) => Self {
                array: Some(ShapeItems::Each(Box::new(Self::of(element, rules)))),
                ..Self::default()
            },
            Kind::Map(key, value) => Self {
                object: Some(ShapeFields::Each(
                    Self::of(key, rules).into_texts(),
                    Box::new(Self::of(value, rules)),
                )),
                ..Self::default()
            },
            Kind::Tuple(elements) => Self::of_tuple(elements, rules),
            Kind::Json(_) => Self {
                object: Some(ShapeFields::Named { fields: Vec::new(), is_closed: false }),
                unsaid: Some(Unsaid::Json),
                ..Self::default()
            },
            Kind::Variant(members) | Kind::Dynamic(members) => {
                let members = members.iter().map(|member| Self::of(member, rules));
                Self { unsaid: Some(Unsaid::Member), ..members.fold(Self::default(), Self::or) }
            }
        };
        Self { is_nullable: ty.is_nullable, ..shape }
    }

    fn of_tuple(elements: &[Element], rules: ValueRules) -> Self {
        let shapes = elements.iter().map(|element| Self::of(&element.ty, rules));
        let fields: Option<Vec<ShapeField>> = elements
            .iter()
            .map(|element| {
                Some(ShapeField {
                    name: element.name.as_deref()?.to_owned(),
                    shape: Self::of(&element.ty, rules),
                    is_required: !element.ty.is_nullable,
                })
            })
            .collect();
        Self {
            array: Some(ShapeItems::Exactly(shapes.collect())),
            object: fields.map(|fields| ShapeFields::Named { fields, is_closed: false }),
            ..Self::default()
        }
    }

    /// A superset of both: nearly any value of each kind of JSON.
    fn or(self, other: Self) -> Self {
        let is_integer = |shape: &Self| shape.number.as_ref().is_none_or(|n| n.is_integer);
        let are_integers = is_integer(&self) && is_integer(&other);
        let numbers = ShapeNumbers { is_integer: are_integers, ..ShapeNumbers::default() };
        let elements =
            [&self.array, &other.array].into_iter().flatten().flat_map(|items| match items {
                ShapeItems::Each(shape) => std::slice::from_ref(&**shape),
                ShapeItems::Exactly(shapes) => shapes,
            });
        let element = elements.cloned().reduce(Self::or);
        Self {
            is_nullable: self.is_nullable || other.is_nullable,
            is_boolean: self.is_boolean || other.is_boolean,
            number: self.number.or(other.number).map(|_| numbers),
            text: self.text.or(other.text).map(|_| ShapeTexts::default()),
            array: element.map(|element| ShapeItems::Each(Box::new(element))),
            object: self
                .object
                .or(other.object)
                .map(|_| ShapeFields::Named { fields: Vec::new(), is_closed: false }),
            unsaid: Some(Unsaid::Member),
        }
    }

    fn of_numbers(numbers: ShapeNumbers) -> Self {
        Self { number: Some(numbers), ..Self::default() }
    }

    fn of_texts(texts: ShapeTexts) -> Self {
        Self { text: Some(texts), ..Self::default() }
    }

    /// The same values as names of a map.
    fn into_texts(self) -> ShapeTexts {
        match self {
            Self { text: Some(texts), .. } => texts,
            Self { number: Some(numbers), .. } => numbers.as_texts(),
            _ => ShapeTexts {
                labels: Some(vec!["true".to_owned(), "false".to_owned()]),
                ..ShapeTexts::default()
            },
        }
    }
}

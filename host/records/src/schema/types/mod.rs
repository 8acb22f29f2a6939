//! ClickHouse's types, as far as records fill their columns.

mod parse;
mod scalar;

use std::sync::Arc;

use chrono_tz::Tz;

pub use parse::{MAX_PARTS, TypeCount, parse, parse_as_part};

use super::names::FindField;

/// A column type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Type {
    /// The type without its wrappers.
    pub kind: Kind,
    /// Whether it holds NULL. LowCardinality only affects storage, and shows only in the next field.
    pub is_nullable: bool,
    /// Whether it is sent as text: a LowCardinality of UUIDs or of integers of more than 64 bits, whose bytes the
    /// server would read in another order, or as digits.
    pub is_text: bool,
    /// Whether a String may hold invalid UTF-8, and is sent as bytes.
    pub is_bytes: bool,
}

impl From<Kind> for Type {
    fn from(kind: Kind) -> Self {
        Self { kind, is_nullable: false, is_text: false, is_bytes: false }
    }
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Int8 to Int64 and UInt8 to UInt64; an Interval is its count.
    Int(IntKind),
    /// Int128, Int256, UInt128 and UInt256.
    WideInt(WideInt),
    /// Float32.
    Float32,
    /// Float64.
    Float64,
    /// BFloat16.
    BFloat16,
    /// Bool.
    Bool,
    /// String.
    String,
    /// FixedString of so many bytes.
    FixedString(i32),
    /// UUID.
    Uuid,
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// Date: days since 1970, 16 bits.
    Date,
    /// Date32: days since 1970, from 1900 to 2299.
    Date32,
    /// DateTime: seconds since 1970, 32 bits.
    DateTime {
        /// The zone of texts without an offset; `None` is the server's.
        zone: Option<Tz>,
    },
    /// DateTime64: ticks of 10 to the power of minus `precision` seconds since 1970.
    DateTime64 {
        /// Decimal digits of a second, 0 to 9.
        precision: u8,
        /// The zone of texts without an offset; `None` is the server's.
        zone: Option<Tz>,
    },
    /// Time: seconds of either sign, less than 1000 hours.
    Time,
    /// Time64: ticks of 10 to the power of minus `precision` seconds, of either sign.
    Time64 {
        /// Decimal digits of a second, 0 to 9.
        precision: u8,
    },
    /// Decimal.
    Decimal {
        /// Digits in all, 1 to 76.
        precision: u8,
        /// Digits after the point, at most `precision`.
        scale: u8,
    },
    /// Enum8 and Enum16: the labels in the order of their numbers, and the numbers.
    Enum(Arc<[Box<str>]>, Arc<[i16]>),
    /// Array of elements.
    Array(Box<Type>),
    /// Map of keys to values. A key is not null, an array, a map or a tuple.
    Map(Box<Type>, Box<Type>),
    /// Tuple of at least one element; either all of them have names or none has.
    Tuple(Arc<[Element]>),
    /// JSON; the elements are the paths that have a declared type.
    Json(Arc<[Element]>),
    /// Variant: a value of any of these, or NULL.
    Variant(Arc<[Type]>),
    /// Dynamic: a value of any type, or NULL; these are the types that JSON can supply.
    Dynamic(Arc<[Type]>),
}

/// An element of a Tuple, or a path of a JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// The name, where the Tuple has names.
    pub name: Option<Box<str>>,
    /// The type.
    pub ty: Type,
}

impl FindField for [Element] {
    fn find(&self, name: &str, guess: usize) -> Option<usize> {
        let is_named = |element: &Element| element.name.as_deref() == Some(name);
        if self.get(guess).is_some_and(is_named) {
            return Some(guess);
        }
        self.iter().position(is_named)
    }
}

/// An integer's width and sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum IntKind {
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
}

impl Type {
    /// The same type, whose Strings may hold invalid UTF-8.
    #[must_use]
    pub fn of_bytes(self) -> Self {
        let boxed = |ty: Box<Self>| Box::new(ty.of_bytes());
        let kind = match self.kind {
            Kind::Array(element) => Kind::Array(boxed(element)),
            Kind::Map(key, value) => Kind::Map(boxed(key), boxed(value)),
            Kind::Tuple(elements) => {
                let elements = elements.iter().cloned();
                Kind::Tuple(
                    elements.map(|part| Element { ty: part.ty.of_bytes(), ..part }).collect(),
                )
            }
            kind => kind,
        };
        Self { kind, is_bytes: true, ..self }
    }

    /// Whether it, or anything within it, is of this kind.
    pub fn holds(&self, is_wanted: fn(&Kind) -> bool) -> bool {
        is_wanted(&self.kind)
            || match &self.kind {
                Kind::Array(element) => element.holds(is_wanted),
                Kind::Map(key, value) => key.holds(is_wanted) || value.holds(is_wanted),
                Kind::Tuple(elements) => elements.iter().any(|part| part.ty.holds(is_wanted)),
                Kind::Variant(members) => members.iter().any(|member| member.holds(is_wanted)),
                _ => false,
            }
    }
}

impl Kind {
    /// Array.
    pub fn is_array(&self) -> bool {
        matches!(self, Self::Array(_))
    }

    /// JSON.
    pub fn is_json(&self) -> bool {
        matches!(self, Self::Json(_))
    }

    /// Variant or Dynamic, which are sent as a union.
    pub fn is_union(&self) -> bool {
        matches!(self, Self::Variant(_) | Self::Dynamic(_))
    }
}

impl IntKind {
    /// Lowest and highest value.
    pub fn range(self) -> (i128, i128) {
        match self {
            Self::I8 => (i8::MIN.into(), i8::MAX.into()),
            Self::I16 => (i16::MIN.into(), i16::MAX.into()),
            Self::I32 => (i32::MIN.into(), i32::MAX.into()),
            Self::I64 => (i64::MIN.into(), i64::MAX.into()),
            Self::U8 => (0, u8::MAX.into()),
            Self::U16 => (0, u16::MAX.into()),
            Self::U32 => (0, u32::MAX.into()),
            Self::U64 => (0, u64::MAX.into()),
        }
    }

    /// Whether JSON readers lose digits of it, so that a string is accepted too.
    pub fn is_64_bit(self) -> bool {
        matches!(self, Self::I64 | Self::U64)
    }
}

/// Width and sign of an integer of more than 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum WideInt {
    I128,
    I256,
    U128,
    U256,
}

impl WideInt {
    /// Bytes per value.
    pub fn width(self) -> i32 {
        match self {
            Self::I128 | Self::U128 => 16,
            Self::I256 | Self::U256 => 32,
        }
    }

    /// Lowest and highest value, in digits.
    pub fn digits(self) -> (&'static str, &'static str) {
        match self {
            Self::I128 => (
                "-170141183460469231731687303715884105728",
                "170141183460469231731687303715884105727",
            ),
            Self::I256 => (
                "-57896044618658097711785492504343953926634992332820282019728792003956564819968",
                "57896044618658097711785492504343953926634992332820282019728792003956564819967",
            ),
            Self::U128 => ("0", "340282366920938463463374607431768211455"),
            Self::U256 => (
                "0",
                "115792089237316195423570985008687907853269984665640564039457584007913129639935",
            ),
        }
    }

    /// Lowest and highest value, in words.
    pub fn range(self) -> (&'static str, &'static str) {
        match self {
            Self::I128 => ("-2^127", "2^127 - 1"),
            Self::I256 => ("-2^255", "2^255 - 1"),
            Self::U128 => ("0", "2^128 - 1"),
            Self::U256 => ("0", "2^256 - 1"),
        }
    }
}

/// Why a type text yields no type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    /// A type that sluicegate does not fill.
    #[error("type `{text}` is not supported{place}")]
    Unsupported {
        /// The type.
        text: String,
        /// Where it is not supported, such as ` within JSON`.
        place: &'static str,
    },
    /// Not a type at all.
    #[error("type `{text}` is not understood: {problem}")]
    Malformed {
        /// The text.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
}

//! What JSON a record may have at each place: one tree, from which the JSON Schema is derived, and which a user's
//! schema is compared with.
//!
//! A shape states what decode and check accept, to the last digit. [`Unsaid`] names what no keyword of JSON Schema can
//! state.

mod derive;
mod values;

/// What a place accepts: any of the alternatives that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    /// Null.
    pub is_nullable: bool,
    /// `true` and `false`.
    pub is_boolean: bool,
    /// Numbers.
    pub number: Option<ShapeNumbers>,
    /// Strings.
    pub text: Option<ShapeTexts>,
    /// Arrays.
    pub array: Option<ShapeItems>,
    /// Objects.
    pub object: Option<ShapeFields>,
    /// What the above omits.
    pub unsaid: Option<Unsaid>,
}

/// Numbers; bounds are decimal texts, since they exceed any integer type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShapeNumbers {
    /// Whether a fraction is refused; `1.0` and `1e3` have none.
    pub is_integer: bool,
    /// Lowest and highest; `None` if a reader of JSON cannot hold numbers beyond.
    pub bounds: Option<(String, String)>,
    /// Whether the bounds themselves are refused.
    pub is_open: bool,
    /// Every number is a multiple of it.
    pub step: Option<String>,
    /// What the above omits.
    pub unsaid: Option<Unsaid>,
}

/// Strings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShapeTexts {
    /// The closed list of them, if there is one.
    pub labels: Option<Vec<String>>,
    /// A regular expression that matches them.
    pub pattern: Option<String>,
    /// Fewest characters.
    pub min_chars: u64,
    /// Most characters.
    pub max_chars: Option<u64>,
    /// What the above omits.
    pub unsaid: Option<Unsaid>,
}

/// The elements of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShapeItems {
    /// Any number of elements of one shape.
    Each(Box<Shape>),
    /// One element of each shape.
    Exactly(Vec<Shape>),
}

/// The members of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShapeFields {
    /// Members with known names.
    Named {
        /// The known members.
        fields: Vec<ShapeField>,
        /// Whether any other is refused; otherwise it is ignored.
        is_closed: bool,
    },
    /// Any names and values of these shapes.
    Each(ShapeTexts, Box<Shape>),
}

/// A member with a known name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeField {
    /// The name.
    pub name: String,
    /// The value.
    pub shape: Shape,
    /// Whether it must be there.
    pub is_required: bool,
}

/// What a JSON Schema cannot state of a place, and leaves to the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unsaid {
    /// The length of a text in bytes: the schema counts characters.
    Bytes,
    /// A number in a text may have an exponent: the schema refuses it.
    Exponent,
    /// A number may be too large for a float: no reader with floats can tell.
    FloatRange,
    /// A point in time may be out of range by its offset, or never occur in its time zone.
    Instant,
    /// The layouts of DATETIME_COLUMNS: the schema accepts any text.
    Layouts,
    /// What ClickHouse would change in a JSON object: the schema accepts any object.
    Json,
    /// A value of a Variant or Dynamic fits one of its types: the schema accepts any value of their kinds of JSON.
    Member,
    /// A column of a dotted name is filled from within an object too: the schema accepts any such object, and requires
    /// none.
    Parts,
}

impl Unsaid {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Bytes,
        Self::Exponent,
        Self::FloatRange,
        Self::Instant,
        Self::Layouts,
        Self::Json,
        Self::Member,
        Self::Parts,
    ];

    /// A description of what is left to the decoder.
    pub fn words(self) -> &'static str {
        match self {
            Self::Bytes => "the length is one in bytes of UTF-8; here characters are counted",
            Self::Exponent => "sluicegate also takes a number with an exponent, such as 1e3",
            Self::FloatRange => "sluicegate refuses a number that the float cannot hold",
            Self::Instant => {
                "sluicegate refuses a time that its offset puts out of range, and one that never \
                 occurs in its time zone"
            }
            Self::Layouts => "sluicegate takes a closed list of layouts (DATETIME_COLUMNS)",
            Self::Json => {
                "sluicegate refuses what ClickHouse would change in the object, and at a path with a \
                 type what is not of it"
            }
            Self::Parts => {
                "sluicegate takes the value of a column such as a.b from within an object too, as in \
                 {\"a\":{\"b\":1}}, by the same rules"
            }
            Self::Member => "sluicegate takes a value that fits one of the column's types",
        }
    }
}

/// A rule that changes what a record may be in a way that no shape expresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("with {variable} set, nothing is derived from the table")]
pub struct Underived {
    /// The variable that sets the rule.
    pub variable: &'static str,
}

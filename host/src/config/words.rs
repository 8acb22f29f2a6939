//! Configuration values that are one of a few words.

/// A value that is written as one of a few words.
pub trait Words: Copy + PartialEq + 'static {
    /// Each word and its value.
    const WORDS: &'static [(&'static str, Self)];

    /// The word of this value.
    fn as_str(self) -> &'static str {
        word(Self::WORDS, self)
    }
}

/// The word of a value in its list of choices.
pub(super) fn word<T: Copy + PartialEq>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}

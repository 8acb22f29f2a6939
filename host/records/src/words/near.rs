//! Finds the known name that a mistyped one probably meant; similar names do not count.

/// The number of single-letter edits between two names, 0 if they differ only by case and separators; `None` if they
/// differ by more than a typing error.
pub fn near(name: &str, known: &str) -> Option<usize> {
    let [name, known] = [name, known].map(letters);
    let most = match name.chars().count().min(known.chars().count()) {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    };
    Some(strsim::damerau_levenshtein(&name, &known)).filter(|edits| *edits <= most)
}

/// The nearest name within the limit of [`near`].
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().filter_map(|known| Some((near(name, known)?, known)));
    near.min().map(|(_, known)| known)
}

/// A name in lower case, without separators.
fn letters(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '_' | '-' | '.'));
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_hand_is_near_and_another_name_is_not() {
        for (name, known, edits) in [
            ("craeted", "created", Some(1)),
            ("createdAt", "created_at", Some(0)),
            ("created-at", "created.at", Some(0)),
            ("ID", "id", Some(0)),
            ("id", "ip", None),
            ("id", "x", None),
            ("zone", "zome", Some(1)),
            ("zone", "code", None),
            ("vehicle_id", "vehicle_ids", Some(1)),
            ("passenger_count", "messenger_amount", None),
            ("BATCH_ROWS", "BATCH_MAX_BYTES", None),
            ("KAFKA_SASL_USER", "KAFKA_SASL_USERNAME", None),
        ] {
            assert_eq!(near(name, known), edits, "{name} {known}");
        }
        assert_eq!(nearest("messges", ["massages", "messages", "mess"]), Some("messages"));
        assert_eq!(nearest("a", ["b"]), None);
    }
}

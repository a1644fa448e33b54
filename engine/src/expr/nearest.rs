//! The known name that a mistyped one was probably meant to be.

/// Jaro-Winkler similarity below which two names have nothing to do with each other.
const SIMILAR: f64 = 0.75;

/// The candidate most like `name`, if one is like it at all; the first of equals.
///
/// Letter case is ignored, so `Exp` finds `exp`.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let mut best: Option<(&str, f64)> = None;
    for candidate in candidates {
        let score = strsim::jaro_winkler(&wanted, &candidate.to_lowercase());
        if score >= SIMILAR && best.is_none_or(|(_, known)| score > known) {
            best = Some((candidate, score));
        }
    }
    best.map(|(candidate, _)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_typing_errors_and_no_strangers() {
        let names = ["exp", "expm1", "sqrt", "cos"];
        assert_eq!(nearest("Exp", names), Some("exp"));
        assert_eq!(nearest("sqr", names), Some("sqrt"));
        assert_eq!(nearest("squrt", names), Some("sqrt"));
        assert_eq!(nearest("gamma", names), None);
    }
}

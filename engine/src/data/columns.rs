//! The texts by which a person names columns: `t`, `t=SOURCE`, `t='Time (s)'`, `a,b='x, y'`.

use super::source::DataError;
use crate::expr::is_name;

/// Splits `NAME[,NAME...]` at commas that stand outside quotes. Blanks around an item do not count.
pub fn split_columns(text: &str) -> Result<Vec<String>, DataError> {
    let mut items = vec![String::new()];
    let mut quote = None;
    for c in text.chars() {
        match quote {
            None if c == ',' => items.push(String::new()),
            _ => {
                if quote == Some(c) {
                    quote = None;
                } else if quote.is_none() && (c == '\'' || c == '"') {
                    quote = Some(c);
                }
                items.last_mut().expect("the list starts with one item").push(c);
            }
        }
    }
    if let Some(quote) = quote {
        return Err(DataError::new(format!("the quote {quote} in `{text}` is never closed")));
    }
    let items: Vec<String> = items.iter().map(|item| item.trim().to_owned()).collect();
    if items.iter().any(String::is_empty) {
        return Err(DataError::new(format!("`{text}` names an empty column; expected NAME[,NAME...]")));
    }
    Ok(items)
}

/// A column text taken apart. What it means depends on what the files hold (`resolve`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnText {
    /// The text as given.
    pub text: String,
    /// The whole text without its quotes.
    pub bare: String,
    /// `NAME=SOURCE`, where the text has that shape.
    pub bound: Option<(String, Source)>,
}

/// What stands after the first `=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// Without quotes.
    pub text: String,
    /// A quoted source is never an expression.
    pub quoted: bool,
}

impl ColumnText {
    /// Takes a text apart; the shape alone decides, no file is looked at.
    pub(crate) fn parse(text: &str) -> Result<Self, DataError> {
        let text = text.trim();
        let (bare, _) = unquote(text);
        if bare.is_empty() {
            return Err(DataError::new(format!("`{text}` names no column; expected NAME or NAME=SOURCE")));
        }
        let bound = match text.split_once('=') {
            // `a == 1` is an expression
            Some((name, rest)) if is_name(name.trim()) && !rest.starts_with('=') => {
                let (source, quoted) = unquote(rest.trim());
                if source.is_empty() {
                    return Err(DataError::new(format!("`{text}` has nothing after `=`; expected NAME=SOURCE")));
                }
                Some((name.trim().to_owned(), Source { text: source, quoted }))
            }
            _ => None,
        };
        Ok(Self { text: text.to_owned(), bare, bound })
    }
}

fn unquote(text: &str) -> (String, bool) {
    for quote in ['\'', '"'] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote))
            && !inner.contains(quote)
        {
            return (inner.to_owned(), true);
        }
    }
    (text.to_owned(), false)
}

/// `candidates` for an error message: nearest to `wanted` first, at most a dozen.
pub(crate) fn nearest(wanted: &str, candidates: &[String]) -> String {
    const SHOWN: usize = 12;
    if candidates.is_empty() {
        return "nothing".to_owned();
    }
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    let distance = |i: &usize| strsim::damerau_levenshtein(&wanted.to_lowercase(), &candidates[*i].to_lowercase());
    order.sort_by_cached_key(distance);
    let mut text = order.iter().take(SHOWN).map(|&i| candidates[i].as_str()).collect::<Vec<_>>().join(", ");
    if candidates.len() > SHOWN {
        text += &format!(" and {} more", candidates.len() - SHOWN);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_split_outside_quotes_only() {
        assert_eq!(split_columns("a, b='x, y',c").unwrap(), ["a", "b='x, y'", "c"]);
        assert_eq!(split_columns("t=\"it's\"").unwrap(), ["t=\"it's\""]);
        assert_eq!(split_columns("a,,b").unwrap_err().message, "`a,,b` names an empty column; expected NAME[,NAME...]");
        assert_eq!(split_columns("t='a").unwrap_err().message, "the quote ' in `t='a` is never closed");
    }

    #[test]
    fn texts_are_taken_apart_by_shape() {
        let bound = |text: &str| ColumnText::parse(text).unwrap().bound.map(|(name, s)| (name, s.text, s.quoted));
        let some = |name: &str, source: &str, quoted| Some((name.to_owned(), source.to_owned(), quoted));
        assert_eq!(bound("t=/entry/time"), some("t", "/entry/time", false));
        assert_eq!(bound("t='Time (s)'"), some("t", "Time (s)", true));
        assert_eq!(bound("q='a=b'"), some("q", "a=b", true));
        assert_eq!(bound("counts"), None);
        assert_eq!(bound("q==1"), None);
        assert_eq!(bound("q>=0.1"), None);
        assert_eq!(bound("'a=b'"), None);
        assert_eq!(ColumnText::parse("'Time (s)'").unwrap().bare, "Time (s)");
        assert!(ColumnText::parse("t=").is_err());
    }

    #[test]
    fn lists_are_nearest_first_and_short() {
        let names: Vec<String> = ["alpha", "time", "beta"].map(str::to_owned).to_vec();
        assert_eq!(nearest("tme", &names), "time, beta, alpha");
        let many: Vec<String> = (0..20).map(|i| format!("c{i}")).collect();
        assert!(nearest("c3", &many).starts_with("c3, "));
        assert!(nearest("c3", &many).ends_with(" and 8 more"));
    }
}

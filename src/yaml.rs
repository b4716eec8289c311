//! Values for YAML that is to be pasted.

/// A value as a scalar: in quotes where YAML would read something else without them.
pub(crate) fn scalar(value: &str) -> String {
    let is_safe = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ' ' | '(' | ')');
    let is_plain = value.chars().all(is_safe)
        && value.starts_with(|c: char| c.is_alphabetic())
        && !value.ends_with(' ')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&&*value.to_lowercase());
    match is_plain {
        true => value.to_owned(),
        // Nothing has a meaning in single quotes but the quote itself (YAML 1.2, section 7.3.2).
        false => format!("'{}'", value.replace('\'', "''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_quoted_where_yaml_would_read_something_else() {
        for plain in ["production", "Production (EU)", "nuget.org", "a-b_c", "prod/eu"] {
            assert_eq!(scalar(plain), plain);
        }
        for value in [
            "prod: eu", "prod #1", "*prod", "&a", "yes", "NO", "1", "1.0", "-", "- a", "", "~", "{a}", "a ", "'", "!x",
            "@x",
        ] {
            assert_eq!(scalar(value), format!("'{}'", value.replace('\'', "''")));
        }
    }
}

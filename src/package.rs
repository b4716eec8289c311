//! A version of a package.

/// Longest ID, in characters, as in NuGet's packages.
const LONGEST_ID: usize = 100;

/// An existing version of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) version: String,
}

impl Package {
    /// Takes `ID@VERSION`, in the characters that NuGet has for both.
    pub(crate) fn parse(text: &str) -> Option<Package> {
        let (id, version) = text.split_once('@')?;
        let consists_of = |text: &str, others: &[u8]| {
            text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
        };
        let is_package = consists_of(id, b"._-") && id.len() <= LONGEST_ID && consists_of(version, b".-+");
        is_package.then(|| Package { id: id.to_owned(), version: version.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_an_id_and_a_version() {
        let package = Package::parse("Contoso.Sdk@1.2.3-beta.1+x").unwrap();
        assert_eq!((&*package.id, &*package.version), ("Contoso.Sdk", "1.2.3-beta.1+x"));
        for text in
            ["", "Contoso.Sdk", "@1.0.0", "Contoso.Sdk@", "a/b@1", "a@1/..", "a@../x", "..@1", "a@1@2", "a b@1", "é@1"]
        {
            assert_eq!(Package::parse(text), None, "{text}");
        }
    }
}

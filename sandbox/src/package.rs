//! NuGet packages: a zip archive with a manifest (`.nuspec`) at its top.

use std::io::{Cursor, Read, Write};

use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

/// ID and version, as a package's manifest gives them.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    /// The package ID.
    pub id: String,
    /// The version, as written.
    pub version: String,
}

/// Why nuget.org refuses a package, in its words.
const UNREADABLE: &str = "Failed to read the package file. Ensure it is a valid NuGet package with a valid manifest.";

/// Reads the manifest of a package. The error is nuget.org's message.
pub fn read(package: &[u8]) -> Result<Identity, String> {
    let manifest = manifest(package).ok_or(UNREADABLE)?;
    let document = roxmltree::Document::parse(&manifest).map_err(|_| UNREADABLE)?;
    let field = |name: &str| {
        // In whichever of the manifest's namespaces.
        let element = document.descendants().find(|node| node.is_element() && node.tag_name().name() == name);
        element.and_then(|node| node.text()).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let invalid = |problem: &str| {
        format!(
            "The NuGet package contains an invalid .nuspec file. The error encountered was: '{problem}'. Correct the \
             error and try again."
        )
    };
    let id = field("id").ok_or_else(|| invalid("The package manifest is missing a package ID."))?;
    let version = field("version").ok_or_else(|| invalid("The package manifest is missing a version."))?;
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
    if id.len() > 100 || !id.chars().all(fits) {
        return Err(invalid(&format!("The package manifest contains an invalid ID: '{id}'.")));
    }
    if !version.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(invalid(&format!("The package manifest contains an invalid Version: '{version}'.")));
    }
    Ok(Identity { id, version })
}

fn manifest(package: &[u8]) -> Option<String> {
    let mut archive = ZipArchive::new(Cursor::new(package)).ok()?;
    let names: Vec<String> = archive.file_names().flatten().map(|name| name.into_owned()).collect();
    let name = names.iter().find(|name| !name.contains('/') && name.ends_with(".nuspec"))?;
    let mut text = String::new();
    archive.by_name(name).ok()?.read_to_string(&mut text).ok()?;
    Some(text.trim_start_matches('\u{feff}').to_owned())
}

/// A package with nothing in it but what a package must have.
pub fn build(id: &str, version: &str) -> Vec<u8> {
    let manifest = format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd">
  <metadata>
    <id>{id}</id>
    <version>{version}</version>
    <authors>contoso</authors>
    <description>A package for trying out a push.</description>
  </metadata>
</package>
"#
    );
    let relationships = format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
  <Relationship Type="http://schemas.microsoft.com/packaging/2010/07/manifest" Target="/{id}.nuspec" Id="R1" />
</Relationships>
"#
    );
    let content_types = r#"<?xml version="1.0" encoding="utf-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
  <Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml" />
  <Default Extension="nuspec" ContentType="application/octet" />
  <Default Extension="md" ContentType="application/octet" />
</Types>
"#;
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let files = [
        ("_rels/.rels", relationships.as_str()),
        (&format!("{id}.nuspec"), &manifest),
        ("README.md", "A package for trying out a push.\n"),
        ("[Content_Types].xml", content_types),
    ];
    for (name, content) in files {
        archive.start_file(name, SimpleFileOptions::default()).expect("memory is always writable");
        archive.write_all(content.as_bytes()).expect("memory is always writable");
    }
    archive.finish().expect("memory is always writable").into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_package_reads_back() {
        let identity = Identity { id: "my-sdk".to_owned(), version: "1.2.3-beta".to_owned() };
        assert_eq!(read(&build("my-sdk", "1.2.3-beta")).unwrap(), identity);
    }

    #[test]
    fn a_body_that_is_not_a_package_is_rejected_with_nuget_orgs_message() {
        assert_eq!(read(b"PK but not really").unwrap_err(), UNREADABLE);
        assert!(read(&build("", "1.0.0")).unwrap_err().contains("missing a package ID"));
        assert!(read(&build("a b", "1.0.0")).unwrap_err().contains("invalid ID: 'a b'"));
        assert!(read(&build("a", "latest")).unwrap_err().contains("invalid Version: 'latest'"));
    }
}

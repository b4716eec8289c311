//! NuGet packages: a zip archive with a manifest (`.nuspec`) in its root folder.

use std::io::{Cursor, Read, Write};

use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

/// The ID and version in a package's manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The package ID.
    pub id: String,
    /// The version, as written in the manifest.
    pub version: String,
}

/// nuget.org's message for a file that is not a package.
const UNREADABLE: &str = "Failed to read the package file. Ensure it is a valid NuGet package with a valid manifest.";

/// nuget.org's message for a symbol package at the endpoint for packages.
const SYMBOLS_NOT_ALLOWED: &str = "Snupkg upload failed. Please use latest NuGet clients (v 4.9.0 or above) and a V3 \
                                   endpoint to push Symbol packages. For details, refer \
                                   https://docs.microsoft.com/nuget/create-packages/symbol-packages-snupkg";

/// The package type of a symbol package.
const SYMBOLS_TYPE: &str = "SymbolsPackage";

/// The file extensions that nuget.org allows in a symbol package, case-sensitive.
const SYMBOL_FILES: [&str; 6] = ["pdb", "nuspec", "xml", "psmdcp", "rels", "p7s"];

/// The parts of an archive that nuget.org checks.
#[derive(Debug)]
struct Archive {
    manifest: String,
    files: Vec<String>,
}

impl Archive {
    fn open(package: &[u8]) -> Option<Archive> {
        let mut archive = ZipArchive::new(Cursor::new(package)).ok()?;
        let files: Vec<String> = archive.file_names().flatten().map(|name| name.into_owned()).collect();
        let name = files.iter().find(|name| !name.contains('/') && name.ends_with(".nuspec"))?;
        let mut text = String::new();
        archive.by_name(name).ok()?.read_to_string(&mut text).ok()?;
        Some(Archive { manifest: text.trim_start_matches('\u{feff}').to_owned(), files })
    }
}

/// The fields of a manifest that nuget.org checks.
#[derive(Debug)]
struct Manifest {
    identity: Identity,
    types: Vec<String>,
    /// The fields among `Authors` and `Owners` that have a value.
    people: Vec<&'static str>,
}

impl Manifest {
    /// The error is nuget.org's message; `unreadable` is its message for a manifest that is not XML.
    fn parse(text: &str, unreadable: &str) -> Result<Manifest, String> {
        let document = roxmltree::Document::parse(text).map_err(|_| unreadable.to_owned())?;
        // The manifest has one of several XML namespaces.
        let elements = |name: &'static str| {
            document.descendants().filter(move |node| node.is_element() && node.tag_name().name() == name)
        };
        let field = |name: &'static str| {
            let text = elements(name).next().and_then(|node| node.text()).map(str::trim);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let invalid = |problem: &str| {
            format!(
                "The NuGet package contains an invalid .nuspec file. The error encountered was: '{problem}'. Correct \
                 the error and try again."
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
        let types = elements("packageType").filter_map(|node| node.attribute("name")).map(str::to_owned).collect();
        let people = [("authors", "Authors"), ("owners", "Owners")];
        let people = people.into_iter().filter(|(name, _)| field(name).is_some()).map(|(_, label)| label).collect();
        Ok(Manifest { identity: Identity { id, version }, types, people })
    }

    /// nuget.org's `IsSymbolsPackage`: the type of symbol packages, and no other.
    fn is_symbols(&self) -> bool {
        self.types.len() == 1 && self.types[0].eq_ignore_ascii_case(SYMBOLS_TYPE)
    }
}

/// Reads the manifest of a package. The error is nuget.org's message.
pub fn read(package: &[u8]) -> Result<Identity, String> {
    let archive = Archive::open(package).ok_or(UNREADABLE)?;
    let manifest = Manifest::parse(&archive.manifest, UNREADABLE)?;
    if manifest.is_symbols() { Err(SYMBOLS_NOT_ALLOWED.to_owned()) } else { Ok(manifest.identity) }
}

/// A symbol package (`.snupkg`) with a readable manifest.
#[derive(Debug)]
pub struct Symbols {
    manifest: Manifest,
    files: Vec<String>,
}

impl Symbols {
    /// Reads the manifest of a symbol package. The error is nuget.org's message.
    pub fn read(package: &[u8]) -> Result<Symbols, String> {
        let invalid = |problem: &str| {
            format!(
                "The NuGet package is invalid. The error encountered was:'{problem}'. Correct the error and try again."
            )
        };
        let archive = Archive::open(package);
        let archive = archive.ok_or_else(|| invalid("End of Central Directory record could not be found."))?;
        let manifest = Manifest::parse(&archive.manifest, &invalid("Failed to read the manifest."))?;
        Ok(Symbols { manifest, files: archive.files })
    }

    /// The ID and version of the package that the symbols belong to.
    pub fn identity(&self) -> &Identity {
        &self.manifest.identity
    }

    /// nuget.org's other checks of a symbol package (NuGet/NuGetGallery, `SymbolPackageService.cs`).
    pub fn validate(&self) -> Result<(), String> {
        if !self.manifest.is_symbols() {
            return Err("The uploaded package is not a valid symbols package. The required 'SymbolsPackage' package \
                        type is missing."
                .to_owned());
        }
        if !self.manifest.people.is_empty() {
            let fields = self.manifest.people.join(",");
            return Err(format!(
                "Invalid metadata items specified in nuspec. Please remove '{fields}' from the nuspec."
            ));
        }
        let mut extensions = self.files.iter().filter_map(|file| {
            let (_, extension) = file.rsplit('/').next()?.rsplit_once('.')?;
            Some(extension).filter(|extension| !extension.is_empty())
        });
        if extensions.clone().any(|extension| !SYMBOL_FILES.contains(&extension)) {
            return Err(
                "Invalid file found in the uploaded package. Symbols packages should only contain '.pdb' files."
                    .to_owned(),
            );
        }
        if !extensions.any(|extension| extension == "pdb") {
            return Err("The package does not contain any symbol (.pdb) files.".to_owned());
        }
        Ok(())
    }
}

/// A minimal valid package.
pub fn build(id: &str, version: &str) -> Vec<u8> {
    let metadata = "<authors>contoso</authors>\n    <description>A package to test a push.</description>";
    archive(id, version, metadata, &[("README.md", "A package to test a push.\n")])
}

/// A minimal valid symbol package.
pub fn build_symbols(id: &str, version: &str) -> Vec<u8> {
    let metadata = "<description>Symbols to test a push.</description>\n    \
                    <packageTypes><packageType name=\"SymbolsPackage\" /></packageTypes>";
    // A portable PDB begins with these four bytes.
    archive(id, version, metadata, &[(&format!("lib/net8.0/{id}.pdb"), "BSJB")])
}

/// An archive with the manifest, the files that a package must have, and `files`.
pub fn archive(id: &str, version: &str, metadata: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let manifest = format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd">
  <metadata>
    <id>{id}</id>
    <version>{version}</version>
    {metadata}
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
  <Default Extension="pdb" ContentType="application/octet" />
</Types>
"#;
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let nuspec = format!("{id}.nuspec");
    let required = [("_rels/.rels", &*relationships), (&*nuspec, &*manifest), ("[Content_Types].xml", content_types)];
    for (name, content) in required.iter().chain(files) {
        archive.start_file(*name, SimpleFileOptions::default()).expect("memory is always writable");
        archive.write_all(content.as_bytes()).expect("memory is always writable");
    }
    archive.finish().expect("memory is always writable").into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_package_can_be_read() {
        let identity = Identity { id: "my-sdk".to_owned(), version: "1.2.3-beta".to_owned() };
        assert_eq!(read(&build("my-sdk", "1.2.3-beta")).unwrap(), identity);
        let symbols = Symbols::read(&build_symbols("my-sdk", "1.2.3-beta")).unwrap();
        assert_eq!((symbols.identity(), symbols.validate()), (&identity, Ok(())));
    }

    #[test]
    fn a_body_that_is_not_a_package_is_rejected_with_nuget_orgs_message() {
        assert_eq!(read(b"PK but not really").unwrap_err(), UNREADABLE);
        assert!(read(&build("", "1.0.0")).unwrap_err().contains("missing a package ID"));
        assert!(read(&build("a b", "1.0.0")).unwrap_err().contains("invalid ID: 'a b'"));
        assert!(read(&build("a", "latest")).unwrap_err().contains("invalid Version: 'latest'"));
    }
}

//! Container images as `docker save` writes them, in the old layout (`manifest.json`) and in that
//! of OCI (`index.json` and blobs); and a plain archive of a file system (`docker export`).

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tar::{Archive, EntryType};

use super::layer::{self, Programs, Rationed};
use super::{Carried, Error, LIMITS, Options, choose};

/// Reads what the program of an image carries.
pub(super) fn read(file: &mut File, path: &str, options: &Options) -> Result<Carried, Error> {
    let mut programs = programs(file).map_err(|cause| Error::Image {
        path: path.to_owned(),
        // The names in it are anybody's.
        cause: cause.replace(char::is_control, "\u{fffd}"),
    })?;
    if programs.is_empty() {
        return Err(Error::NothingInImage {
            path: path.to_owned(),
        });
    }
    let files: Vec<String> = programs.keys().cloned().collect();
    if let Some(wanted) = &options.path {
        programs.retain(|file, _| file.trim_start_matches('/') == wanted.trim_start_matches('/'));
    }
    match (programs.pop_first(), programs.is_empty(), &options.path) {
        (Some((file, found)), true, _) => {
            let shown = format!("{path}:{file}");
            let sets = found.map_err(|damage| Error::Damaged {
                path: shown.clone(),
                damage,
            })?;
            let mut carried = choose(sets, &shown, options)?;
            carried.file = Some(file);
            Ok(carried)
        }
        (None, _, Some(wanted)) => Err(Error::NoFile {
            path: path.to_owned(),
            wanted: wanted.clone(),
            files,
        }),
        _ => Err(Error::Files {
            path: path.to_owned(),
            files,
        }),
    }
}

/// The programs in the file system of the image, after all its layers.
fn programs(file: &mut File) -> Result<Programs, String> {
    let mut archive = Contents::list(file).map_err(|error| error.to_string())?;
    let mut programs = Programs::new();
    match layers(&mut archive)? {
        Some(layers) => {
            for layer in layers {
                layer::apply(archive.open(&layer)?, &mut programs)?;
            }
        }
        None => layer::apply(&mut *archive.file, &mut programs)?,
    }
    Ok(programs)
}

/// The names of an image's layers, the lowest first; nothing where the archive is no image.
fn layers(archive: &mut Contents) -> Result<Option<Vec<String>>, String> {
    if archive.has("manifest.json") {
        let images: Vec<Saved> = archive.json("manifest.json")?;
        let names = images.iter().map(Saved::name).collect();
        return only(images, names).map(|image| Some(image.layers));
    }
    if !archive.has("index.json") {
        return Ok(None);
    }
    let mut images = Vec::new();
    let mut names = Vec::new();
    let mut todo = archive.json::<Index>("index.json")?.manifests;
    let mut seen = HashSet::new();
    while let Some(entry) = todo.pop() {
        let blob = entry.blob();
        // Only some platforms of an image may have been saved; signatures are no images.
        if entry.is_attestation() || !archive.has(&blob) || !seen.insert(blob.clone()) {
            continue;
        }
        let manifest: Manifest = archive.json(&blob)?;
        if manifest.layers.is_empty() {
            todo.extend(manifest.manifests);
            continue;
        }
        names.push(entry.name());
        images.push(manifest.layers.iter().map(Descriptor::blob).collect());
    }
    only(images, names).map(Some)
}

fn only<T>(mut images: Vec<T>, names: Vec<String>) -> Result<T, String> {
    match (images.pop(), images.is_empty()) {
        (Some(image), true) => Ok(image),
        (None, _) => Err("it names no image".into()),
        _ => Err(format!(
            "it holds several images, {}; save one of them alone",
            names.join(", ")
        )),
    }
}

/// An image in `manifest.json`.
#[derive(Deserialize)]
struct Saved {
    #[serde(rename = "RepoTags")]
    tags: Option<Vec<String>>,
    #[serde(rename = "Layers", default)]
    layers: Vec<String>,
}

impl Saved {
    fn name(&self) -> String {
        let tag = self.tags.as_ref().and_then(|tags| tags.first());
        tag.map_or("one without a name".into(), |tag| format!("`{tag}`"))
    }
}

/// `index.json`.
#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

/// What a blob in the layout of OCI says: an image has layers, a list of platforms has manifests.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

/// What names a blob.
#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    #[serde(default)]
    annotations: HashMap<String, String>,
}

impl Descriptor {
    fn blob(&self) -> String {
        format!("blobs/{}", self.digest.replacen(':', "/", 1))
    }

    fn is_attestation(&self) -> bool {
        self.annotations.contains_key("vnd.docker.reference.type")
    }

    fn name(&self) -> String {
        let name = self.annotations.get("org.opencontainers.image.ref.name");
        format!("`{}`", name.unwrap_or(&self.digest))
    }
}

/// Where each file of an archive lies, so that a layer is read where it is.
struct Contents<'f> {
    file: &'f mut File,
    files: HashMap<String, (u64, u64)>,
    /// Layers that are there twice are links in what old releases of Docker write.
    links: HashMap<String, String>,
}

impl<'f> Contents<'f> {
    fn list(file: &'f mut File) -> io::Result<Contents<'f>> {
        let mut files = HashMap::new();
        let mut links = HashMap::new();
        let (rationed, left) = Rationed::new(&mut *file);
        for entry in Archive::new(rationed).entries_with_seek()? {
            let entry = entry?;
            left.set(LIMITS.header);
            let name = plain(&entry.path()?.to_string_lossy());
            match entry.header().entry_type() {
                EntryType::Symlink | EntryType::Link => {
                    let target = entry.link_name()?.unwrap_or_default();
                    let target = target.to_string_lossy();
                    links.insert(name, plain(target.trim_start_matches("../")));
                }
                _ => {
                    files.insert(name, (entry.raw_file_position(), entry.size()));
                }
            }
        }
        file.rewind()?;
        Ok(Contents { file, files, links })
    }

    fn has(&self, name: &str) -> bool {
        self.place(name).is_some()
    }

    fn place(&self, name: &str) -> Option<(u64, u64)> {
        let name = plain(name);
        let name = self.links.get(&name).unwrap_or(&name);
        self.files.get(name).copied()
    }

    fn open(&mut self, name: &str) -> Result<impl Read, String> {
        let (at, size) = self
            .place(name)
            .ok_or_else(|| format!("it names `{name}`, which is not in it"))?;
        let sought = self.file.seek(SeekFrom::Start(at));
        sought.map_err(|error| error.to_string())?;
        Ok((&mut *self.file).take(size))
    }

    fn json<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, String> {
        let text = self.open(name)?.take(LIMITS.description);
        serde_json::from_reader(io::BufReader::new(text))
            .map_err(|error| format!("`{name}` in it: {error}"))
    }
}

/// A name without `./` before it.
fn plain(name: &str) -> String {
    name.trim_start_matches("./")
        .trim_start_matches('/')
        .to_owned()
}

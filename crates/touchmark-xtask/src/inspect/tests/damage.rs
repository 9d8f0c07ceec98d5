//! Programs that are not what they say.

use std::io::Cursor;
use std::sync::LazyLock;

use proptest::prelude::*;
use touchmark_core::checksum::{chain, leaf};
use touchmark_core::encoded::{DecodeError, Encoded};
use touchmark_core::{Checksum, Kind, PlaceholderKind};

use super::*;
use crate::inspect::program::{Found, carried as carried_by};
use crate::inspect::{Damage, LIMITS, section::sets};

fn of(program: &[u8]) -> Result<Found, Damage> {
    carried_by(Cursor::new(program), LIMITS.program)
}

#[track_caller]
fn check(section: &[u8], expected: Damage) {
    assert_eq!(sets(section).unwrap_err(), expected);
    assert_eq!(of(&elf(section)).unwrap_err(), expected);
}

/// Makes the digest good again, as a forger does.
fn sealed(mut set: Vec<u8>) -> Vec<u8> {
    let digest = blake3::derive_key("touchmark v1 set", &set[64..]);
    set[32..64].copy_from_slice(&digest);
    set.extend(stamp("app").encode());
    set
}

fn position(bytes: &[u8], of: &[u8]) -> usize {
    bytes
        .windows(of.len())
        .position(|window| window == of)
        .unwrap()
}

#[test]
fn truncated() {
    let good = section("app", &FILES);
    let end = set(&FILES).len();
    for there in 1..good.len() {
        let damage = sets(&good[..there]).unwrap_err();
        let Damage::Decode(cause) = damage else {
            panic!("{there}: {damage:?}")
        };
        let is_expected = match there {
            0..16 => cause == DecodeError::NotASet,
            _ if there < end => matches!(cause, DecodeError::Truncated { .. }),
            _ if there < end + 16 => cause == DecodeError::NoStamp,
            _ => cause == DecodeError::StampDamaged,
        };
        assert!(is_expected, "{there}: {cause:?}");
    }
}

#[test]
fn forged() {
    let good = set(&FILES);
    let text = position(&good, b"TABLE b");
    let mut edited = good.clone();
    edited[text + 6] = b'c';
    let mut unsealed = edited.clone();
    unsealed.extend(stamp("app").encode());
    check(&unsealed, Damage::Digest);
    check(&sealed(edited.clone()), Damage::Leaf("V2__b".into()));

    // With a new leaf, the chain does not follow; with a new chain, the head.
    let second = 112 + 80;
    let new = leaf(Kind::Versioned, 2, "b", "CREATE TABLE c (id int);\n");
    edited[second + 16..second + 48].copy_from_slice(&new.0);
    check(&sealed(edited.clone()), Damage::Chain("V2__b".into()));
    let first = Encoded::open(&good).unwrap().get(0).unwrap().chain;
    edited[second + 48..second + 80].copy_from_slice(&chain(first, new).0);
    check(&sealed(edited), Damage::Head);

    let mut headless = good;
    headless[64..96].copy_from_slice(&Checksum::EMPTY.0);
    check(&sealed(headless), Damage::Head);
}

#[test]
fn names_that_write_on_the_terminal() {
    let mut named = set(&FILES);
    let escape = stamp("\x1b[2J").encode();
    named.extend(&escape);
    check(&named, Damage::Names);
    let mut named = set(&FILES);
    let name = position(&named, b"\x01b");
    named[name + 1] = 0x1b;
    check(&sealed(named), Damage::Names);
}

#[test]
fn placeholders_are_carried() {
    let carried = |default: &str| {
        let placeholder = Placeholder {
            name: "days".into(),
            kind: PlaceholderKind::Literal,
            default: Some(default.into()),
        };
        let mut section = set_with(&FILES, vec![placeholder.clone()]);
        section.extend(stamp("app").encode());
        (section, placeholder)
    };
    let (section, placeholder) = carried("7");
    let sets = sets(&section).unwrap();
    assert_eq!(sets[0].set.placeholders, [placeholder]);
    check(&carried("\x1b[2J").0, Damage::Names);
}

#[test]
fn something_else_behind_it() {
    let mut section = section("app", &FILES);
    section.extend(b"\0\0more");
    check(&section, Damage::Decode(DecodeError::NotASet));
    let mut newer = set(&FILES);
    newer[16] = 2;
    check(&newer, Damage::Decode(DecodeError::Format(2)));
}

#[test]
fn cut_off_programs() {
    let program = elf(&section("app", &FILES));
    for there in (4..program.len()).step_by(37) {
        assert!(of(&program[..there]).is_err(), "{there}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_bytes_make_the_reader_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        static SET: LazyLock<Vec<u8>> = LazyLock::new(|| set(&FILES));
        let good = [SET.clone(), stamp("app").encode()].concat();
        for program in [good.clone(), elf(&good), [b"\x7fELF\x02\x01\x01".to_vec(), noise].concat()] {
            let mut bytes = program;
            for (at, value) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
            let _ = (sets(&bytes), of(&bytes));
            let there = &bytes[..cut.index(bytes.len())];
            let _ = (sets(there), of(there));
        }
        // And with the digest made good again, so that all of it is read.
        let mut set = SET.clone();
        for (at, value) in &changes {
            let at = 64 + at.index(set.len() - 64);
            set[at] = *value;
        }
        let _ = sets(&sealed(set));
    }
}

/// A section that says it is large, in a file that is, because it has a hole.
#[test]
fn a_section_that_fills_no_memory() {
    let section = section("shop", &FILES);
    let mut program = elf(&section);
    let size = section.len() as u64;
    let at = program
        .windows(8)
        .rposition(|bytes| bytes == size.to_le_bytes());
    let huge: u64 = 1 << 40;
    program[at.unwrap()..][..8].copy_from_slice(&huge.to_le_bytes());
    let file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut &file, &program).unwrap();
    let limit = LIMITS.program;
    // As long as it says, and much shorter than that.
    file.set_len(huge + program.len() as u64).unwrap();
    assert_eq!(
        carried_by(&file, limit).unwrap_err(),
        Damage::TooLarge { limit }
    );
    let text = Damage::TooLarge { limit }.to_string();
    assert_eq!(
        text,
        "says that it holds more than 512 MiB of tables and migrations, and no more is read of it"
    );
    file.set_len(program.len() as u64).unwrap();
    assert!(matches!(carried_by(&file, limit), Err(Damage::Program(_))));
}

/// A file with debug information may be larger than what is held of it.
#[test]
fn a_large_program_that_carries_little() {
    let mut program = elf(&section("shop", &FILES));
    program.resize(program.len() + (1 << 20), 0);
    assert!(matches!(
        carried_by(Cursor::new(program), 1 << 18),
        Ok(Found::Sets(_))
    ));
}

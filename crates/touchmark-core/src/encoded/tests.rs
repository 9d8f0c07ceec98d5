use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    Adaptation, Checksum, Directives, Hole, Isolation, Kind, Migration, MigrationSet, Placeholder,
    PlaceholderKind, Reindexed, Script, ServerObject, Statement, StatementKind,
};

fn script(sql: &str, directives: Directives, kinds: &[StatementKind]) -> Script {
    let mut at = 0;
    let statements: Vec<_> = kinds
        .iter()
        .map(|kind| {
            let statement = Statement {
                start: at,
                end: at + 1,
                kind: kind.clone(),
                semantic: Checksum([at as u8 + 1; 32]),
            };
            at += 2;
            statement
        })
        .collect();
    Script {
        sql: sql.into(),
        spans: statements.iter().map(|s| (s.start..s.end).into()).collect(),
        directives,
        statements,
        holes: Vec::new(),
        adaptation: None,
    }
}

fn set() -> MigrationSet {
    let kinds = [
        StatementKind::Transactional,
        StatementKind::CreateIndexConcurrently {
            schema: Some("s".into()),
            table: "t".into(),
            index: "i".into(),
            if_not_exists: true,
        },
        StatementKind::DropIndexConcurrently {
            schema: None,
            index: "i".into(),
        },
        StatementKind::Rerunnable,
        StatementKind::Opaque,
        StatementKind::Committing,
        StatementKind::Vacuum,
        StatementKind::ReindexConcurrently(Reindexed::Index {
            schema: Some("s".into()),
            name: "i".into(),
        }),
        StatementKind::ReindexConcurrently(Reindexed::Table {
            schema: None,
            name: "t".into(),
        }),
        StatementKind::ReindexConcurrently(Reindexed::Schema("s".into())),
        StatementKind::ReindexConcurrently(Reindexed::Database),
        StatementKind::DetachConcurrently {
            schema: None,
            table: "t".into(),
            partition_schema: Some("s".into()),
            partition: "p".into(),
        },
        StatementKind::Create(ServerObject::Database, "d".into()),
        StatementKind::Drop(ServerObject::Tablespace, "d".into()),
        StatementKind::Drop(ServerObject::Subscription, "d".into()),
    ];
    let directives = Directives {
        no_transaction: true,
        unparsed: true,
        lock_timeout: Some(Duration::from_millis(1500)),
        statement_timeout: Some(Duration::from_secs(3600)),
        irreversible: Some("because".into()),
        compatible_with_previous: true,
    };
    let migration = |kind, version, digits, name: &str, up, down| Migration {
        kind,
        version,
        digits,
        name: name.into(),
        up,
        down,
        leaf: Checksum([(version as u8).wrapping_add(7); 32]),
        chain: Checksum([(version as u8).wrapping_add(9); 32]),
        refinery: vec![1, u64::MAX],
    };
    let plain = || Directives::default();
    let hole = |start, end, placeholder| Hole {
        start,
        end,
        placeholder,
    };
    let placeholder = |name: &str, kind, default: Option<&str>| Placeholder {
        name: name.into(),
        kind,
        default: default.map(Into::into),
    };
    MigrationSet {
        directory: "db/migrations".into(),
        placeholders: vec![
            placeholder("a", PlaceholderKind::Literal, Some("it's")),
            placeholder("bb", PlaceholderKind::Identifier, None),
        ],
        migrations: vec![
            migration(
                Kind::Versioned,
                1,
                3,
                "first",
                Script {
                    holes: vec![hole(0, 4, 1), hole(7, 12, 0)],
                    ..script("${a} é${bb};", plain(), &[])
                },
                Some(script("", plain(), &[])),
            ),
            migration(
                Kind::OutOfOrder,
                i64::MAX,
                19,
                "last",
                script("a;b;c;d;e;f;g;h;i;j;k;l;m;n;o;", directives, &kinds),
                None,
            ),
            migration(
                Kind::Repeatable,
                0,
                0,
                "views",
                script("x", plain(), &[]),
                None,
            ),
        ],
    }
}

#[test]
fn what_is_encoded_is_decoded() {
    let set = set();
    let home = Home {
        schema: Some("s s".into()),
        history: History {
            schema: "s\"".into(),
            table: "it's".into(),
        },
    };
    let bytes = encode(&set, &home);
    assert_eq!(bytes, encode(&set, &home));
    let mut longer = bytes.clone();
    longer.extend_from_slice(b"the rest of a section");
    let opened = Encoded::open(&longer).unwrap();
    assert!(opened.is_intact());
    assert_eq!(opened.head(), set.head());
    assert_eq!(opened.last_version(), i64::MAX);
    assert_eq!(opened.names().unwrap(), ("db/migrations", home));
    assert_eq!(opened.placeholders().unwrap(), set.placeholders);
    let decoded = opened.migrations().unwrap();
    assert_eq!(decoded.len(), set.migrations.len());
    for (decoded, migration) in decoded.iter().zip(&set.migrations) {
        assert_eq!(decoded.to_string(), migration.to_string());
        assert_eq!(decoded.digits, migration.digits);
        assert_eq!(decoded.leaf, migration.leaf);
        assert_eq!(decoded.chain, migration.chain);
        assert_eq!(decoded.refinery, migration.refinery);
        assert_eq!(decoded.up.sql, migration.up.sql);
        assert_eq!(decoded.up.directives, migration.up.directives);
        assert_eq!(decoded.up.holes, migration.up.holes);
        assert_eq!(decoded.up.spans, migration.up.spans);
        assert_eq!(decoded.up.statements, migration.up.statements);
        assert_eq!(decoded.down.is_some(), migration.down.is_some());
    }
    assert_eq!(decoded[0].file_name(), "V001__first.sql");
    assert_eq!(decoded[2].file_name(), "R__views.sql");
}

#[test]
fn other_bytes_are_refused() {
    let bytes = encode(&set(), &Home::default());
    assert_eq!(Encoded::open(b"").unwrap_err(), DecodeError::NotASet);
    assert_eq!(Encoded::open(&[0; 500]).unwrap_err(), DecodeError::NotASet);
    let mut newer = bytes.clone();
    newer[16] = 9;
    assert_eq!(Encoded::open(&newer).unwrap_err(), DecodeError::Format(9));
    for there in [16, 111, 112, bytes.len() - 1] {
        let error = Encoded::open(&bytes[..there]).unwrap_err();
        assert!(matches!(error, DecodeError::Truncated { there: t, .. } if t == there));
    }
    assert_eq!(
        Encoded::open(&bytes[..15]).unwrap_err(),
        DecodeError::NotASet
    );
}

fn read_all(bytes: &[u8]) {
    if let Ok(set) = Encoded::open(bytes) {
        let _ = (
            set.head(),
            set.digest(),
            set.is_intact(),
            set.last_version(),
        );
        let _ = (set.names(), set.placeholders(), set.migrations());
    }
}

fn stamp(commit: Option<&str>, state: BuildState) -> Stamp {
    Stamp {
        package: "app".into(),
        version: "1.2.3".into(),
        commit: commit.map(str::to_owned),
        state,
        touchmark: "0.1.0".into(),
    }
}

#[track_caller]
fn check_stamp(commit: Option<&str>, state: BuildState, shown: &str) {
    let stamp = stamp(commit, state);
    assert_eq!(stamp.to_string(), shown);
    let mut bytes = stamp.encode();
    let length = bytes.len();
    bytes.extend_from_slice(b"another set");
    assert_eq!(Stamp::open(&bytes), Ok((stamp, length)));
}

#[test]
fn a_stamp_names_the_build() {
    let commit = "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334";
    check_stamp(Some(commit), BuildState::Clean, "app 1.2.3 (a1b2c3d4e5f6)");
    check_stamp(
        Some(commit),
        BuildState::Dirty,
        "app 1.2.3 (a1b2c3d4e5f6, dirty)",
    );
    check_stamp(
        Some(commit),
        BuildState::Debug,
        "app 1.2.3 (a1b2c3d4e5f6, debug build)",
    );
    check_stamp(
        Some("v1.2-3-ga1b2c3d"),
        BuildState::Unknown,
        "app 1.2.3 (v1.2-3-ga1b2c3d)",
    );
    check_stamp(None, BuildState::Unknown, "app 1.2.3");
}

#[test]
fn another_stamp_is_refused() {
    let bytes = stamp(None, BuildState::Clean).encode();
    assert_eq!(Stamp::open(b""), Err(DecodeError::NoStamp));
    assert_eq!(Stamp::open(&[0; 100]), Err(DecodeError::NoStamp));
    for cut in 16..bytes.len() {
        assert_eq!(Stamp::open(&bytes[..cut]), Err(DecodeError::StampDamaged));
    }
    let mut forged = bytes.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(Stamp::open(&forged), Err(DecodeError::StampDamaged));
    let mut newer = bytes;
    newer[16] = 2;
    assert_eq!(Stamp::open(&newer), Err(DecodeError::StampFormat(2)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_change_of_a_stamp_is_survived_and_found(
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let good = stamp(Some("a1b2c3"), BuildState::Dirty).encode();
        let mut bytes = good.clone();
        let at = at.index(bytes.len());
        bytes[at] = value;
        prop_assert_eq!(Stamp::open(&bytes).is_ok(), bytes == good);
        let _ = Stamp::open(&bytes[..cut.index(bytes.len())]);
        // And with the checksum made good again, so that the texts are read.
        let (content, checksum) = bytes.split_last_chunk_mut::<32>().unwrap();
        *checksum = blake3::derive_key(layout::STAMP_CONTEXT, content);
        let _ = Stamp::open(&bytes);
    }

    #[test]
    fn any_change_of_bytes_is_survived(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = encode(&set(), &Home::default());
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        read_all(&bytes);
        read_all(&bytes[..cut.index(bytes.len())]);
        // And with the magic number and the format left alone.
        let good = encode(&set(), &Home::default());
        bytes[..20].copy_from_slice(&good[..20]);
        read_all(&bytes);
    }
}

#[test]
fn what_is_skipped_is_decoded_as_blanks() {
    let sql = "BEGIN;\na é;\nb;\nCOMMIT;";
    let statement = |text: &str| {
        let start = sql.find(text).unwrap();
        Statement {
            start,
            end: start + text.len(),
            kind: StatementKind::Transactional,
            semantic: Checksum::EMPTY,
        }
    };
    let adaptation = Adaptation {
        statements: vec![statement("a é"), statement("b")],
        no_transaction: false,
        skipped: vec![0..5, 16..22],
        isolation: Some(Isolation::Serializable),
    };
    let mut set = set();
    set.migrations.truncate(1);
    set.migrations[0].up = Script {
        adaptation: Some(adaptation.clone()),
        ..script(sql, Directives::default(), &[StatementKind::Opaque])
    };
    let bytes = encode(&set, &Home::default());
    let up = Encoded::open(&bytes).unwrap().get(0).unwrap().up;
    assert_eq!(up.sql, sql);
    assert_eq!(up.executed(), "     ;\na é;\nb;\n      ;");
    let ranges = adaptation.statements.iter().map(|s| s.start..s.end);
    assert!(up.spans.iter().map(|span| span.range()).eq(ranges));
    assert_eq!((up.is_adapted, up.isolation), (true, adaptation.isolation));
    assert!(!up.directives.no_transaction);
    assert_eq!(up.written(9), 9);
}

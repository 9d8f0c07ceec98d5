//! Ingestion requests over HTTP.

use serde_json::{Value, json};

use crate::running::{Service, agent};
use crate::{connect, count, database};

const PATH: &str = "/ingestion-requests";

#[test]
fn migrates_and_serves() {
    let url = database();
    let service = Service::start(&url);
    assert_eq!(service.get("/healthz"), (200, json!({ "status": "alive" })));
    assert_eq!(service.get("/readyz"), (200, json!({ "status": "ready" })));
    let log = service.process.log();
    assert!(log.contains("applied V2__users_and_documents"), "{log}");
    assert_eq!(
        count(&url, "SELECT count(*) FROM ingestion_service.documents"),
        0
    );
}

#[test]
fn what_is_created_is_found() {
    let url = database();
    let service = Service::start(&url);
    let body = r#"{"source_type": "s3", "ingestion_metadata": {"n": 12345678901234567890.10, "a": "ü\u0000"}}"#;
    let (status, created) = service.post(PATH, body);
    assert_eq!(status, 201, "{created}");
    assert_eq!(created["source_type"], "s3");
    assert_eq!(created["status"], "pending");
    let written = created["created_at"].as_str().unwrap();
    assert!(written.ends_with('Z'), "{written}");
    let id = created["ingestion_id"].as_str().unwrap();
    assert_eq!(service.get(&format!("{PATH}/{id}")), (200, created.clone()));

    // In UTC whatever the session's zone, and the metadata as it was written.
    let row = connect(&url)
        .query_one(
            "SELECT abs(extract(epoch FROM now() AT TIME ZONE 'UTC' - created_at)) < 60,
                    ingestion_metadata::text
             FROM ingestion_service.ingestion_requests",
            &[],
        )
        .unwrap();
    assert!(row.get::<_, bool>(0));
    assert_eq!(
        row.get::<_, String>(1),
        r#"{"n": 12345678901234567890.10, "a": "ü\u0000"}"#
    );
    let view = "SELECT requests FROM ingestion_service.ingestion_summary WHERE source_type = 's3'";
    assert_eq!(count(&url, view), 1);
}

#[test]
fn the_location_leads_to_it() {
    let service = Service::start(&database());
    let answer = agent()
        .post(format!("{}{PATH}", service.root))
        .content_type("application/json")
        .send(r#"{"source_type":"upload"}"#)
        .unwrap();
    let location = answer.headers()["location"].to_str().unwrap();
    let (status, found) = service.get(location);
    assert_eq!(status, 200);
    assert_eq!(found["source_type"], "upload");
    assert_eq!(found["ingestion_metadata"], Value::Null);
}

#[test]
fn lists_page_by_page() {
    let url = database();
    let service = Service::start(&url);
    for number in 0..5 {
        let body = json!({ "source_type": format!("source {number}") }).to_string();
        assert_eq!(service.post(PATH, &body).0, 201);
    }
    connect(&url)
        .batch_execute(
            "UPDATE ingestion_service.ingestion_requests SET status = 'done' WHERE source_type = 'source 3'",
        )
        .unwrap();
    let names = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap().iter();
        items
            .map(|item| item["source_type"].as_str().unwrap().into())
            .collect()
    };

    let (_, first) = service.get(&format!("{PATH}?limit=3"));
    assert_eq!(names(&first), ["source 0", "source 1", "source 2"]);
    let next = first["next"].as_str().unwrap();
    let (_, second) = service.get(&format!("{PATH}?limit=3&after={next}"));
    assert_eq!(names(&second), ["source 3", "source 4"]);
    assert_eq!(second["next"], Value::Null);

    let (_, done) = service.get(&format!("{PATH}?status=done"));
    assert_eq!(names(&done), ["source 3"]);
    let (_, pending) = service.get(&format!("{PATH}?status=pending&limit=4"));
    assert_eq!(
        names(&pending),
        ["source 0", "source 1", "source 2", "source 4"]
    );
    assert_eq!(pending["next"], Value::Null);
    let (_, none) = service.get(&format!("{PATH}?status=lost"));
    assert_eq!(none, json!({ "items": [], "next": null }));
}

#[test]
fn bad_input_is_refused_and_explained() {
    let url = database();
    let service = Service::start(&url);
    #[track_caller]
    fn check((status, body): (u16, Value), expected: u16, says: &str) {
        assert_eq!(status, expected, "{body}");
        let message = body["error"].as_str().unwrap();
        assert!(message.contains(says), "{message}");
    }
    let post = |body: &str| service.post(PATH, body);
    let get = |query: &str| service.get(&format!("{PATH}{query}"));

    check(post(""), 400, "EOF");
    check(post("{"), 400, "EOF");
    check(post("[]"), 422, "invalid length 0");
    check(post("{}"), 422, "missing field `source_type`");
    check(post(r#"{"source_type":7}"#), 422, "expected a string");
    check(
        post(r#"{"source_type":" "}"#),
        422,
        "source_type must not be empty",
    );
    check(
        post(r#"{"source_type":"a\u0000b"}"#),
        422,
        "control characters",
    );
    check(
        post(r#"{"source_type":"s3","stauts":"x"}"#),
        422,
        "unknown field `stauts`",
    );
    check(
        post(r#"{"source_type":"s3","ingestion_metadata":[1]}"#),
        422,
        "ingestion_metadata must be an object",
    );
    let long = json!({ "source_type": "ü".repeat(101) }).to_string();
    check(post(&long), 422, "longer than 100 characters");
    let large = json!({ "source_type": "s3", "ingestion_metadata": { "a": "x".repeat(300_000) } });
    check(post(&large.to_string()), 413, "length limit");
    let deep = format!(
        r#"{{"source_type":"s3","ingestion_metadata":{{"a":{}{}}}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    check(post(&deep), 422, "stack depth limit");

    check(get("/seven"), 400, "UUID");
    check(
        get("/018f0000-0000-7000-8000-000000000000"),
        404,
        "there is no ingestion request 018f0000-0000-7000-8000-000000000000",
    );
    check(get("?limit=0"), 422, "limit must be between 1 and 200");
    check(get("?limit=many"), 400, "limit");
    check(get("?after=seven"), 400, "after");
    check(get("?status="), 422, "status must not be empty");
    check(get("?status=a%00b"), 422, "control characters");
    check(get("?order=up"), 400, "unknown field `order`");
    check(service.get("/nowhere"), 404, "nothing here");
    check(service.post("/healthz", "{}"), 405, "method");
    let answer = agent()
        .post(format!("{}{PATH}", service.root))
        .content_type("text/plain")
        .send("{}")
        .unwrap();
    assert_eq!(answer.status(), 415);

    let rows = "SELECT count(*) FROM ingestion_service.ingestion_requests";
    assert_eq!(count(&url, rows), 0);
    assert!(service.is_ready());
}

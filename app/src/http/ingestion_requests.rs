//! `/ingestion-requests`: create, read, list.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Problem, Service};
use crate::repository::{Filter, IngestionRequest};

/// The longest source type and status, in characters.
const LONGEST: usize = 100;
const DEFAULT_LIMIT: i64 = 50;
const LARGEST_LIMIT: i64 = 200;

/// The body of `POST /ingestion-requests`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRequest {
    source_type: String,
    /// Kept as it is written: the column is JSON, and numbers lose nothing on the way.
    #[serde(default)]
    ingestion_metadata: Option<Box<RawValue>>,
}

/// The query of `GET /ingestion-requests`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    status: Option<String>,
    limit: Option<i64>,
    after: Option<Uuid>,
}

/// The answer to `GET /ingestion-requests`.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    items: Vec<IngestionRequest>,
    /// What `after` is for the next page, where there is one.
    next: Option<Uuid>,
}

pub(super) async fn create(
    State(service): State<Service>,
    body: Result<Json<NewRequest>, JsonRejection>,
) -> Result<impl IntoResponse, Problem> {
    let Json(new) = body?;
    check_word("source_type", &new.source_type)?;
    let metadata = new.ingestion_metadata.as_deref();
    if metadata.is_some_and(|raw| !raw.get().starts_with('{')) {
        return Err(Problem::invalid("ingestion_metadata must be an object"));
    }
    let created = service.requests.create(&new.source_type, metadata).await?;
    let location = format!("/ingestion-requests/{}", created.ingestion_id);
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        Json(created),
    ))
}

pub(super) async fn find(
    State(service): State<Service>,
    id: Result<Path<Uuid>, PathRejection>,
) -> Result<Json<IngestionRequest>, Problem> {
    let Path(id) = id?;
    let missing = || {
        Problem::new(
            StatusCode::NOT_FOUND,
            format!("there is no ingestion request {id}"),
        )
    };
    let found = service.requests.find(id).await?;
    found.map(Json).ok_or_else(missing)
}

pub(super) async fn list(
    State(service): State<Service>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let Query(query) = query?;
    if let Some(status) = &query.status {
        check_word("status", status)?;
    }
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=LARGEST_LIMIT).contains(&limit) {
        return Err(Problem::invalid(format!(
            "limit must be between 1 and {LARGEST_LIMIT}"
        )));
    }
    let filter = Filter {
        status: query.status,
        after: query.after,
        // One more tells whether there is a next page.
        limit: limit + 1,
    };
    let mut items = service.requests.list(&filter).await?;
    let mut next = None;
    if items.len() as i64 > limit {
        items.pop();
        next = items.last().map(|request| request.ingestion_id);
    }
    Ok(Json(Page { items, next }))
}

fn check_word(field: &str, value: &str) -> Result<(), Problem> {
    if value.trim().is_empty() {
        return Err(Problem::invalid(format!("{field} must not be empty")));
    }
    if value.chars().count() > LONGEST {
        return Err(Problem::invalid(format!(
            "{field} must not be longer than {LONGEST} characters"
        )));
    }
    if value.chars().any(char::is_control) {
        return Err(Problem::invalid(format!(
            "{field} must not contain control characters"
        )));
    }
    Ok(())
}

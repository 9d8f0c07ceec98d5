//! The HTTP face: routes, and what is common to their answers.

mod ingestion_requests;
mod problem;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::readiness::Readiness;
use crate::repository::IngestionRequests;
use problem::Problem;

/// The largest body that is read, in bytes.
pub const LARGEST_BODY: usize = 256 * 1024;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the handlers work with.
#[derive(Debug, Clone)]
pub struct Service {
    /// The table.
    pub requests: IngestionRequests,
    /// Whether requests can be answered.
    pub readiness: Arc<Readiness>,
}

/// All routes.
pub fn router(service: Service) -> Router {
    use ingestion_requests::{create, find, list};
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/ingestion-requests", get(list).post(create))
        .route("/ingestion-requests/{id}", get(find))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is nothing here"))
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this method is not for this path",
            )
        })
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn(observe))
        .with_state(service)
}

/// The process is alive. Says nothing of the database, whose end must not restart every replica.
async fn healthz() -> Json<serde_json::Value> {
    Json(json!({ "status": "alive" }))
}

async fn readyz(State(service): State<Service>) -> Response {
    match service.readiness.check().await.reason() {
        None => Json(json!({ "status": "ready" })).into_response(),
        Some(reason) => {
            let body = json!({ "status": "not ready", "reason": reason });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

/// Bounds the time of an answer, and logs one line for it.
async fn observe(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    // Without the query, which is the caller's affair.
    let path = request.uri().path().to_owned();
    let response = match tokio::time::timeout(TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable("no answer in time").into_response(),
    };
    let (status, took) = (response.status().as_u16(), begun.elapsed().as_millis());
    match path.as_str() {
        // A probe every few seconds would hide the rest.
        "/healthz" | "/readyz" => tracing::debug!("{method} {path} {status} ({took} ms)"),
        _ => tracing::info!("{method} {path} {status} ({took} ms)"),
    }
    response
}

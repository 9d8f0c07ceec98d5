//! A service that runs, and an HTTP client for it.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;

use crate::Running;

/// `app serve`, listening.
pub struct Service {
    pub process: Running,
    pub root: String,
}

/// Status and body of an answer.
pub type Answer = (u16, Value);

impl Service {
    #[track_caller]
    pub fn start(url: &str) -> Service {
        Service::listening(Running::start(&["serve"], url))
    }

    /// Waits until the process listens.
    #[track_caller]
    pub fn listening(mut process: Running) -> Service {
        process.wait_for("listening on http://");
        let log = process.log();
        let (_, rest) = log.split_once("listening on ").unwrap();
        let root = rest.lines().next().unwrap().trim().to_owned();
        Service { process, root }
    }

    pub fn get(&self, path: &str) -> Answer {
        get(&self.root, path)
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        post(&self.root, path, body)
    }

    pub fn is_ready(&self) -> bool {
        self.get("/readyz").0 == 200
    }
}

pub fn get(root: &str, path: &str) -> Answer {
    let answer = agent().get(format!("{root}{path}")).call();
    read(answer.unwrap())
}

pub fn post(root: &str, path: &str, body: &str) -> Answer {
    let request = agent().post(format!("{root}{path}"));
    let answer = request.content_type("application/json").send(body);
    read(answer.unwrap())
}

/// Answers of every status are answers.
pub fn agent() -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build();
    config.into()
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> Answer {
    let text = answer.body_mut().read_to_string().unwrap();
    let body = serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"));
    (answer.status().as_u16(), body)
}

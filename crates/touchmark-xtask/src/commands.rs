//! A file per command.

pub(crate) mod completions;
pub(crate) mod db_current;
pub(crate) mod db_docs;
pub(crate) mod db_doctor;
pub(crate) mod db_down;
pub(crate) mod db_history;
pub(crate) mod db_hook;
pub(crate) mod db_inspect;
pub(crate) mod db_lock;
pub(crate) mod db_logs;
pub(crate) mod db_migrate;
pub(crate) mod db_new;
pub(crate) mod db_psql;
pub(crate) mod db_reset;
pub(crate) mod db_resolve;
pub(crate) mod db_rollback;
pub(crate) mod db_stamp;
pub(crate) mod db_status;
pub(crate) mod db_up;
pub(crate) mod db_verify;

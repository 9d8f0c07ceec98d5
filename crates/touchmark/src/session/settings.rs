//! What a session is set to while it holds the lock.
//!
//! A session whose client is gone must let the lock go within a minute: the server's own default
//! is two hours. `RESET ALL` takes the settings away, so whoever sends one sends [`settings`]
//! behind it. A server's Unix socket has no such settings and ignores them. Nor does a timeout of the
//! role cut off a record, which may wait for a lock of others, or be that of a large file.

use crate::lock::Scope;

/// Silence of 45 s ends the connection, and the server looks for its end each 5 s while a statement
/// runs. Servers before 14 do not know the last two; where the system can't tell, as on Windows,
/// the server refuses the first of these.
const SESSION: &str = "SELECT pg_catalog.set_config('standard_conforming_strings', 'on', false), \
     pg_catalog.set_config('tcp_keepalives_idle', '15', false), \
     pg_catalog.set_config('tcp_keepalives_interval', '10', false), \
     pg_catalog.set_config('tcp_keepalives_count', '3', false), \
     pg_catalog.set_config('tcp_user_timeout', '45s', false), \
     pg_catalog.set_config('statement_timeout', '0', false), \
     pg_catalog.set_config('idle_in_transaction_session_timeout', '0', false), \
     CASE WHEN pg_catalog.current_setting('client_connection_check_interval', true) IS NOT NULL \
     AND pg_catalog.version() LIKE '%linux%' \
     THEN pg_catalog.set_config('client_connection_check_interval', '5s', false) END, \
     CASE WHEN pg_catalog.current_setting('idle_session_timeout', true) IS NOT NULL \
     THEN pg_catalog.set_config('idle_session_timeout', '60s', false) END";

/// Sets a session, or the transaction that is open, in one statement.
pub(crate) const fn settings(scope: Scope) -> &'static str {
    match scope {
        Scope::Session => SESSION,
        Scope::Transaction => TRANSACTION,
    }
}

/// The client and the pooler have another connection, of which the server knows nothing. Between
/// two messages of one transaction the server waits for the run, whatever the role says; but not
/// for one that is gone.
const TRANSACTION: &str = "SELECT pg_catalog.set_config('standard_conforming_strings', 'on', true), \
     pg_catalog.set_config('statement_timeout', '0', true), \
     pg_catalog.set_config('idle_in_transaction_session_timeout', '60s', true)";

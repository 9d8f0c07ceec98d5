//! The hosts of a connection string, one by one: each is given its own time, and whether it is the
//! primary is seen after connecting.

use std::hash::{BuildHasher, RandomState};

use tokio_postgres::Config;
use tokio_postgres::config::LoadBalanceHosts;

/// A configuration for each host, in the order in which they are tried.
pub(crate) fn hosts(config: &Config) -> Vec<Config> {
    let (names, addresses) = (config.get_hosts().len(), config.get_hostaddrs().len());
    let count = names.max(addresses);
    let fits = |part: usize| part <= 1 || part == count;
    let all_fit =
        fits(config.get_ports().len()) && (names.min(addresses) == 0 || names == addresses);
    // The driver says what does not fit together.
    if count < 2 || !all_fit {
        return vec![config.clone()];
    }
    let mut hosts: Vec<_> = (0..count).map(|at| one_of(config, at)).collect();
    if config.get_load_balance_hosts() == LoadBalanceHosts::Random {
        let random = RandomState::new();
        let mut order: Vec<_> = hosts.into_iter().enumerate().collect();
        order.sort_by_key(|(at, _)| random.hash_one(at));
        hosts = order.into_iter().map(|(_, host)| host).collect();
    }
    hosts
}

/// The same for one of its hosts alone: the driver can't take one out.
fn one_of(config: &Config, at: usize) -> Config {
    let mut one = Config::new();
    if let Some(user) = config.get_user() {
        one.user(user);
    }
    if let Some(password) = config.get_password() {
        one.password(password);
    }
    if let Some(database) = config.get_dbname() {
        one.dbname(database);
    }
    if let Some(options) = config.get_options() {
        one.options(options);
    }
    if let Some(name) = config.get_application_name() {
        one.application_name(name);
    }
    if let Some(timeout) = config.get_connect_timeout() {
        one.connect_timeout(*timeout);
    }
    if let Some(timeout) = config.get_tcp_user_timeout() {
        one.tcp_user_timeout(*timeout);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        one.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        one.keepalives_retries(retries);
    }
    one.ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .target_session_attrs(config.get_target_session_attrs())
        .channel_binding(config.get_channel_binding())
        .load_balance_hosts(config.get_load_balance_hosts());
    match config.get_hosts().get(at) {
        Some(tokio_postgres::config::Host::Tcp(name)) => {
            one.host(name);
        }
        #[cfg(unix)]
        Some(tokio_postgres::config::Host::Unix(path)) => {
            one.host_path(path);
        }
        None => {}
    }
    if let Some(address) = config.get_hostaddrs().get(at) {
        one.hostaddr(*address);
    }
    let ports = config.get_ports();
    if let Some(port) = ports.get(at).or(ports.first()) {
        one.port(*port);
    }
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parsed(text: &str) -> Config {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    /// A setting that the driver learns is not lost: add it to `one_of`.
    #[test]
    fn one_host_keeps_every_setting() {
        let all = "user=u password=p dbname=d options=-cwork_mem=1MB application_name=a sslmode=require \
             sslnegotiation=direct connect_timeout=7 tcp_user_timeout=8 keepalives=0 keepalives_idle=9 \
             keepalives_interval=10 keepalives_retries=11 target_session_attrs=read-write \
             channel_binding=require load_balance_hosts=disable";
        for host in [
            "host=a",
            "host=/tmp",
            "hostaddr=127.0.0.1",
            "host=a hostaddr=127.0.0.1 port=3",
        ] {
            let config = parsed(&format!("{all} {host}"));
            assert_eq!(one_of(&config, 0), config);
        }
        assert_eq!(one_of(&Config::new(), 0), Config::new());
    }

    #[test]
    fn each_host_has_its_own_address_and_port() {
        let each = hosts(&parsed(
            "host=a,b hostaddr=127.0.0.1,127.0.0.2 port=1,2 user=u",
        ));
        assert_eq!(each[0], parsed("host=a hostaddr=127.0.0.1 port=1 user=u"));
        assert_eq!(each[1], parsed("host=b hostaddr=127.0.0.2 port=2 user=u"));
        assert_eq!(
            hosts(&parsed("host=a,b port=7"))[1],
            parsed("host=b port=7")
        );
        let random = hosts(&parsed("host=a,b,c load_balance_hosts=random"));
        assert_eq!(random.len(), 3);
        for wrong in ["host=a,b port=1,2,3", "host=a,b hostaddr=127.0.0.1"] {
            assert_eq!(hosts(&parsed(wrong)), [parsed(wrong)]);
        }
    }
}

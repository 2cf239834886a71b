//! Where a call comes from, when proxies stand between. What goes through: the address at the other end of the connection
//! and what `x-forwarded-for` says. Why a list: anybody can write that header, so it is believed only as far as those who
//! wrote it are known (setting `trusted_proxies`).

use std::{net::IpAddr, sync::Arc};

use http::Request;
use ipnet::IpNet;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};

/// The header in which a proxy says for whom it calls; each appends an address.
const FORWARDED_HEADER: &str = "x-forwarded-for";

/// Something that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no network: it looks like 10.0.0.0/8, fd00::/8, or one address like 192.0.2.7")]
pub struct InvalidNetwork(pub String);

/// The proxies whose word is taken for where a call comes from; nobody by default.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// Those in these networks, or at these addresses.
    ///
    /// # Errors
    /// One that is neither.
    pub fn new(networks: &[String]) -> Result<Self, InvalidNetwork> {
        let parsed = networks.iter().map(|text| {
            let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| InvalidNetwork(text.clone()))
        });
        parsed.collect::<Result<Arc<[IpNet]>, _>>().map(Self)
    }

    fn have(&self, address: IpAddr) -> bool {
        // Where a socket takes both, IPv4 comes as `::ffff:192.0.2.7`.
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Where a call comes from; none in memory.
    pub(crate) fn address_of<T>(&self, request: &Request<T>) -> Option<IpAddr> {
        let extensions = request.extensions();
        let plain = extensions.get::<TcpConnectInfo>();
        let connection =
            plain.or_else(|| extensions.get::<TlsConnectInfo<TcpConnectInfo>>().map(TlsConnectInfo::get_ref));
        let connected = connection.and_then(TcpConnectInfo::remote_addr)?;
        let forwarded = request.headers().get(FORWARDED_HEADER).and_then(|value| value.to_str().ok());
        Some(self.origin(connected.ip(), forwarded))
    }

    /// The address that a call comes from. Each proxy appends the address that it was called from, so the list is read from
    /// its end, as long as the one who wrote an entry is trusted; what is no address ends it.
    fn origin(&self, connected: IpAddr, forwarded: Option<&str>) -> IpAddr {
        let mut origin = connected.to_canonical();
        for entry in forwarded.unwrap_or_default().rsplit(',') {
            if !self.have(origin) {
                break;
            }
            match entry.trim().parse::<IpAddr>() {
                Ok(before) => origin = before.to_canonical(),
                Err(_) => break,
            }
        }
        origin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted(networks: &[&str]) -> TrustedProxies {
        let networks: Vec<String> = networks.iter().map(|text| (*text).to_owned()).collect();
        TrustedProxies::new(&networks).unwrap()
    }

    #[test]
    fn what_is_said_counts_as_far_as_its_writers_are_trusted() {
        let proxies = trusted(&["10.0.0.0/8", "fd00::/8", "192.0.2.7"]);
        for (connected, forwarded, origin) in [
            // A stranger may write what it likes.
            ("203.0.113.5", Some("198.51.100.1"), "203.0.113.5"),
            ("203.0.113.5", None, "203.0.113.5"),
            ("10.1.2.3", None, "10.1.2.3"),
            ("10.1.2.3", Some("198.51.100.1"), "198.51.100.1"),
            ("::ffff:10.1.2.3", Some("198.51.100.1"), "198.51.100.1"),
            ("fd00::1", Some("2001:db8::5"), "2001:db8::5"),
            // Its own words before what the proxy appended.
            ("10.1.2.3", Some("1.1.1.1, 198.51.100.1"), "198.51.100.1"),
            // Two proxies, one behind the other.
            ("10.1.2.3", Some("1.1.1.1,198.51.100.1 , 192.0.2.7"), "198.51.100.1"),
            ("10.1.2.3", Some("198.51.100.1, unknown"), "10.1.2.3"),
            ("10.1.2.3", Some(""), "10.1.2.3"),
            ("10.1.2.3", Some("10.9.9.9"), "10.9.9.9"),
        ] {
            let got = proxies.origin(connected.parse().unwrap(), forwarded);
            assert_eq!(got, origin.parse::<IpAddr>().unwrap(), "{connected} {forwarded:?}");
        }
        let nobody = TrustedProxies::default();
        assert_eq!(nobody.origin("10.1.2.3".parse().unwrap(), Some("1.1.1.1")).to_string(), "10.1.2.3");
    }

    #[test]
    fn what_is_no_network_is_named() {
        for text in ["", "10.0.0.0/33", "nginx", "10.0.0.0/8/8", "*"] {
            let refused = TrustedProxies::new(&[text.to_owned()]).unwrap_err();
            assert_eq!(refused, InvalidNetwork(text.to_owned()));
        }
    }
}

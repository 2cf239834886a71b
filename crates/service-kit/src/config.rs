//! What a server is told from outside. What: [`ListenAddress`]. Why: the access rules are written down but not
//! enforced yet, so a server must not listen where strangers are. When enforcement comes, the check moves to
//! "refuse unless access is enforced".

use std::{fmt, net::SocketAddr, str::FromStr};

/// Where a server listens: an address of this machine only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenAddress(SocketAddr);

/// Why a listen address was refused; the text is for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListenAddressError {
    /// Not an address and a port.
    #[error("{0:?} is not an address to listen on; write it as 127.0.0.1:7400, [::1]:7400 or localhost:7400")]
    Malformed(String),
    /// An address that other machines can reach.
    #[error(
        "{0} can be reached from other machines, and this build does not enforce access rules yet: anybody \
         could read and change everything. Listen on 127.0.0.1 or [::1] (a tunnel or a proxy that checks \
         callers can stand in front)"
    )]
    NotLoopback(SocketAddr),
}

impl ListenAddress {
    /// The address for the socket.
    pub fn socket_address(self) -> SocketAddr {
        self.0
    }
}

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numeric = match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => text.to_owned(),
        };
        let Ok(address) = numeric.parse::<SocketAddr>() else {
            return Err(ListenAddressError::Malformed(text.to_owned()));
        };
        if !address.ip().to_canonical().is_loopback() {
            return Err(ListenAddressError::NotLoopback(address));
        }
        Ok(Self(address))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_accepted() {
        for text in ["127.0.0.1:7400", "[::1]:0", "localhost:7400", "127.8.0.1:1", "[::ffff:127.0.0.1]:1"] {
            assert!(text.parse::<ListenAddress>().is_ok(), "{text}");
        }
    }

    #[test]
    fn other_addresses_are_refused_with_a_clear_text() {
        for text in ["0.0.0.0:7400", "[::]:7400", "192.168.1.2:7400", "10.0.0.1:1"] {
            let error = text.parse::<ListenAddress>().unwrap_err();
            assert!(error.to_string().contains("127.0.0.1"), "{error}");
            assert!(matches!(error, ListenAddressError::NotLoopback(_)));
        }
        for text in ["", "7400", "localhost", "example.com:80"] {
            assert!(matches!(text.parse::<ListenAddress>(), Err(ListenAddressError::Malformed(_))), "{text}");
        }
    }
}

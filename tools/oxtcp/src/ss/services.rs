// SPDX-License-Identifier: GPL-2.0
//! Names of ports.

use std::collections::HashMap;

/// TCP's part of `/etc/services`.
#[derive(Default)]
pub struct Services {
    names: HashMap<u16, String>,
    ports: HashMap<String, u16>,
}

impl Services {
    /// Reads `/etc/services`; nothing has a name where there is no such file.
    pub fn load() -> Services {
        Services::parse(&std::fs::read_to_string("/etc/services").unwrap_or_default())
    }

    fn parse(text: &str) -> Services {
        let mut services = Services::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let (Some(name), Some(port)) = (words.next(), words.next()) else {
                continue;
            };
            let Some(port) = port.strip_suffix("/tcp").and_then(|p| p.parse().ok()) else {
                continue;
            };
            services
                .names
                .entry(port)
                .or_insert_with(|| name.to_owned());
            for name in std::iter::once(name).chain(words) {
                services.ports.entry(name.to_owned()).or_insert(port);
            }
        }
        services
    }

    /// The name of a port, if it has one.
    pub fn name(&self, port: u16) -> Option<&str> {
        self.names.get(&port).map(String::as_str)
    }

    /// The port of a service, by its name or one of its other names.
    pub fn port(&self, name: &str) -> Option<u16> {
        self.ports.get(name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_names_only_and_the_first_one() {
        let services = Services::parse(
            "# comment\n\
             http\t\t80/tcp\t\twww\t# WorldWideWeb\n\
             domain 53/udp\n\
             web 80/tcp\n\
             bad 99999/tcp\n\
             lonely\n",
        );
        assert_eq!(services.name(80), Some("http"));
        assert_eq!(services.name(53), None);
        assert_eq!(services.names.len(), 1);
        assert_eq!(services.port("http"), Some(80));
        assert_eq!(services.port("www"), Some(80));
        assert_eq!(services.port("web"), Some(80));
        assert_eq!(services.port("domain"), None);
    }
}

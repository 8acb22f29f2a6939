//! Warns of secrets that others can read, on the wire or in a file; each once, by its variable.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::sys::statvfs::{FsFlags, statvfs};

use super::kafka::{split_property, taken};
use super::reader::VariableReader;
use super::redact::KeyValues;

/// The properties whose files hold secrets for librdkafka.
const SECRET_FILES: &[&str] = &[
    "ssl.key.location",
    "ssl.keystore.location",
    "sasl.kerberos.keytab",
    "sasl.oauthbearer.assertion.private.key.file",
];

/// Whether `host`, `host:port`, `[::1]` or `[::1]:port` is this machine, so that no traffic leaves it.
pub(super) fn is_this_machine(address: &str) -> bool {
    let host = match address.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => address.split(':').next().unwrap_or(address),
    };
    let host = host.to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Warns of a password that is sent to another machine unencrypted.
pub(super) fn warn_of_http(reader: &mut VariableReader<'_>, url: &str) {
    if let Some(address) = url.strip_prefix("http://")
        && !is_this_machine(address)
    {
        let text =
            "sends CLICKHOUSE_PASSWORD and every row unencrypted to another machine; use https://";
        reader.warn("CLICKHOUSE_HOST", text);
    }
}

/// Warns of a connection to the brokers that others can read or impersonate.
pub(super) fn warn_of_brokers(
    reader: &mut VariableReader<'_>,
    brokers: &str,
    protocol: (&str, &str),
    properties: &KeyValues,
) {
    let (variable, protocol) = protocol;
    let is_elsewhere = brokers.split(',').any(|broker| !is_this_machine(broker));
    if protocol == "sasl_plaintext" && is_elsewhere {
        let text = "sasl_plaintext sends the password, or what it can be guessed from, and every record \
                    unencrypted to another machine; use sasl_ssl";
        reader.warn(variable, text);
    }
    for (key, value) in properties {
        let (_, name) = split_property(key);
        let text = match (name, &*taken(name, value)) {
            ("enable.ssl.certificate.verification", "false") => {
                "takes any certificate, so whoever is on the way can pose as the brokers; leave it out, and \
                 name their root certificate in KAFKA_SSL_CA_LOCATION"
            }
            ("ssl.endpoint.identification.algorithm", "none") => {
                "takes the certificate of any other host, so whoever has one can pose as the brokers; leave \
                 it out"
            }
            _ if SECRET_FILES.contains(&name) => {
                warn_of_file(reader, "KAFKA_PROPERTIES", value);
                continue;
            }
            _ => continue,
        };
        reader.warn("KAFKA_PROPERTIES", format!("{key}={value} {text}"));
    }
}

/// Warns of a file with a secret that any user of this machine may read or change.
pub(super) fn warn_of_file(reader: &mut VariableReader<'_>, variable: &str, path: &str) {
    if let Some(text) = open_to_others(Path::new(path), "a secret") {
        reader.warn(variable, text);
    }
}

/// What others may do with a file that holds `secret`; `None` if nothing, or if it is no file.
///
/// The mode means nothing on a read-only mount: an orchestrator mounts secrets with mode 0644, and the
/// container has no other user. Nor does it in a folder that others cannot enter.
pub(super) fn open_to_others(path: &Path, secret: &str) -> Option<String> {
    let path = path.canonicalize().ok().filter(|path| path.is_file())?;
    let may = |path: &Path, right: u32| {
        path.metadata().is_ok_and(|found| found.permissions().mode() & right != 0)
    };
    let is_reached = path.ancestors().skip(1).all(|folder| may(folder, 0o001));
    let is_sealed = statvfs(&path).is_ok_and(|mount| mount.flags().contains(FsFlags::ST_RDONLY));
    if !is_reached || is_sealed {
        return None;
    }
    let what = match (may(&path, 0o002), may(&path, 0o004)) {
        (true, _) => "change",
        (false, true) => "read",
        (false, false) => return None,
    };
    let path = path.display();
    Some(format!(
        "holds {secret} in {path}, which any user of this machine may {what}; chmod o= it"
    ))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;
    use crate::config::tests::warnings;

    fn file_of(mode: u32) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "hunter2").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let path = path.to_str().unwrap().to_owned();
        (folder, path)
    }

    #[test]
    fn this_machine_is_told_from_others() {
        for address in [
            "localhost:8123",
            "LOCALHOST",
            "a.localhost:1",
            "127.0.0.1:9092",
            "127.9.9.9",
            "[::1]:1",
        ] {
            assert!(is_this_machine(address), "{address}");
        }
        for address in [
            "db:8123",
            "10.0.0.1:9092",
            "[fe80::1]:1",
            "localhost.example.com",
            "0.0.0.0:1",
            "127.0.0.1.nip.io",
        ] {
            assert!(!is_this_machine(address), "{address}");
        }
    }

    #[test]
    fn a_password_that_goes_over_the_wire_as_it_is_is_warned_of() {
        let password = ("CLICKHOUSE_PASSWORD", "hunter2");
        let sasl = [
            ("KAFKA_SECURITY_PROTOCOL", "sasl_plaintext"),
            ("KAFKA_SASL_MECHANISM", "PLAIN"),
            ("KAFKA_SASL_USERNAME", "me"),
            ("KAFKA_SASL_PASSWORD", "hunter2"),
        ];
        let by_properties = "security.protocol=SASL_PLAINTEXT,sasl.mechanism=PLAIN,sasl.username=me,\
                             sasl.password=hunter2";
        let here = ("KAFKA_BROKER", "localhost:9092,[::1]:9092");
        let table: &[(&[(&str, &str)], &str)] = &[
            (&[password], "CLICKHOUSE_HOST: sends CLICKHOUSE_PASSWORD"),
            (&[password, ("CLICKHOUSE_HOST", "10.0.0.1")], "CLICKHOUSE_HOST: sends"),
            (&[password, ("CLICKHOUSE_HOST", "https://db")], ""),
            (&[password, ("CLICKHOUSE_HOST", "localhost")], ""),
            (&[("CLICKHOUSE_HOST", "http://db")], ""),
            (&sasl, "KAFKA_SECURITY_PROTOCOL: sasl_plaintext"),
            (&[&sasl[..], &[here]].concat(), ""),
            (
                &[&sasl[..], &[("KAFKA_BROKER", "localhost:1,b:1")]].concat(),
                "KAFKA_SECURITY_PROTOCOL: ",
            ),
            (&[("KAFKA_PROPERTIES", by_properties)], "KAFKA_PROPERTIES: sasl_plaintext"),
        ];
        for (variables, expected) in table {
            let found = warnings(variables);
            assert!(!found.contains("hunter2") && found.lines().count() <= 1, "{found}");
            assert!(
                found.starts_with(expected) && found.is_empty() == expected.is_empty(),
                "{found}"
            );
        }
    }

    #[test]
    fn a_check_of_certificates_that_is_off_is_warned_of_for_each_client() {
        for prefix in ["", "consumer.", "producer."] {
            for (name, value) in [
                ("enable.ssl.certificate.verification", "false"),
                ("enable.ssl.certificate.verification", "0"),
                ("ssl.endpoint.identification.algorithm", "none"),
            ] {
                let property = format!("{prefix}{name}={value}");
                let found = warnings(&[
                    ("KAFKA_SECURITY_PROTOCOL", "ssl"),
                    ("KAFKA_PROPERTIES", &property),
                ]);
                assert!(
                    found.starts_with(&format!("KAFKA_PROPERTIES: {property} takes ")),
                    "{found}"
                );
            }
        }
        let on = "enable.ssl.certificate.verification=true";
        assert_eq!(warnings(&[("KAFKA_SECURITY_PROTOCOL", "ssl"), ("KAFKA_PROPERTIES", on)]), "");
    }

    #[test]
    fn a_secret_file_that_others_may_read_or_change_is_warned_of() {
        let https = ("CLICKHOUSE_HOST", "https://db");
        for (mode, expected) in [
            (0o644, "may read"),
            (0o604, "may read"),
            (0o666, "may change"),
            (0o602, "may change"),
            (0o640, ""),
            (0o600, ""),
        ] {
            let (_folder, path) = file_of(mode);
            let found = warnings(&[https, ("CLICKHOUSE_PASSWORD_FILE", &path)]);
            let is_said =
                found.starts_with("CLICKHOUSE_PASSWORD_FILE: ") && found.contains(expected);
            assert!(
                is_said != expected.is_empty() && found.lines().count() <= 1,
                "{mode:o} {found}"
            );
            // Only the names in a list decide whether it holds a secret.
            fs::write(&path, "client.rack=a").unwrap();
            assert_eq!(warnings(&[("KAFKA_PROPERTIES_FILE", &path)]), "");
            fs::write(&path, "ssl.key.password=hunter2").unwrap();
            let found = warnings(&[("KAFKA_PROPERTIES_FILE", &path)]);
            assert_eq!(
                found.starts_with("KAFKA_PROPERTIES_FILE: "),
                !expected.is_empty(),
                "{found}"
            );
            let key = format!("ssl.key.location={path}");
            let found = warnings(&[("KAFKA_PROPERTIES", &key)]);
            assert_eq!(found.starts_with("KAFKA_PROPERTIES: "), !expected.is_empty(), "{found}");
        }
    }

    #[test]
    fn a_folder_that_others_do_not_get_into_keeps_its_files() {
        let (folder, path) = file_of(0o644);
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::set_permissions(&inner, Permissions::from_mode(0o700)).unwrap();
        let kept = inner.join("secret");
        fs::rename(&path, &kept).unwrap();
        assert_eq!(open_to_others(&kept, "a secret"), None);
        // A link is judged by its target.
        std::os::unix::fs::symlink(&kept, &path).unwrap();
        let open_to_others = |path: &str| open_to_others(Path::new(path), "a secret");
        assert_eq!(open_to_others(&path), None);
        fs::set_permissions(&inner, Permissions::from_mode(0o711)).unwrap();
        assert!(open_to_others(&path).is_some());
        assert_eq!(open_to_others("/nonexistent"), None);
        assert_eq!(open_to_others("/dev/null"), None);
    }
}

//! A private certificate authority, and a TLS proxy in front of a server that speaks none.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, crypto};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// An authority that nobody else trusts, and one server certificate of it, for `localhost`.
pub struct Authority {
    folder: TempDir,
    config: Arc<ServerConfig>,
}

impl Authority {
    /// Makes both, and writes them to PEM files.
    pub fn new() -> anyhow::Result<Self> {
        let mut params = named(CertificateParams::new(Vec::new())?, "authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate()?;
        let root = params.self_signed(&key)?;
        let issuer = Issuer::new(params, key);

        let server_key = KeyPair::generate()?;
        let params = named(CertificateParams::new(vec!["localhost".into()])?, "localhost");
        let server = params.signed_by(&server_key, &issuer)?;

        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("ca.pem"), root.pem())?;
        let both = format!("{}{}", server_key.serialize_pem(), server.pem());
        std::fs::write(folder.path().join("server.pem"), both)?;

        let key = PrivateKeyDer::try_from(server_key.serialize_der())
            .map_err(|text| anyhow::anyhow!("the server's key: {text}"))?;
        let config =
            ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_single_cert(vec![server.der().clone()], key)?;
        Ok(Self { folder, config: Arc::new(config) })
    }

    /// The PEM file of the root certificate.
    pub fn root(&self) -> String {
        self.folder.path().join("ca.pem").display().to_string()
    }

    /// The PEM file of the server's key and certificate.
    pub fn server(&self) -> PathBuf {
        self.folder.path().join("server.pem")
    }

    /// Starts a proxy that takes TLS off what it passes on to `http://address`.
    pub async fn proxy(&self, url: &str) -> anyhow::Result<TlsProxy> {
        let to: SocketAddr = url.strip_prefix("http://").context("an http URL")?.parse()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let acceptor = TlsAcceptor::from(Arc::clone(&self.config));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                // A client that does not trust the certificate hangs up: that is its business.
                tokio::spawn(async move {
                    let mut client = acceptor.accept(client).await?;
                    let mut server = TcpStream::connect(to).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Ok(TlsProxy { url: format!("https://localhost:{port}"), task })
    }
}

/// Names of their own tell a certificate from its issuer.
fn named(mut params: CertificateParams, name: &str) -> CertificateParams {
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// A running proxy; it ends when it is dropped.
pub struct TlsProxy {
    url: String,
    task: JoinHandle<()>,
}

impl TlsProxy {
    /// `https://localhost:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

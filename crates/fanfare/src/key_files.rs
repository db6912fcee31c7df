//! Key files: the credentials that are read from files, when the hub starts and when they change.
//!
//! What must hold: files that cannot be used change nothing. What a key let in ends when the key is
//! taken away: streams, also those on their way, and tickets.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fanfare_auth::{
    AccessKey, AccessKeys, InvalidCredential, KeyFile, PublicKey, Secret, TokenSecret,
    VerificationKey,
};
use fanfare_files::WatchedFiles;
use fanfare_settings::{IssuerKey, Settings};
use tokio::sync::Notify;
use tokio::time::interval;

use fanfare_http::{AppState, CurrentKeys, ForeignKeys};

/// The credentials, and the files that some of them are read from.
#[derive(Debug)]
pub(crate) struct KeyFiles {
    sources: KeySources,
    files: WatchedFiles,
}

/// Which credentials there are, as their files held them when they were read.
#[derive(Debug)]
struct KeySources {
    publish: (Vec<AccessKey>, Vec<KeyFile>),
    subscribe: (Vec<AccessKey>, Vec<KeyFile>),
    secrets: Vec<TokenSecret>,
    public: Vec<PublicKey>,
    mercure: Option<MercureSecrets>,
    /// Whose alone which keys are.
    issuers: Vec<IssuerKey>,
}

/// The secrets of tokens of Mercure's protocol.
#[derive(Debug, Clone)]
struct MercureSecrets {
    publish: Vec<TokenSecret>,
    subscribe: Vec<TokenSecret>,
}

/// The secret that clients of Mercure's protocol are set up with, for development.
const DEVELOPMENT: &str = "!ChangeThisMercureHubJWTSecretKey!";

impl KeyFiles {
    /// With what the settings have read just now.
    pub(crate) fn new(settings: &Settings) -> (Self, CurrentKeys) {
        let sources = KeySources {
            publish: (settings.publish_key.clone(), settings.publish_key_file.clone()),
            subscribe: (settings.subscribe_key.clone(), settings.subscribe_key_file.clone()),
            secrets: settings.jwt_secret.clone(),
            public: settings.jwt_public_key.clone(),
            mercure: settings.mercure.then(|| mercure_secrets(settings)),
            issuers: settings.jwt_issuer_key.clone(),
        };
        let (files, keys) = (WatchedFiles::new(sources.paths()), sources.keys());
        (Self { sources, files }, keys)
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// What there is, if the files have changed since they were last read, or if `asked`. Blocks on the disk.
    fn refresh(&self, asked: bool) -> Result<Option<CurrentKeys>, InvalidCredential> {
        let read = || Ok(self.sources.read_again()?.keys());
        let is_unreadable =
            |error: &InvalidCredential| matches!(error, InvalidCredential::Unreadable { .. });
        self.files.read_changed(asked, read, is_unreadable)
    }
}

impl KeySources {
    /// The files among them.
    fn paths(&self) -> Vec<PathBuf> {
        let files = self.publish.1.iter().chain(&self.subscribe.1).map(KeyFile::path);
        let mercure =
            self.mercure.iter().flat_map(|keys| keys.publish.iter().chain(&keys.subscribe));
        let secrets = self.secrets.iter().chain(mercure);
        let files = files.chain(secrets.filter_map(TokenSecret::path));
        files.chain(self.public.iter().map(PublicKey::path)).map(Path::to_owned).collect()
    }

    /// The same, with what the files hold now.
    fn read_again(&self) -> Result<Self, InvalidCredential> {
        let again = |files: &[KeyFile]| {
            files.iter().map(|file| KeyFile::read(file.path())).collect::<Result<Vec<_>, _>>()
        };
        let secrets = self.secrets.iter().map(read_again);
        let public = self.public.iter().map(|key| PublicKey::read(key.path()));
        Ok(Self {
            secrets: secrets.collect::<Result<_, _>>()?,
            mercure: self.mercure.as_ref().map(MercureSecrets::again).transpose()?,
            public: public.collect::<Result<_, _>>()?,
            publish: (self.publish.0.clone(), again(&self.publish.1)?),
            subscribe: (self.subscribe.0.clone(), again(&self.subscribe.1)?),
            issuers: self.issuers.clone(),
        })
    }

    /// What is accepted by them.
    fn keys(&self) -> CurrentKeys {
        CurrentKeys {
            publish: access_keys(&self.publish.0, &self.publish.1),
            subscribe: access_keys(&self.subscribe.0, &self.subscribe.1),
            tokens: token_keys(&self.secrets, &self.public, &self.issuers),
            foreign: foreign_keys(self.mercure.as_ref(), &self.issuers),
        }
    }
}

/// Keeps the credentials of `app` as `files` and the key set have them, for as long as the hub runs, and
/// reads the files at once when it is asked to.
pub(crate) async fn keep_keys(files: KeyFiles, app: Arc<AppState>, asked: Arc<Notify>) {
    let files = Arc::new(files);
    let mut ticks = interval(WatchedFiles::INTERVAL);
    loop {
        let asked = tokio::select! {
            _ = ticks.tick() => false,
            () = asked.notified() => true,
        };
        let files = Arc::clone(&files);
        // They may be on a disk that hangs.
        match tokio::task::spawn_blocking(move || files.refresh(asked)).await {
            Ok(Ok(Some(keys))) => {
                app.replace_keys(keys);
                tracing::info!("the keys were read again");
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "the new keys are not used; the old ones stay");
            }
            Err(error) => tracing::error!(%error, "the keys could not be looked at"),
        }
        // The key set may have lost some too.
        app.end_withdrawn().await;
    }
}

fn access_keys(keys: &[AccessKey], files: &[KeyFile]) -> AccessKeys {
    let given = keys.iter().map(AccessKey::secret);
    let all: Vec<Secret> = given.chain(files.iter().flat_map(KeyFile::keys)).cloned().collect();
    AccessKeys::new(&all)
}

fn token_keys(
    secrets: &[TokenSecret],
    public: &[PublicKey],
    issuers: &[IssuerKey],
) -> Vec<VerificationKey> {
    let of_issuer = |key: VerificationKey, path: Option<&Path>| {
        let whose = path.and_then(|path| issuers.iter().find(|whose| whose.is_in_file(path)));
        match whose {
            Some(whose) => key.of_issuer(whose.issuer()),
            None => key,
        }
    };
    let secrets = secrets
        .iter()
        .map(|given| of_issuer(VerificationKey::from_secret(given.secret()), given.path()));
    let public = public.iter().map(|public| of_issuer(public.key().clone(), Some(public.path())));
    secrets.chain(public).collect()
}

fn read_again(secret: &TokenSecret) -> Result<TokenSecret, InvalidCredential> {
    match secret.path() {
        Some(path) => TokenSecret::read(path),
        None => Ok(secret.clone()),
    }
}

/// Those that are set; without any key at all, the one for development, which reaches this machine alone.
fn mercure_secrets(settings: &Settings) -> MercureSecrets {
    let development =
        if settings.is_private() { TokenSecret::parse(DEVELOPMENT).ok() } else { None };
    let or_development = |given: &[TokenSecret]| {
        given.iter().cloned().chain(development.clone()).collect::<Vec<_>>()
    };
    MercureSecrets {
        publish: or_development(&settings.mercure_publisher_key),
        subscribe: or_development(&settings.mercure_subscriber_key),
    }
}

impl MercureSecrets {
    /// What there is of them now.
    fn again(&self) -> Result<Self, InvalidCredential> {
        let again =
            |secrets: &[TokenSecret]| secrets.iter().map(read_again).collect::<Result<Vec<_>, _>>();
        Ok(Self { publish: again(&self.publish)?, subscribe: again(&self.subscribe)? })
    }
}

fn foreign_keys(secrets: Option<&MercureSecrets>, issuers: &[IssuerKey]) -> ForeignKeys {
    let Some(MercureSecrets { publish, subscribe }) = secrets else {
        return ForeignKeys::default();
    };
    let keys = |secrets| token_keys(secrets, &[], issuers);
    ForeignKeys { publish: keys(publish), subscribe: keys(subscribe) }
}

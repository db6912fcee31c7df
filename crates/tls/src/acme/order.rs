//! An order: from an account, through the proof that each domain leads here, to a certificate.

use std::time::Duration;

use fanfare_net::Contact;
use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, Order,
    OrderStatus, Problem, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;

use super::authority_client::AuthorityClient;
use super::{Acme, AcmeError, Cache};
use crate::{Answering, Certificate};

/// How the authority is asked whether it is done: more and more rarely, then no more.
const POLLING: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(90));
/// What an authority says that has no such account (RFC 8555, 6.7).
const NO_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

impl Acme {
    /// Orders a certificate for the domains, and keeps it.
    pub(super) async fn order(&self) -> Result<Certificate, AcmeError> {
        let names: Vec<_> =
            self.domains.iter().map(|domain| Identifier::Dns(domain.as_str().to_owned())).collect();
        let order = NewOrder::new(&names);
        let mut order = match self.account().await?.new_order(&order).await {
            // Authorities for trials forget theirs.
            Err(instant_acme::Error::Api(problem)) if is(&problem, NO_ACCOUNT) => {
                tracing::warn!("the authority no longer knows the account: a new one is made");
                self.cache(Cache::forget_account).await?;
                self.account().await?.new_order(&order).await?
            }
            order => order?,
        };
        let proofs = match self.prove(&mut order).await {
            Ok(proofs) => proofs,
            // An authority that is quick says in this answer already what it did not find.
            Err(error) => return Err(refusal(&mut order).await.unwrap_or(error)),
        };
        match order.poll_ready(&POLLING).await {
            Ok(OrderStatus::Ready) => {}
            Ok(_) => return Err(refusal(&mut order).await.unwrap_or(AcmeError::Refused)),
            Err(error) => return Err(refusal(&mut order).await.unwrap_or(error.into())),
        }
        drop(proofs);
        let key = order.finalize().await?;
        let chain = order.poll_certificate(&POLLING).await?;
        self.cache(move |cache| cache.keep_certificate(&key, &chain)).await
    }

    /// The account that is kept, or a new one, which is then kept.
    async fn account(&self) -> Result<Account, AcmeError> {
        let builder = Account::builder_with_http(Box::new(AuthorityClient(self.client.clone())));
        if let Some(account) = self.cache(Cache::account).await? {
            return Ok(builder.from_credentials(account).await?);
        }
        let contacts: Vec<_> = self.contacts.iter().map(Contact::url).collect();
        let contacts: Vec<_> = contacts.iter().map(String::as_str).collect();
        let account = NewAccount {
            contact: &contacts,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let directory = self.directory.url().to_owned();
        let (account, credentials) = builder.create(&account, directory, None).await?;
        self.cache(move |cache| cache.keep_account(&credentials)).await?;
        Ok(account)
    }

    /// Prepares the answer to each domain's challenge, and tells the authority to come.
    async fn prove(&self, order: &mut Order) -> Result<Vec<Answering>, AcmeError> {
        let mut proofs = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let domain = authorization.identifier().to_string();
            let unproved = || AcmeError::NoChallenge { domain: domain.clone() };
            let mut challenge =
                authorization.challenge(ChallengeType::TlsAlpn01).ok_or_else(unproved)?;
            let digest = challenge.key_authorization().digest();
            let certificate = proof(&domain, digest.as_ref())?;
            proofs.push(self.challenges.begin(&domain, certificate));
            challenge.set_ready().await?;
        }
        Ok(proofs)
    }
}

/// The certificate that proves a domain to an authority (RFC 8737, 3).
fn proof(domain: &str, digest: &[u8]) -> Result<CertifiedKey, AcmeError> {
    let mut params = CertificateParams::new([domain.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    // Not checked against each other as others are: its extension is one that has to be understood,
    // and only an authority understands it.
    let key = default_provider().key_provider.load_private_key(PrivateKeyDer::from(key));
    Ok(CertifiedKey::new(vec![certificate.der().clone()], key.map_err(AcmeError::Proof)?))
}

/// Which domain the authority found wanting, and why.
async fn refusal(order: &mut Order) -> Option<AcmeError> {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let domain = authorization.identifier().to_string();
        let state = authorization.refresh().await.ok()?;
        let problem = state.challenges.iter().find_map(|challenge| challenge.error.clone());
        if let Some(problem) = problem {
            return Some(AcmeError::Unproved { domain, problem });
        }
    }
    None
}

fn is(problem: &Problem, kind: &str) -> bool {
    problem.r#type.as_deref() == Some(kind)
}

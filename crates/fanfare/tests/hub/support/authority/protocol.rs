//! What the directory answers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use rcgen::{CertificateSigningRequestParams, SanType};
use serde_json::{Value, json};

use super::Shared;
use super::jws::{Fault, Signed, decode, problem};

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) location: Option<String>,
    pub(super) body: String,
}

/// An order, with its authorizations.
pub(super) struct Order {
    account: usize,
    domains: Vec<Domain>,
    certificate: Option<String>,
}

struct Domain {
    name: String,
    token: String,
    proof: Proof,
}

#[derive(Clone, PartialEq)]
enum Proof {
    Wanted,
    Visiting,
    Given,
    Missing(String),
}

impl Order {
    fn status(&self) -> &'static str {
        let proved = self.domains.iter().all(|domain| domain.proof == Proof::Given);
        let failed = self.domains.iter().any(|domain| matches!(domain.proof, Proof::Missing(_)));
        match (&self.certificate, failed, proved) {
            (Some(_), ..) => "valid",
            (None, true, _) => "invalid",
            (None, _, true) => "ready",
            _ => "pending",
        }
    }
}

fn found(body: &Value) -> Answer {
    Answer { status: 200, kind: "application/json", location: None, body: body.to_string() }
}

impl Shared {
    pub(super) fn answer(self: &Arc<Self>, method: &str, path: &str, body: &[u8]) -> Answer {
        match (method, path) {
            ("GET", "directory") => found(&json!({
                "newNonce": self.url("new-nonce"),
                "newAccount": self.url("new-account"),
                "newOrder": self.url("new-order"),
                "meta": {"termsOfService": "about:blank"},
            })),
            ("HEAD", "new-nonce") => found(&json!({})),
            ("POST", _) => self.post(path, body).unwrap_or_else(|fault| self.refuse(&fault)),
            _ => self.refuse(&("malformed", format!("{method} {path}"))),
        }
    }

    fn refuse(&self, fault: &Fault) -> Answer {
        let blameless = ["badNonce", "accountDoesNotExist", "rejectedIdentifier"];
        if !blameless.contains(&fault.0) {
            self.lock().violations.push(format!("{fault:?}"));
        }
        let kind = "application/problem+json";
        Answer { status: 400, kind, location: None, body: problem(fault) }
    }

    fn post(self: &Arc<Self>, path: &str, body: &[u8]) -> Result<Answer, Fault> {
        let Signed { by, payload } = self.verify(path, body)?;
        if path == "new-account" {
            let mut key =
                by.err().ok_or(("malformed", "a new account needs its key".to_owned()))?;
            let payload = payload.unwrap_or_default();
            if payload["termsOfServiceAgreed"] != true {
                return Err(("userActionRequired", payload.to_string()));
            }
            let contacts = payload["contact"].as_array().cloned().unwrap_or_default();
            key.contacts = contacts.iter().map(|c| c.as_str().unwrap().to_owned()).collect();
            let mut state = self.lock();
            state.accounts.push(key);
            let location = self.url(&format!("account/{}", state.accounts.len() - 1));
            let body = json!({"status": "valid"}).to_string();
            return Ok(Answer { status: 201, location: Some(location), ..found(&body.into()) });
        }
        let account = by.map_err(|_| ("malformed", "whose request is it?".to_owned()))?;
        if path == "new-order" {
            return self.new_order(account, &payload.unwrap_or_default());
        }
        let (kind, number) = path.split_once('/').unwrap_or_default();
        let mut numbers = number.split('/').map_while(|number| number.parse::<usize>().ok());
        let (number, nth) = (numbers.next().unwrap_or(usize::MAX), numbers.next().unwrap_or(0));
        let state = self.lock();
        let order = state.orders.get(number).filter(|order| order.account == account);
        let domains = order.map_or(0, |order| order.domains.len());
        drop(state);
        if nth >= domains {
            return Err(("unauthorized", path.to_owned()));
        }
        match (kind, payload) {
            ("order", None) => Ok(found(&self.order(number))),
            ("authorization", None) => Ok(found(&self.authorization(number, nth))),
            ("challenge", Some(_)) => Ok(found(&self.challenge(number, nth))),
            ("finalize", Some(payload)) => self.finalize(number, &payload),
            ("certificate", None) => {
                let body = self.lock().orders[number].certificate.clone().unwrap_or_default();
                let kind = "application/pem-certificate-chain";
                Ok(Answer { status: 200, kind, location: None, body })
            }
            _ => Err(("malformed", path.to_owned())),
        }
    }

    fn new_order(&self, account: usize, payload: &Value) -> Result<Answer, Fault> {
        let identifiers = payload["identifiers"].as_array().cloned().unwrap_or_default();
        let names = identifiers.iter().filter(|identifier| identifier["type"] == "dns");
        let names: Vec<_> = names.filter_map(|name| name["value"].as_str()).collect();
        if names.is_empty() {
            return Err(("malformed", payload.to_string()));
        }
        let domains = names.iter().map(|name| Domain {
            name: (*name).to_owned(),
            token: format!("{:032x}", fastrand::u128(..)),
            proof: Proof::Wanted,
        });
        let mut state = self.lock();
        state.orders.push(Order { account, domains: domains.collect(), certificate: None });
        if state.refuses {
            return Err(("rejectedIdentifier", "the test forbids it".to_owned()));
        }
        let number = state.orders.len() - 1;
        drop(state);
        let location = Some(self.url(&format!("order/{number}")));
        Ok(Answer { status: 201, location, ..found(&self.order(number)) })
    }

    fn order(&self, number: usize) -> Value {
        let state = self.lock();
        let order = &state.orders[number];
        let identifiers = order.domains.iter().map(|d| json!({"type": "dns", "value": d.name}));
        let url = |kind: &str| self.url(&format!("{kind}/{number}"));
        let authorizations = 0..order.domains.len();
        let authorizations =
            authorizations.map(|nth| self.url(&format!("authorization/{number}/{nth}")));
        let mut body = json!({
            "status": order.status(),
            "identifiers": identifiers.collect::<Vec<_>>(),
            "authorizations": authorizations.collect::<Vec<_>>(),
            "finalize": url("finalize"),
        });
        if order.certificate.is_some() {
            body["certificate"] = url("certificate").into();
        }
        body
    }

    fn authorization(&self, number: usize, nth: usize) -> Value {
        let challenge = self.describe_challenge(number, nth);
        let domain = &self.lock().orders[number].domains[nth];
        let status = match domain.proof {
            Proof::Given => "valid",
            Proof::Missing(_) => "invalid",
            _ => "pending",
        };
        let other = json!({"type": "dns-01", "status": "pending", "token": domain.token,
            "url": self.url("challenge/other")});
        json!({"status": status, "identifier": {"type": "dns", "value": domain.name},
            "challenges": [other, challenge]})
    }

    fn describe_challenge(&self, number: usize, nth: usize) -> Value {
        let domain = &self.lock().orders[number].domains[nth];
        let status = match domain.proof {
            Proof::Wanted => "pending",
            Proof::Visiting => "processing",
            Proof::Given => "valid",
            Proof::Missing(_) => "invalid",
        };
        let mut challenge = json!({"type": "tls-alpn-01", "status": status, "token": domain.token,
            "url": self.url(&format!("challenge/{number}/{nth}"))});
        if let Proof::Missing(why) = &domain.proof {
            challenge["error"] = json!({"type": "urn:ietf:params:acme:error:tls", "detail": why});
        }
        challenge
    }

    /// Sends someone on the way.
    fn challenge(self: &Arc<Self>, number: usize, nth: usize) -> Value {
        let mut state = self.lock();
        let at_once = state.visits_at_once;
        let thumbprint = state.accounts[state.orders[number].account].thumbprint.clone();
        let domain = &mut state.orders[number].domains[nth];
        if domain.proof == Proof::Wanted {
            domain.proof = Proof::Visiting;
            let (name, key) = (domain.name.clone(), format!("{}.{thumbprint}", domain.token));
            let shared = Arc::clone(self);
            drop(state);
            let visit = thread::spawn(move || {
                let visited = shared.visit(&name, &key);
                let proof = visited.map_or_else(Proof::Missing, |()| Proof::Given);
                shared.lock().orders[number].domains[nth].proof = proof;
            });
            if at_once {
                visit.join().unwrap();
            }
        } else {
            drop(state);
        }
        self.describe_challenge(number, nth)
    }

    fn finalize(&self, number: usize, payload: &Value) -> Result<Answer, Fault> {
        let csr = decode(payload["csr"].as_str().unwrap_or_default())?;
        let bad = |what: String| ("badCSR", what);
        let mut csr = CertificateSigningRequestParams::from_der(&csr.into())
            .map_err(|error| bad(error.to_string()))?;
        let mut state = self.lock();
        let lifetime = state.lifetime;
        let order = &mut state.orders[number];
        if order.status() != "ready" {
            return Err(("orderNotReady", order.status().to_owned()));
        }
        let wanted: BTreeSet<_> = order.domains.iter().map(|domain| &*domain.name).collect();
        let asked = csr.params.subject_alt_names.iter();
        let asked: BTreeSet<_> = asked
            .map(|name| match name {
                SanType::DnsName(name) => name.as_str(),
                _ => "something else",
            })
            .collect();
        if wanted != asked {
            return Err(bad(format!("{asked:?} in place of {wanted:?}")));
        }
        let now = SystemTime::now();
        csr.params.not_before = (now - lifetime.past).into();
        csr.params.not_after = (now + lifetime.left).into();
        let certificate = csr.signed_by(&self.ca.issuer).map_err(|error| bad(error.to_string()))?;
        order.certificate = Some(certificate.pem() + &self.ca.issuer.pem());
        state.issued += 1;
        drop(state);
        Ok(found(&self.order(number)))
    }
}

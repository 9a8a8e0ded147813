// Makes the consent record of a proof anew, by docs/reference/proof-format.md alone.
import { createHash } from "node:crypto";

const map = (members) => new Map(Object.entries(members));
const known = (members) => map(Object.fromEntries(Object.entries(members).filter(([, value]) => value)));

/** Return the record that follows from a statement, its objects as Maps. */
export function recordOf(said) {
  const entries = said.entries.map((one) => ({
    event: one.head.event,
    at: one.head.at,
    told: withoutNulls(one.parts.consent),
  }));
  const terms = termsOf(entries);
  const told = [terms, ...entries.map((one) => one.told).reverse()];
  const basis = told.find((one) => one.has("basis"))?.get("basis");
  const hasOther = entries.some((one) => one.told.get("given_by") === "representative");
  return map({
    header: map({
      schema_version: "https://w3id.org/dpv/schema/dpv-27560#record",
      record_id: uuidOf("record", said.list, said.subject),
      pii_principal_id: said.subject,
    }),
    processing: processingOf(said, terms, basis),
    party: [...partiesOf(said.controller, said.register), ...(hasOther ? [REPRESENTATIVE] : [])],
    event: eventsOf(entries, said.subject),
  });
}

const withoutNulls = (content) => new Map([...(content ?? [])].filter(([, value]) => value !== null));

function uuidOf(...words) {
  const octets = createHash("sha256").update(words.join("\0")).digest().subarray(0, 16);
  octets[6] = (octets[6] & 0x0f) | 0x40;
  octets[8] = (octets[8] & 0x3f) | 0x80;
  return octets.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

function termsOf(entries) {
  const last = (holds) => entries.filter(holds).at(-1)?.told;
  return (
    last((one) => one.event === "confirmed" && one.told.size > 0) ??
    last((one) => one.told.has("purpose")) ??
    last((one) => one.told.has("unseen")) ??
    new Map()
  );
}

// --- What is processed, and by whom. -------------------------------------------------------------

const METHODS = map({
  page: "the person pressed a button on a page",
  one_click: "the person pressed a button of their mail program (RFC 8058)",
  note: "the person told the controller, by phone, letter or reply",
  by_hand: "the controller entered it by hand, with what shows it",
  "": "not known",
});

function processingOf(said, terms, basis) {
  const isUnseen = terms.has("unseen");
  const about = isUnseen ? withoutNulls(terms.get("unseen")) : terms;
  const isSensitive = terms.get("sensitive") === true;
  const method = terms.get("method") ?? "";
  const service = [terms.get("list_name") ?? said.list, terms.get("frequency")];
  const registered = (name) => {
    const texts = said.register ? said.register.get(name) : [];
    return texts.length > 0 ? texts : ["as the privacy notice says"];
  };
  const special = { sensitive_pii_category: isSensitive, special_pii_category: isSensitive };
  const shown = known({
    mail: terms.get("mail_wording"),
    page: terms.get("page_wording"),
    form: terms.get("wording"),
  });
  const notice = { uri: about.get("privacy_url") ?? "", ...(isUnseen ? { shown: false } : {}) };
  return map({
    language: about.get("language") ?? "",
    privacy_notice: new Map([...map(notice), ...shown]),
    purposes: [
      map({
        purpose: purposeOf(terms, about, isUnseen),
        purpose_type: "dpv:DirectMarketing",
        service: service.filter((one) => one).join(" — "),
        lawful_basis: groundOf(terms, basis, isSensitive, said.register),
        pii_information: [
          map({ pii_type: "pd:EmailAddress", pii_optional: false, ...special }),
          map({ pii_type: "pd:Name", pii_optional: true, ...special }),
        ],
        pii_controllers: ["controller"],
        collection_method: METHODS.get(method) ?? `taken over from another tool: ${method}`,
        processing_method: "dpv:Use: mailing what the purpose says to the address",
        storage_locations: registered("storage_locations"),
        recipient_third_parties: registered("recipients"),
        retention_period: said.retention,
        jurisdiction: "loc:EU",
        withdrawal_method:
          "one press on the page behind the link for No, which stands in every mail and works for ever; RFC 8058 one-click; or a reply",
        privacy_rights: "dpv:DataSubjectRight: GDPR art. 7(3), 15, 16, 17, 18, 20, 21, 77",
        ...(said.register || said.controller.get("authority") ? { authority_party: "authority" } : {}),
      }),
    ],
  });
}

function purposeOf(terms, about, isUnseen) {
  if (!isUnseen) return terms.get("purpose") ?? "";
  if (terms.get("basis") === "customer") return about.get("purpose");
  const form = terms.get("wording")
    ? "as the text of the form says, whose digest is privacy_notice.form"
    : "not known: nothing shows what the person was told";
  return `${form}; the list was for this when it was recorded: ${about.get("purpose")}`;
}

function groundOf(terms, basis, isSensitive, register) {
  if (register) {
    if (basis === "customer") return ["Directive 2002/58/EC art. 13(2)"];
  } else if (terms.get("basis") === "customer") return ["eu-gdpr:A6-1-f"];
  if (isSensitive) return ["eu-gdpr:A6-1-a-explicit-consent", "eu-gdpr:A9-2-a"];
  return ["eu-gdpr:A6-1-a-non-explicit-consent"];
}

function partiesOf(controller, register) {
  const of = (name) => controller.get(name) ?? "";
  const first = map({
    party_id: "controller",
    party_name: of("name"),
    party_role: "dpv:DataController",
    party_type: "dpv:Organisation",
    party_address: of("address"),
    party_contact: of("email") || of("telephone"),
  });
  const more = known({ party_email: of("email"), party_phone: of("telephone"), party_url: of("website") });
  const parties = [new Map([...first, ...more])];
  if (of("officer")) parties.push(other("officer", of("officer"), "dpv:DataProtectionOfficer", of("officer")));
  if (of("authority")) {
    const contact = of("authority_url") || of("authority");
    const made = other("authority", of("authority"), "dpv:DataProtectionAuthority", contact);
    parties.push(new Map([...made, ...known({ party_url: of("authority_url") })]));
  } else if (register) {
    const members = "https://www.edpb.europa.eu/about-edpb/about-edpb/members_en";
    const name = "the supervisory authority of the country where the person lives";
    const made = other("authority", name, "dpv:DataProtectionAuthority", members);
    parties.push(new Map([...made, ...map({ party_url: members })]));
  }
  return parties;
}

function other(id, name, role, contact) {
  return map({
    party_id: id,
    party_name: name,
    party_role: role,
    party_type: role,
    party_address: contact,
    party_contact: contact,
  });
}

const REPRESENTATIVE = other(
  "representative",
  "whoever said to be the legal representative of the person",
  "dpv:GuardianOfDataSubject",
  "through the person",
);

// --- What happened. ------------------------------------------------------------------------------

const REQUESTED = "dpv:ConsentRequested";
const GIVEN = ["dpv:ConsentGiven", "dpv:RenewedConsentGiven"];
const NO_PRESS = ["not_pressed", "both_pressed"];

function eventsOf(entries, subject) {
  const events = [];
  entries.forEach((one, place) => {
    const kind = one.told.get("sensitive") ? "dpv:ExplicitlyExpressedConsent" : "dpv:ExpressedConsent";
    const add = (time, state, entity, until) =>
      events.push(
        map({
          event_time: time,
          validity_duration: until,
          entity_id: entity,
          event_type: kind,
          event_state: state,
        }),
      );
    const states = events.map((event) => event.get("event_state")).filter((state) => state !== REQUESTED);
    const isHeld = GIVEN.includes(states.at(-1));
    const asked = ["confirmed", "removed"].includes(one.event) && one.told.get("asked_at");
    const isOf = (event) => event.get("event_state") === REQUESTED && event.get("event_time") === asked;
    if (asked && !events.some(isOf)) add(asked, REQUESTED, "controller", one.told.get("deadline") || "none");
    const isOwn = isOwnAct(one);
    const state = stateOf(one, isHeld, isOwn, entries.slice(0, place));
    if (!state || isTakenBack(one, entries.slice(place + 1))) return;
    const times = ["arrived_at", "left_at", "basis_at", "at"].map((name) => one.told.get(name));
    const person = one.told.get("given_by") === "representative" ? "representative" : subject;
    const until = GIVEN.includes(state) ? "until withdrawn" : "none";
    add(times.find((time) => time) || one.at, state, isOwn ? person : "controller", until);
  });
  return events;
}

function isOwnAct({ event, told }) {
  if (event !== "removed") return event !== "import_undone" && event !== "erased";
  if (["not_the_person", ...NO_PRESS].includes(told.get("method"))) return false;
  if (told.get("reason") === "request" && told.has("by")) return false;
  return ["no", "withdrawn", "request", "complaint"].includes(told.get("reason"));
}

function stateOf({ event, told }, isHeld, isOwn, before) {
  if (event === "confirmed") return isHeld ? "dpv:RenewedConsentGiven" : "dpv:ConsentGiven";
  if (event === "opted_out") return "dpv:ConsentRefused";
  if (event === "removed" && isOwn) {
    return isHeld || told.get("reason") === "withdrawn" ? "dpv:ConsentWithdrawn" : "dpv:ConsentRefused";
  }
  if (event === "removed") return isHeld && told.get("reason") ? "dpv:ConsentRevoked" : "dpv:ConsentUnknown";
  const takesBack = event === "import_undone" || (event === "erased" && told.has("imported_at"));
  if (!takesBack || !isHeld || told.get("status") === "confirmed") return "";
  const claim = before.findLast((one) => one.event === "confirmed");
  return told.size === 0 && claim.told.size > 0 ? "" : "dpv:ConsentRevoked";
}

function isTakenBack({ event }, later) {
  const next = later.find((one) => ["removed", "confirmed", "sign_up_undone"].includes(one.event));
  if (event !== "confirmed" || !next) return false;
  return next.event === "sign_up_undone" || NO_PRESS.includes(next.told.get("method"));
}

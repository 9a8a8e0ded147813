// Checks a proof, and an export of the evidence, by docs/reference/proof-format.md alone.
//
// Wants nothing but Node.js, and OpenSSL's command for the signatures of timestamps:
//   node independent_verifier.mjs FILE [KEY [CA-FILE [WITNESS-KEY…]]]    checks one file
//   node independent_verifier.mjs    reads {"file", "keys", "ca", "witnesses"} a line, "file" in base64
import { spawnSync } from "node:child_process";
import { createHash, createPublicKey, verify } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { recordOf } from "./independent_record.mjs";

const need = (holds, what) => {
  if (!holds) throw new Error(what);
};
const sha256 = (...octets) =>
  octets.reduce((hash, one) => hash.update(one), createHash("sha256")).digest();

// --- JSON, digests, text. ------------------------------------------------------------------------

const ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };
const STRING = /"((?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*)"/uy;
const NUMBER = /-?[0-9][0-9.eE+-]*/y;
const BLANKS = /[ \t\n\r]*/y;

/** Return the value of a JSON text: an object is a Map, so that no name means anything. */
function read(text) {
  let place = 0;
  const match = (pattern) => {
    pattern.lastIndex = place;
    const found = pattern.exec(text);
    if (found) place = pattern.lastIndex;
    return found;
  };
  const sign = () => (match(BLANKS), text[place]);
  const take = (wanted) => need(sign() === wanted && (place += 1), `no ${wanted}`);
  const string = () => {
    sign();
    const found = match(STRING);
    need(found, "no text");
    const said = found[1].replace(/\\(u(....)|.)/g, (_, one, code) =>
      code ? String.fromCharCode(parseInt(code, 16)) : ESCAPES[one],
    );
    need(!/[\ud800-\udfff]/u.test(said), "a lone surrogate");
    return said;
  };
  const members = (end, member) => {
    place += 1;
    if (sign() === end) return void (place += 1);
    for (;;) {
      member();
      if (sign() === end) return void (place += 1);
      take(",");
    }
  };
  const value = () => {
    const first = sign();
    if (first === "{") {
      const object = new Map();
      members("}", () => {
        const name = string();
        need(!object.has(name), "a name that stands twice");
        take(":");
        object.set(name, value());
      });
      return object;
    }
    if (first === "[") {
      const list = [];
      members("]", () => list.push(value()));
      return list;
    }
    if (first === '"') return string();
    for (const [word, meant] of [["true", true], ["false", false], ["null", null]]) {
      if (text.startsWith(word, place)) return (place += word.length), meant;
    }
    const number = match(NUMBER)?.[0] ?? "";
    need(/^(0|-?[1-9][0-9]{0,15})$/.test(number), "a number in another form");
    need(Number.isSafeInteger(Number(number)), "a number that is too large");
    return Number(number);
  };
  const found = value();
  need(sign() === undefined, "more than one value");
  return found;
}

const compare = (one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other));

/** Return the canonical text of a value; the octets of UTF-8 sort as the code points do. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (!(value instanceof Map)) return JSON.stringify(value);
  const members = [...value.keys()].sort(compare);
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value.get(name))}`).join(",")}}`;
}

const isText = (value) => typeof value === "string";
const isCount = (value, least) => Number.isSafeInteger(value) && value >= least;
const isHex = (value, octets) => isText(value) && new RegExp(`^[0-9a-f]{${2 * octets}}$`).test(value);
const isDigestOrNone = (value) => value === "" || isHex(value, 32);
const list = (value) => (need(Array.isArray(value), "no array"), value);
const names = (value) => (need(value instanceof Map, "no object"), [...value.keys()]);

/** Return an object that must have these names, and may have some others, as one of JavaScript. */
function fields(value, must, may = "") {
  const wanted = must.split(" ");
  const allowed = new Set([...wanted, ...may.split(" ")]);
  need(wanted.every((name) => names(value).includes(name)), "a name that is missing");
  need(names(value).every((name) => allowed.has(name)), "a name that is too much");
  return Object.fromEntries(value);
}

const unhex = (value, octets = 32) => (need(isHex(value, octets), "no digits"), Buffer.from(value, "hex"));

function unbase64(text) {
  const octets = Buffer.from(text, "base64");
  need(octets.toString("base64") === text, "base64 in another form");
  return octets;
}

// --- Entries. ------------------------------------------------------------------------------------

const PARTS = ["consent", "person", "trace"];
const WORDINGS = ["mail_wording", "page_wording", "link_page_wording", "wording", "attest", "privacy_wording"];
const TEXTS = [
  ..."answer method reason basis by file purpose note proof given_by arrived_at left_at at".split(" "),
  ..."basis_at asked_at asked_again_at reminded_at deadline requested_at confirmed_at".split(" "),
  ..."address name source since list_name frequency privacy_url language status".split(" "),
  ..."imported_at".split(" "),
  ...WORDINGS,
];
const AT = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{6})\+00:00$/;
const DAY = 86_400_000_000n;

/** Return a moment in microseconds since 1970. */
function moment(at) {
  const [year, month, day, hour, minute, second, micro] = (isText(at) && AT.exec(at) || []).slice(1).map(Number);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const told = [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()];
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()];
  const is = [year, month, day, hour, minute, second];
  need(year > 0 && [...told, ...time].every((one, place) => one === is[place]), "no moment");
  return BigInt(date.getTime()) * 1000n + BigInt(micro);
}

/** Return a held entry as {head, parts: {name: content}, leaf}, its shape and digests checked. */
function held(value, isSubject) {
  const { entry, parts } = fields(value, "entry parts");
  const head = fields(entry, "seq at event list campaign subject actor consent person trace");
  need(isCount(head.seq, 1) && isCount(head.campaign, 0), "numbers");
  need(["event", "list", "actor"].every((name) => isText(head[name])), "texts");
  need(isText(head.subject) && isSubject(head.subject), "whose");
  need(PARTS.every((name) => isDigestOrNone(head[name])), "digests");
  const contents = {};
  for (const name of names(parts)) {
    need(PARTS.includes(name), "a part of another name");
    const { salt, content } = fields(parts.get(name), "salt content");
    const digest = sha256(unhex(salt, 16), canonical(content)).toString("hex");
    need(names(content) && digest === head[name], "a part");
    contents[name] = content;
  }
  return { head, at: moment(head.at), parts: contents, leaf: sha256(canonical(entry)) };
}

const isPerson = (subject) => isHex(subject, 16);
const told = (one) => one.parts.consent ?? new Map();

/** Refuse a content in which what makes the record is of another type. */
function typed(content) {
  const isOf = (holder, name, is) => (holder.get(name) ?? null) === null || is(holder.get(name));
  need(TEXTS.every((name) => isOf(content, name, isText)), "texts");
  need(isOf(content, "sensitive", (value) => typeof value === "boolean"), "sensitive");
  if (!content.has("unseen")) return;
  const unseen = content.get("unseen");
  need(names(unseen) && isText(unseen.get("purpose")), "unseen");
  need(["frequency", "language", "privacy_url"].every((name) => isOf(unseen, name, isText)), "unseen");
}

const MAY_SAY = {
  confirmed: { answer: ["yes"], basis: ["answer", "sign_up", "imported", "thin"] },
  customer: { basis: ["customer"] },
  removed: { answer: ["no"] },
};

function sensible(one) {
  for (const [name, values] of Object.entries(MAY_SAY[one.head.event] ?? {})) {
    need([undefined, null, "", ...values].includes(told(one).get(name)), "what an event cannot say");
  }
}

/** Refuse unless each wording has its digest, and just those are there that some digests name. */
function worded(wordings, named) {
  for (const digest of names(wordings)) {
    need(isText(wordings.get(digest)), "a wording");
    need(sha256(wordings.get(digest)).toString("hex") === digest, "a wording");
    need(named.has(digest), "a wording that nothing names");
  }
  need([...named].every((digest) => wordings.has(digest)), "a wording that is missing");
}

// --- The tree (RFC 9162 §2.1). -------------------------------------------------------------------

const inner = (left, right) => sha256(Buffer.of(1), left, right);
const outer = (leaf) => sha256(Buffer.of(0), leaf);

/** §2.1.3.2, with the numbers as pairs since they may pass 32 bits. */
function includes(leaf, index, size, path, root) {
  need(index < size, "an entry behind the checkpoint");
  let [place, last, hash] = [BigInt(index), BigInt(size) - 1n, outer(leaf)];
  for (const step of path) {
    need(last > 0n, "a path that is too long");
    if (place & 1n || place === last) {
      hash = inner(step, hash);
      while (!(place & 1n) && place > 0n) [place, last] = [place >> 1n, last >> 1n];
    } else {
      hash = inner(hash, step);
    }
    [place, last] = [place >> 1n, last >> 1n];
  }
  need(last === 0n && hash.equals(root), "a path");
}

/** §2.1.4.2. */
function goesOn(first, firstRoot, second, root, path) {
  need(first > 0 && first <= second, "a checkpoint before the first entry, or behind the last");
  if (first === second) return need(path.length === 0 && firstRoot.equals(root), "another root");
  need(path.length > 0, "no path");
  const isPower = (BigInt(first) & (BigInt(first) - 1n)) === 0n;
  const steps = isPower ? [firstRoot, ...path] : path;
  let [place, last] = [BigInt(first) - 1n, BigInt(second) - 1n];
  while (place & 1n) [place, last] = [place >> 1n, last >> 1n];
  let [older, newer] = [steps[0], steps[0]];
  for (const step of steps.slice(1)) {
    need(last > 0n, "a path that is too long");
    if (place & 1n || place === last) {
      [older, newer] = [inner(step, older), inner(step, newer)];
      while (!(place & 1n) && place > 0n) [place, last] = [place >> 1n, last >> 1n];
    } else {
      newer = inner(newer, step);
    }
    [place, last] = [place >> 1n, last >> 1n];
  }
  need(last === 0n && older.equals(firstRoot) && newer.equals(root), "a path");
}

const path = (value) => list(value).map((one) => unhex(one));

/** The tree that grows: the roots of the perfect trees, the largest first. */
class Tree {
  sizes = [];
  roots = [];
  add(leaf) {
    this.sizes.push(1);
    this.roots.push(outer(leaf));
    while (this.sizes.length > 1 && this.sizes.at(-1) === this.sizes.at(-2)) this.join(2 * this.sizes.at(-1));
  }
  join(size) {
    const [right, left] = [this.roots.pop(), this.roots.pop()];
    this.roots.push(inner(left, right));
    this.sizes.splice(-2, 2, size);
  }
  root() {
    return this.roots.reduceRight((right, left) => inner(left, right));
  }
}

// --- Signed notes. -------------------------------------------------------------------------------

const KEY = /^([^+\u0000- \u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/u;
const PRIME = 2n ** 255n - 19n;
/** The y of a point of order 8; those of smaller orders are 0, 1 and -1. */
const Y8 = 0x5fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
const SMALL = [0n, 1n, PRIME - 1n, Y8, PRIME - Y8];

function isSound(octets) {
  const y = BigInt(`0x${Buffer.from(octets).reverse().toString("hex")}`) & (2n ** 255n - 1n);
  return y < PRIME && !SMALL.includes(y);
}

function readKey(text, kind = 1) {
  const found = isText(text) && KEY.exec(text);
  need(found, "no key");
  const [, name, id, encoded] = found;
  const octets = unbase64(encoded);
  need(octets.length === 33 && octets[0] === kind, "a key of another kind");
  need(isSound(octets.subarray(1)), "a key that is no point, or of small order");
  need(sha256(`${name}\n`, octets).toString("hex").startsWith(id), "the key's id");
  const x = octets.subarray(1).toString("base64url");
  return { name, id, public: createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" }) };
}

function plain(note) {
  need(isText(note) && !/[\u0000-\u0009\u000b-\u001f]/.test(note), "a control sign");
  return note;
}

function readNote(note) {
  const end = plain(note).lastIndexOf("\n\n");
  need(end >= 0 && note.endsWith("\n"), "no note");
  const lines = note.slice(end + 2, -1).split("\n");
  const signatures = lines.map((line) => {
    const found = /^\u2014 ([^ +]+) ([^ ]+)$/u.exec(line);
    need(found, "a signature line");
    const octets = unbase64(found[2]);
    need(octets.length > 4, "a signature line");
    return { name: found[1], id: octets.subarray(0, 4).toString("hex"), made: octets.subarray(4) };
  });
  return { text: note.slice(0, end + 1), signatures };
}

function readText(text) {
  const [origin, size, root, chain, end, ...more] = plain(text).split("\n");
  need(origin && end === "" && more.length === 0, "no checkpoint");
  need(/^(0|[1-9][0-9]*)$/.test(size) && Number.isSafeInteger(Number(size)), "no size");
  need(/^repermit-chain-hash [0-9a-f]{64}$/.test(chain), "no hash of the chain");
  const octets = unbase64(root);
  need(octets.length === 32, "no root");
  return { seq: Number(size), hash: chain.slice(20), root: octets.toString("hex") };
}

const linesOf = (key, signatures) =>
  signatures.filter((one) => one.name === key.name && one.id === key.id);

const isSame = (one, other) => ["seq", "hash", "root"].every((name) => one[name] === other[name]);

/** Say whether a note has the signature of a key; refuse one that says so and is not that key's. */
function isSignedBy(note, key) {
  const { text, signatures } = readNote(note);
  const own = linesOf(key, signatures);
  need(own.every((one) => verify(null, Buffer.from(text), key.public, one.made)), "a signature");
  return own.length > 0;
}

/** Return the checkpoint of a document, its note and key checked, and who of some keys signed it. */
function checkpointOf(document, keys) {
  const value = document.checkpoint;
  const point = fields(value, "key" in document ? "seq hash root note" : "seq hash root");
  need(isCount(point.seq, 1) && isHex(point.hash, 32) && isHex(point.root, 32), "the checkpoint");
  if ("key" in document) {
    need(isSame(readText(readNote(point.note).text), point), "a note of another checkpoint");
    need(isSignedBy(point.note, readKey(document.key)), "no signature of the key");
  }
  const isKnown = (key) => {
    try {
      return "note" in point && isSignedBy(point.note, readKey(key));
    } catch {
      return false;
    }
  };
  const signers = keys.filter(isKnown);
  need(keys.length === 0 || signers.length > 0, "no signature of a key that is known");
  return { point, signers };
}

// --- Timestamps (RFC 3161 §2.4.2; DER, X.690). ---------------------------------------------------

function valuesIn(octets) {
  const found = [];
  for (let place = 0; place < octets.length; ) {
    const tag = octets[place];
    let [length, start] = [octets[place + 1], place + 2];
    if (length & 0x80) {
      const count = length & 0x7f;
      need(count > 0 && count < 5, "a length in another form");
      length = octets.readUIntBE(start, count);
      need(length > 0x7f && octets[start] > 0, "a length in another form");
      start += count;
    }
    need(start + length <= octets.length && (tag & 0x1f) !== 0x1f, "a value that is cut off");
    const content = octets.subarray(start, start + length);
    found.push({ tag, content });
    if (tag & 0x20) valuesIn(content);
    place = start + length;
  }
  return found;
}

const SHA256 = "06:608648016503040201";
const SIGNED_DATA = "06:2a864886f70d010702";
const TST_INFO = "06:2a864886f70d0109100104";
const POSITIVE = /^(00|(0[1-9a-f]|[1-7].)(..)*|00[89a-f].(..)*)$/;
const OBJECT_ID = /^(((8[1-9a-f]|[9a-f].)([89a-f].)*)?[0-7].)+$/;
const hex = (octets) => Buffer.from(octets).toString("hex");
const shown = ({ tag, content }) => `${hex([tag])}:${hex(content)}`;
const only = (values) => (need(values.length === 1, "more than one value"), values[0]);
const tagsOf = (...values) => hex(values.map((value) => value?.tag));
const inside = (value, tag) => (need(value?.tag === tag, "a value of another kind"), valuesIn(value.content));

/** Return the time that a reply tells of a note; an authority vouches for it, "" for nobody. */
function readStamp(note, encoded, ca) {
  const reply = unbase64(encoded);
  const [status, token, ...more] = inside(only(valuesIn(reply)), 0x30);
  need(shown(inside(status, 0x30)[0]) === "02:00" && more.length === 0, "refused");
  const [kind, content, ...behind] = inside(token, 0x30);
  need(shown(kind) === SIGNED_DATA && behind.length === 0, "no signed data");
  const [version, algorithms, held, ...rest] = inside(only(inside(content, 0xa0)), 0x30);
  need(/^0231(a0)?(a1)?31$/.test(tagsOf(version, algorithms, ...rest)), "no signed data");
  const [what, wrapped, ...none] = inside(held, 0x30);
  need(shown(what) === TST_INFO && none.length === 0, "no TSTInfo");
  const info = inside(only(inside(only(inside(wrapped, 0xa0)), 0x04)), 0x30);
  const [number, policy, imprint, serial, time, ...others] = info;
  need(shown(number) === "02:01", "another version");
  need(/^060218(30)?(01)?(02)?(a0)?(a1)?$/.test(tagsOf(policy, serial, time, ...others)), "no TSTInfo");
  const numbers = [serial, ...others.filter((one) => one.tag === 2)];
  need(numbers.every((one) => POSITIVE.test(hex(one.content))), "a number in another form");
  need(OBJECT_ID.test(hex(policy.content)), "no policy");
  need(others.every((one) => one.tag !== 1 || hex(one.content) === "ff"), "an order in another form");
  const [algorithm, digest, ...beyond] = inside(imprint, 0x30);
  const isSha256 = [SHA256, `${SHA256} 05:`].includes(inside(algorithm, 0x30).map(shown).join(" "));
  need(isSha256 && digest?.tag === 4 && beyond.length === 0, "not SHA-256");
  need(digest.content.equals(sha256(note)), "a timestamp of another note");
  const at = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{0,8}[1-9]))?Z$/.exec(time.content.toString("latin1"));
  need(at, "no time");
  const micro = (at[7] ?? "").padEnd(6, "0").slice(0, 6);
  const told = `${at[1]}-${at[2]}-${at[3]}T${at[4]}:${at[5]}:${at[6]}.${micro}+00:00`;
  const seconds = moment(told) / 1_000_000n;
  if (ca) vouchedFor(reply, digest.content, seconds, ca);
  return told;
}

function vouchedFor(reply, digest, seconds, ca) {
  const folder = mkdtempSync(join(tmpdir(), "stamp-"));
  try {
    const file = join(folder, "reply.tsr");
    writeFileSync(file, reply);
    const given = ["ts", "-verify", "-digest", digest.toString("hex"), "-in", file];
    const ran = spawnSync("openssl", [...given, "-CAfile", ca, "-attime", String(seconds)]);
    need(ran.status === 0, "a timestamp that nobody vouches for");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Return [seq, time] for each timestamp; `agrees` holds its checkpoint against the document's. */
function stampsOf(document, must, ca, agrees) {
  if (!("timestamps" in document)) return [];
  need(list(document.timestamps).length > 0, "no timestamps");
  return document.timestamps.map((value) => {
    const stamp = fields(value, must);
    const isNote = isText(stamp.note) && stamp.note.includes("\n\n");
    const point = readText(isNote ? readNote(stamp.note).text : stamp.note);
    agrees(point, stamp);
    if (isNote && "key" in document) isSignedBy(stamp.note, readKey(document.key));
    return [point.seq, readStamp(stamp.note, stamp.reply, ca)];
  });
}

/** Return when a witness cosigned a note, in POSIX seconds; refuse a line of its name that is not its. */
function cosignedAt({ text, signatures }, witness) {
  return linesOf(witness, signatures).map(({ made }) => {
    need(made.length === 8 + 64, "a cosignature of another length");
    const seconds = made.readBigUInt64BE();
    need(seconds > 0n && seconds <= 253402300799n, "a cosignature of another time");
    const signed = Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`);
    need(verify(null, signed, witness.public, made.subarray(8)), "a cosignature");
    return Number(seconds);
  });
}

/** Return [seq, POSIX seconds, key, origin] for what witnesses cosigned, each at `first` or later; `agrees` as above. */
function cosignedOf(document, must, witnesses, first, agrees) {
  const shown = "cosigned" in document ? list(document.cosigned) : [];
  need(shown.length > 0 || !("cosigned" in document), "nothing cosigned");
  const found = shown.flatMap((value) => {
    const one = fields(value, must);
    const note = readNote(one.note);
    const point = readText(note.text);
    agrees(point, one);
    if ("key" in document) {
      const key = readKey(document.key);
      isSignedBy(one.note, key);
      need(linesOf(key, note.signatures).length < note.signatures.length, "no line of a witness");
    }
    const [origin] = note.text.split("\n");
    const tell = (key) => cosignedAt(note, readKey(key, 4)).map((at) => [point.seq, at, key, origin]);
    return witnesses.flatMap(tell);
  });
  const isIn = (key) => found.some(([seq, , by]) => by === key && seq >= first);
  need(witnesses.every(isIn), "a witness who has cosigned nothing of it");
  return found;
}

// --- A proof. ------------------------------------------------------------------------------------

function checkProof(value, { keys, ca, witnesses }) {
  const is2 = value.get("format") === "repermit-proof/2";
  need(is2 || value.get("format") === "repermit-proof/1", "another format");
  const document = fields(
    value,
    "format statement seal paths previous checkpoint",
    is2 ? "last consistency key timestamps cosigned" : "last consistency",
  );
  const said = statementOf(document.statement);
  const seal = held(document.seal, isPerson);
  const last = "last" in document ? held(document.last, (one) => one === "" || isPerson(one)) : seal;
  const { point, signers } = checkpointOf(document, keys);
  const root = unhex(point.root);
  checkSeal(said, document.statement, seal);
  need(last === seal || Object.keys(last.parts).length === 0, "parts of the last entry");
  checkPaths(document.paths, [...said.entries, ...said.campaigns, seal, last], point);
  const link = sha256(unhex(document.previous), last.leaf).toString("hex");
  need(link === point.hash && last.head.seq === point.seq, "the chain");
  if ("consistency" in document) {
    const shown = fields(document.consistency, "earlier path");
    const earlier = fields(shown.earlier, "seq root");
    need(isCount(earlier.seq, 1), "no number");
    goesOn(earlier.seq, unhex(earlier.root), point.seq, root, path(shown.path));
  }
  const agrees = (one, shown) => {
    need(one.seq >= said.entries[0].head.seq, "a checkpoint that covers no entry");
    goesOn(one.seq, unhex(one.root), point.seq, root, path(shown.path));
  };
  const stamps = stampsOf(document, "note path reply", ca, agrees);
  return { signers, stamps, cosigned: cosignedOf(document, "note path", witnesses, 0, agrees) };
}

function statementOf(value) {
  const said = fields(value, "list subject named controller retention entries wordings record", "register campaign_entries");
  const named = fields(said.named, "salt digest");
  need(isText(said.list) && isHex(said.subject, 16), "the statement");
  need((isHex(named.salt, 16) && isHex(named.digest, 32)) || (named.salt === "" && named.digest === ""), "named");
  need(names(said.controller).every((name) => isText(said.controller.get(name))), "controller");
  need(Object.values(fields(said.retention, "pii proof trace")).every(isText), "retention");
  if ("register" in said) {
    const lists = Object.values(fields(said.register, "storage_locations recipients"));
    need(lists.flatMap(list).every((text) => isText(text) && text !== ""), "register");
  }
  need(list(said.entries).length > 0, "no entries");
  const entries = said.entries.map((one) => held(one, isPerson));
  let before = 0;
  for (const one of entries) {
    need(one.head.seq > before, "order");
    before = one.head.seq;
    need(one.head.subject === said.subject, "an entry of somebody else");
    need(one.head.list === said.list || one.head.event === "erased", "an entry of another list");
    Object.values(one.parts).forEach(typed);
    sensible(one);
  }
  const digests = entries.flatMap((one) => WORDINGS.map((name) => told(one).get(name)));
  worded(said.wordings, new Set(digests.filter((digest) => digest)));
  const record = recordOf({ ...said, entries });
  need(canonical(record) === canonical(said.record), "the record");
  return { ...said, entries, campaigns: campaignsOf(said, entries) };
}

const SETS = { launched: "deadline", extended: "to" };

/** Return how the campaigns of a person's entries were launched and extended. */
function campaignsOf(said, entries) {
  if (!("campaign_entries" in said)) return [];
  const campaigns = list(said.campaign_entries).map((one) => held(one, (subject) => subject === ""));
  need(campaigns.length > 0, "no campaigns");
  const numbers = new Set(entries.map((one) => one.head.campaign).filter((number) => number > 0));
  let before = 0;
  for (const { head, parts } of campaigns) {
    need(head.seq > before, "order");
    before = head.seq;
    need(Object.hasOwn(SETS, head.event), "what sets no deadline");
    need(head.list === said.list && numbers.has(head.campaign), "a campaign of others");
    need(head.person === "" && head.trace === "" && Object.keys(parts).join() === "consent", "a part");
  }
  for (const one of entries) {
    const last = campaigns.findLast((by) => by.head.campaign === one.head.campaign && by.head.seq < one.head.seq);
    const deadline = told(one).get("deadline");
    if (!last || !deadline || told(one).get("reason") !== "no_response") continue;
    need(told(last).get(SETS[last.head.event]) === deadline, "another deadline");
    need(moment(deadline) <= one.at, "a removal before the deadline");
  }
  return campaigns;
}

function checkSeal(said, statement, seal) {
  const { head, parts } = seal;
  need(head.event === "proved" && head.list === said.list && head.subject === said.subject, "the seal");
  need(head.person === "" && head.trace === "" && Object.keys(parts).join() === "consent", "its one part");
  const { statement: digest } = fields(parts.consent, "statement");
  need(digest === sha256(canonical(statement)).toString("hex"), "a seal of another statement");
  const sealed = [...said.entries, ...said.campaigns];
  need(sealed.every((one) => one.head.seq < head.seq), "a seal before what it seals");
  need(sealed.every((one) => one.at - seal.at <= DAY), "an entry later than the seal");
}

function checkPaths(paths, entries, point) {
  const seqs = new Set(entries.map((one) => String(one.head.seq)));
  need(names(paths).length === seqs.size, "paths");
  for (const { head, leaf } of entries) {
    need(paths.has(String(head.seq)), "a path that is missing");
    includes(leaf, head.seq - 1, point.seq, path(paths.get(String(head.seq))), unhex(point.root));
  }
}

// --- An export of the evidence. ------------------------------------------------------------------

function checkExport(value, { keys, ca, witnesses }) {
  need(value.get("format") === "repermit-evidence/1", "another format");
  const document = fields(value, "format list checkpoint entries wordings leaves", "key timestamps cosigned audiences");
  const { point, signers } = checkpointOf(document, keys);
  need(isText(document.list) && list(document.leaves).length === point.seq, "leaves");
  const entries = list(document.entries).map((one) => held(one, () => true));
  checkExported(entries, document.list, document.leaves);
  worded(document.wordings, new Set(entries.flatMap((one) => [...wordingsIn(told(one), false)])));
  accounted(entries, document.audiences ?? new Map());
  const points = pointsOver(document.leaves);
  need(isSame(points(point.seq), point), "the checkpoint is not that of the leaves");
  const stamps = stampsOf(document, "note reply", ca, (one) =>
    need(one.seq <= point.seq && isSame(points(one.seq), one), "a timestamp over another record"),
  );
  const cosigned = cosignedOf(document, "note", witnesses, entries[0]?.head.seq ?? 0, (one) =>
    need(one.seq <= point.seq && isSame(points(one.seq), one), "another record is cosigned"),
  );
  return { signers, stamps, cosigned };
}

/** Return what gives the checkpoint after so many leaves. */
function pointsOver(leaves) {
  const octets = leaves.map((leaf) => unhex(leaf));
  return (seq) => {
    const tree = new Tree();
    let hash = Buffer.alloc(32);
    for (const leaf of octets.slice(0, seq)) {
      tree.add(leaf);
      hash = sha256(hash, leaf);
    }
    need(seq > 0, "a checkpoint before the first entry");
    return { seq, hash: hash.toString("hex"), root: tree.root().toString("hex") };
  };
}

const BESIDE = [
  ..."evidence_key timestamp_authority restored settings_changed token_made token_revoked".split(" "),
  ..."user_added user_invited".split(" "),
  ..."user_role_changed user_removed password_chosen password_changed second_step_set_up".split(" "),
];

function checkExported(entries, slug, leaves) {
  let before = 0;
  for (const one of entries) {
    need(one.head.seq > before, "order");
    before = one.head.seq;
    need(one.leaf.toString("hex") === leaves[one.head.seq - 1], "an entry that has another leaf");
    const isBeside = one.head.event === "erased" || (one.head.list === "" && BESIDE.includes(one.head.event));
    need(one.head.list === slug || isBeside, "an entry of another list");
  }
  const erasures = erasuresIn(entries);
  for (const { head, parts } of entries) {
    for (const name of PARTS.filter((part) => head[part] !== "" && !(part in parts))) {
      const may = [...(head.subject === "" ? [] : [head.subject]), ...(name === "person" ? [] : [""])];
      const isNamed = may.some((subject) => erasures.get(partId(subject, name, head.seq)) > head.seq);
      need(isNamed, "a part that is gone, and no erasure names it");
    }
  }
}

const partId = (...values) => canonical(values);

/** Return which parts are erased, of a person, or of anybody by the job (""), and by which entry last. */
function erasuresIn(entries) {
  const found = new Map();
  for (const one of entries) {
    const { event, subject, actor, seq } = one.head;
    const [seqs, parts] = [told(one).get("seqs"), told(one).get("parts")];
    const isErasure = event === "erased" && (subject !== "" || actor === "job");
    if (!isErasure || !Array.isArray(seqs) || !Array.isArray(parts)) continue;
    for (const name of parts) for (const gone of seqs) found.set(partId(subject, name, gone), seq);
  }
  return found;
}

const IS_WORDING = /^[^"]*wordings?$|^(told|attest|own_subject|own_text|own_html)$/;

/** Yield the digests of wordings that a content names, at whatever depth. */
function* wordingsIn(value, isNamed) {
  if (value instanceof Map) {
    for (const [name, one] of value) yield* wordingsIn(one, isNamed || IS_WORDING.test(name));
  } else if (isNamed && isHex(value, 32)) {
    yield value;
  }
}

const STANDING = { confirmed: "confirmed", customer: "customer", added: "unconfirmed" };
const TELLING = ["removed", "import_undone", "sign_up_undone", "opted_out"];
const textOf = (content, name) => (isText(content.get(name)) ? content.get(name) : "");
const isWhole = (value) => Number.isSafeInteger(value);
const sum = (numbers) => numbers.reduce((one, other) => one + other, 0);

/** Check that entries show what became of everybody whom each launch asked. */
function accounted(entries, audiences) {
  const launches = launchesIn(entries);
  for (const number of names(audiences)) need(launches.get(number)?.audience, "who was asked by no launch");
  for (const [number, { asked, audience, deleted, closed }] of launches) {
    const people = audiences.get(number);
    const gone = audience ? asked - list(people).length : 0;
    if (audience) {
      need(people.every((one, place) => isText(one) && (place === 0 || compare(people[place - 1], one) < 0)), "order");
      const lines = people.map((one) => `${one}\n`).join("");
      need(gone !== 0 || sha256(Buffer.from(lines)).toString("hex") === audience, "other people were asked");
      need(0 <= gone && gone <= sum(deleted), "how many were asked");
    }
    if (!closed) continue;
    const counts = closed.counts;
    const total = sum([...counts.values()]);
    need(asked - sum(deleted) <= total && total <= asked, "the sum of what became of them");
    if (!audience) continue;
    const fates = people.map((one) => closed.stood.get(one) ?? "unconfirmed");
    const count = (fate) => fates.filter((one) => one === fate).length;
    for (const fate of new Set([...counts.keys(), ...fates].filter((one) => one !== ""))) {
      const [least, told] = [count(fate), counts.get(fate) ?? 0];
      need(least <= told && told <= least + count("") + gone, "a count");
    }
  }
}

/** Return the launches by their numbers, with what came after each. */
function launchesIn(entries) {
  const [found, stood, erased] = [new Map(), new Map(), new Set()];
  for (const one of entries) {
    const [{ event, subject }, content, number] = [one.head, told(one), String(one.head.campaign)];
    const launch = found.get(number);
    if (subject !== "") {
      let fate = STANDING[event];
      if (TELLING.includes(event)) fate = textOf(content, "reason") || textOf(content, "status");
      else if (event === "erased" && content.has("imported_at")) fate = "";
      if (fate !== undefined) stood.set(subject, erased.has(subject) ? "" : fate);
      else if (event === "erased") erased.add(subject);
      const isSilence = textOf(content, "reason") === "no_response";
      const [deadline, last] = [isSilence ? textOf(content, "deadline") : "", launch?.deadline ?? ""];
      const isAfterLast = last === deadline && deadline <= one.head.at;
      need(deadline === "" || last === "" || isAfterLast, "another deadline");
    } else if (event === "launched" && isWhole(content.get("asked"))) {
      const [audience, deadline] = [textOf(content, "audience"), textOf(content, "deadline")];
      found.set(number, { asked: content.get("asked"), audience, deadline, deleted: [] });
    } else if (event === "extended" && launch) {
      launch.deadline = textOf(content, "to");
    } else if (event === "import_undone" && isWhole(content.get("contacts"))) {
      for (const other of found.values()) other.deleted.push(content.get("contacts"));
    } else if (event === "closed" && launch && content.get("counts") instanceof Map) {
      const counts = content.get("counts");
      if ([...counts.values()].every(isWhole)) launch.closed = { counts, stood: new Map(stood) };
    }
  }
  return found;
}

// --- What is asked. ------------------------------------------------------------------------------

/** Return who signed and cosigned a file that holds, and what its timestamps tell; throws if it does not hold. */
export function check(octets, { keys = [], ca = "", witnesses = [] } = {}) {
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(octets);
  const value = read(text);
  names(value);
  const isExport = isText(value.get("format")) && value.get("format").startsWith("repermit-evidence/");
  return (isExport ? checkExport : checkProof)(value, { keys, ca, witnesses });
}

function verdict(octets, known) {
  try {
    return { holds: true, ...check(octets, known) };
  } catch (error) {
    return { holds: false, why: String(error.message) };
  }
}

const [file, key, ca, ...witnesses] = process.argv.slice(2);
if (file) {
  const found = verdict(readFileSync(file), { keys: key ? [key] : [], ca, witnesses });
  console.log(JSON.stringify(found));
  process.exitCode = found.holds ? 0 : 1;
} else {
  for await (const line of createInterface({ input: process.stdin })) {
    const { file: encoded, ...known } = JSON.parse(line);
    console.log(JSON.stringify(verdict(Buffer.from(encoded, "base64"), known)));
  }
}

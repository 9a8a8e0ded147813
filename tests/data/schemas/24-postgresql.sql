-- A database of version 24, as repermit of commit 857b5f4 makes and fills it.
CREATE FUNCTION count_contact() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN IF TG_OP = 'INSERT' THEN INSERT INTO contact_count (list_id, status, reason, basis, language, count) SELECT list_id, status, reason, basis, language, SUM(change) FROM (SELECT came.list_id AS list_id, came.status AS status, came.reason AS reason, came.basis AS basis, came.language AS language, 1 AS change FROM came) AS changes GROUP BY list_id, status, reason, basis, language HAVING SUM(change) <> 0; ELSIF TG_OP = 'DELETE' THEN INSERT INTO contact_count (list_id, status, reason, basis, language, count) SELECT list_id, status, reason, basis, language, SUM(change) FROM (SELECT went.list_id AS list_id, went.status AS status, went.reason AS reason, went.basis AS basis, went.language AS language, -1 AS change FROM went) AS changes GROUP BY list_id, status, reason, basis, language HAVING SUM(change) <> 0; ELSE INSERT INTO contact_count (list_id, status, reason, basis, language, count) SELECT list_id, status, reason, basis, language, SUM(change) FROM (SELECT came.list_id AS list_id, came.status AS status, came.reason AS reason, came.basis AS basis, came.language AS language, 1 AS change FROM came UNION ALL SELECT went.list_id AS list_id, went.status AS status, went.reason AS reason, went.basis AS basis, went.language AS language, -1 AS change FROM went) AS changes GROUP BY list_id, status, reason, basis, language HAVING SUM(change) <> 0; END IF; RETURN NULL; END $$;
CREATE FUNCTION count_held() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN IF TG_OP = 'INSERT' THEN INSERT INTO held_count (list_id, addressed, named, sourced, count) SELECT list_id, addressed, named, sourced, SUM(change) FROM (SELECT came.list_id AS list_id, CASE WHEN came.address IS NOT NULL THEN 1 ELSE 0 END AS addressed, CASE WHEN came.name <> '' THEN 1 ELSE 0 END AS named, CASE WHEN came.source <> '' THEN 1 ELSE 0 END AS sourced, 1 AS change FROM came) AS changes GROUP BY list_id, addressed, named, sourced HAVING SUM(change) <> 0; ELSIF TG_OP = 'DELETE' THEN INSERT INTO held_count (list_id, addressed, named, sourced, count) SELECT list_id, addressed, named, sourced, SUM(change) FROM (SELECT went.list_id AS list_id, CASE WHEN went.address IS NOT NULL THEN 1 ELSE 0 END AS addressed, CASE WHEN went.name <> '' THEN 1 ELSE 0 END AS named, CASE WHEN went.source <> '' THEN 1 ELSE 0 END AS sourced, -1 AS change FROM went) AS changes GROUP BY list_id, addressed, named, sourced HAVING SUM(change) <> 0; ELSE INSERT INTO held_count (list_id, addressed, named, sourced, count) SELECT list_id, addressed, named, sourced, SUM(change) FROM (SELECT came.list_id AS list_id, CASE WHEN came.address IS NOT NULL THEN 1 ELSE 0 END AS addressed, CASE WHEN came.name <> '' THEN 1 ELSE 0 END AS named, CASE WHEN came.source <> '' THEN 1 ELSE 0 END AS sourced, 1 AS change FROM came UNION ALL SELECT went.list_id AS list_id, CASE WHEN went.address IS NOT NULL THEN 1 ELSE 0 END AS addressed, CASE WHEN went.name <> '' THEN 1 ELSE 0 END AS named, CASE WHEN went.source <> '' THEN 1 ELSE 0 END AS sourced, -1 AS change FROM went) AS changes GROUP BY list_id, addressed, named, sourced HAVING SUM(change) <> 0; END IF; RETURN NULL; END $$;
CREATE FUNCTION count_mail() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN IF TG_OP = 'INSERT' THEN INSERT INTO mail_count (list_id, campaign_id, kind, state, reason, bounce, count) SELECT list_id, campaign_id, kind, state, reason, bounce, SUM(change) FROM (SELECT came.list_id AS list_id, COALESCE(came.campaign_id, 0) AS campaign_id, came.kind AS kind, came.state AS state, came.reason AS reason, came.bounce AS bounce, 1 AS change FROM came) AS changes GROUP BY list_id, campaign_id, kind, state, reason, bounce HAVING SUM(change) <> 0; ELSIF TG_OP = 'DELETE' THEN INSERT INTO mail_count (list_id, campaign_id, kind, state, reason, bounce, count) SELECT list_id, campaign_id, kind, state, reason, bounce, SUM(change) FROM (SELECT went.list_id AS list_id, COALESCE(went.campaign_id, 0) AS campaign_id, went.kind AS kind, went.state AS state, went.reason AS reason, went.bounce AS bounce, -1 AS change FROM went) AS changes GROUP BY list_id, campaign_id, kind, state, reason, bounce HAVING SUM(change) <> 0; ELSE INSERT INTO mail_count (list_id, campaign_id, kind, state, reason, bounce, count) SELECT list_id, campaign_id, kind, state, reason, bounce, SUM(change) FROM (SELECT came.list_id AS list_id, COALESCE(came.campaign_id, 0) AS campaign_id, came.kind AS kind, came.state AS state, came.reason AS reason, came.bounce AS bounce, 1 AS change FROM came UNION ALL SELECT went.list_id AS list_id, COALESCE(went.campaign_id, 0) AS campaign_id, went.kind AS kind, went.state AS state, went.reason AS reason, went.bounce AS bounce, -1 AS change FROM went) AS changes GROUP BY list_id, campaign_id, kind, state, reason, bounce HAVING SUM(change) <> 0; END IF; RETURN NULL; END $$;
CREATE FUNCTION count_part() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN IF TG_OP = 'INSERT' THEN INSERT INTO part_count (list, part, personal, count) SELECT list, part, personal, SUM(change) FROM (SELECT COALESCE((SELECT list FROM evidence WHERE evidence.seq = came.seq), '') AS list, came.part AS part, COALESCE((SELECT CASE WHEN subject <> '' THEN 1 ELSE 0 END FROM evidence WHERE evidence.seq = came.seq), 0) AS personal, 1 AS change FROM came) AS changes GROUP BY list, part, personal HAVING SUM(change) <> 0; ELSIF TG_OP = 'DELETE' THEN INSERT INTO part_count (list, part, personal, count) SELECT list, part, personal, SUM(change) FROM (SELECT COALESCE((SELECT list FROM evidence WHERE evidence.seq = went.seq), '') AS list, went.part AS part, COALESCE((SELECT CASE WHEN subject <> '' THEN 1 ELSE 0 END FROM evidence WHERE evidence.seq = went.seq), 0) AS personal, -1 AS change FROM went) AS changes GROUP BY list, part, personal HAVING SUM(change) <> 0; ELSE INSERT INTO part_count (list, part, personal, count) SELECT list, part, personal, SUM(change) FROM (SELECT COALESCE((SELECT list FROM evidence WHERE evidence.seq = came.seq), '') AS list, came.part AS part, COALESCE((SELECT CASE WHEN subject <> '' THEN 1 ELSE 0 END FROM evidence WHERE evidence.seq = came.seq), 0) AS personal, 1 AS change FROM came UNION ALL SELECT COALESCE((SELECT list FROM evidence WHERE evidence.seq = went.seq), '') AS list, went.part AS part, COALESCE((SELECT CASE WHEN subject <> '' THEN 1 ELSE 0 END FROM evidence WHERE evidence.seq = went.seq), 0) AS personal, -1 AS change FROM went) AS changes GROUP BY list, part, personal HAVING SUM(change) <> 0; END IF; RETURN NULL; END $$;
CREATE FUNCTION count_suppression() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN IF TG_OP = 'INSERT' THEN INSERT INTO suppression_count (list_id, reason, imported, count) SELECT list_id, reason, imported, SUM(change) FROM (SELECT COALESCE(came.list_id, 0) AS list_id, came.reason AS reason, CASE WHEN came.imported_by_id IS NOT NULL THEN 1 ELSE 0 END AS imported, 1 AS change FROM came) AS changes GROUP BY list_id, reason, imported HAVING SUM(change) <> 0; ELSIF TG_OP = 'DELETE' THEN INSERT INTO suppression_count (list_id, reason, imported, count) SELECT list_id, reason, imported, SUM(change) FROM (SELECT COALESCE(went.list_id, 0) AS list_id, went.reason AS reason, CASE WHEN went.imported_by_id IS NOT NULL THEN 1 ELSE 0 END AS imported, -1 AS change FROM went) AS changes GROUP BY list_id, reason, imported HAVING SUM(change) <> 0; ELSE INSERT INTO suppression_count (list_id, reason, imported, count) SELECT list_id, reason, imported, SUM(change) FROM (SELECT COALESCE(came.list_id, 0) AS list_id, came.reason AS reason, CASE WHEN came.imported_by_id IS NOT NULL THEN 1 ELSE 0 END AS imported, 1 AS change FROM came UNION ALL SELECT COALESCE(went.list_id, 0) AS list_id, went.reason AS reason, CASE WHEN went.imported_by_id IS NOT NULL THEN 1 ELSE 0 END AS imported, -1 AS change FROM went) AS changes GROUP BY list_id, reason, imported HAVING SUM(change) <> 0; END IF; RETURN NULL; END $$;
CREATE TABLE access (
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    actor character varying(255) NOT NULL,
    act character varying(255) NOT NULL,
    list character varying(255) NOT NULL,
    subject character varying(32) NOT NULL
);
CREATE SEQUENCE access_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE access_id_seq OWNED BY access.id;
CREATE TABLE api_token (
    id integer NOT NULL,
    name character varying(255) NOT NULL,
    digest character varying(64) NOT NULL,
    scopes character varying(255) NOT NULL,
    created_by character varying(255) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    revoked_at timestamp with time zone
);
CREATE SEQUENCE api_token_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE api_token_id_seq OWNED BY api_token.id;
CREATE TABLE campaign (
    id integer NOT NULL,
    list_id integer NOT NULL,
    state character varying(255) NOT NULL,
    paused_from character varying(255) NOT NULL,
    pause_reason character varying(255) NOT NULL,
    deadline timestamp with time zone NOT NULL,
    launched_at timestamp with time zone NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    opened_at timestamp with time zone,
    closed_at timestamp with time zone,
    include_thin boolean NOT NULL,
    minimum_days integer NOT NULL,
    downtime integer NOT NULL,
    pilot integer NOT NULL,
    reminder_at timestamp with time zone,
    reminded_at timestamp with time zone,
    brake_sent integer NOT NULL,
    brake_bounced integer NOT NULL,
    brake_complaints integer NOT NULL
);
CREATE SEQUENCE campaign_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE campaign_id_seq OWNED BY campaign.id;
CREATE TABLE campaign_wording (
    id integer NOT NULL,
    campaign_id integer NOT NULL,
    kind character varying(255) NOT NULL,
    language character varying(255) NOT NULL,
    revision smallint NOT NULL,
    wording_id character varying(64) NOT NULL
);
CREATE SEQUENCE campaign_wording_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE campaign_wording_id_seq OWNED BY campaign_wording.id;
CREATE TABLE chosen (
    key character varying(255) NOT NULL,
    value text NOT NULL,
    at timestamp with time zone NOT NULL,
    by character varying(255) NOT NULL
);
CREATE TABLE contact (
    id bigint NOT NULL,
    list_id integer NOT NULL,
    uid character varying(32) NOT NULL,
    subject character varying(32) NOT NULL,
    address text,
    address_key text NOT NULL,
    name text NOT NULL,
    language character varying(255) NOT NULL,
    source text NOT NULL,
    since timestamp with time zone,
    status character varying(255) NOT NULL,
    status_at timestamp with time zone NOT NULL,
    reason character varying(255) NOT NULL,
    basis character varying(255) NOT NULL,
    basis_at timestamp with time zone,
    imported_by_id integer,
    erased_at timestamp with time zone
);
CREATE TABLE contact_count (
    id bigint NOT NULL,
    list_id integer NOT NULL,
    status character varying(255) NOT NULL,
    reason character varying(255) NOT NULL,
    basis character varying(255) NOT NULL,
    language character varying(255) NOT NULL,
    count bigint NOT NULL
);
CREATE SEQUENCE contact_count_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE contact_count_id_seq OWNED BY contact_count.id;
CREATE SEQUENCE contact_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE contact_id_seq OWNED BY contact.id;
CREATE TABLE correction (
    id integer NOT NULL,
    language character varying(255) NOT NULL,
    key character varying(255) NOT NULL,
    source text NOT NULL,
    forms text NOT NULL,
    at timestamp with time zone NOT NULL,
    by character varying(255) NOT NULL
);
CREATE SEQUENCE correction_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE correction_id_seq OWNED BY correction.id;
CREATE TABLE delivery (
    id bigint NOT NULL,
    webhook_id integer NOT NULL,
    seq bigint NOT NULL,
    state character varying(255) NOT NULL,
    attempts smallint NOT NULL,
    due_at timestamp with time zone NOT NULL,
    lease_until timestamp with time zone,
    at timestamp with time zone,
    reply_code integer NOT NULL,
    problem character varying(255) NOT NULL
);
CREATE SEQUENCE delivery_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE delivery_id_seq OWNED BY delivery.id;
CREATE TABLE draft (
    id integer NOT NULL,
    list_id integer NOT NULL,
    answers text NOT NULL,
    updated_at timestamp with time zone NOT NULL
);
CREATE SEQUENCE draft_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE draft_id_seq OWNED BY draft.id;
CREATE TABLE evidence (
    seq bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    event character varying(255) NOT NULL,
    list character varying(255) NOT NULL,
    campaign integer NOT NULL,
    subject character varying(32) NOT NULL,
    actor character varying(255) NOT NULL,
    consent character varying(64) NOT NULL,
    person character varying(64) NOT NULL,
    trace character varying(64) NOT NULL,
    hash character varying(64) NOT NULL
);
CREATE TABLE evidence_head (
    id integer NOT NULL,
    seq bigint NOT NULL,
    hash character varying(64) NOT NULL,
    root character varying(64) NOT NULL,
    frontier text NOT NULL
);
CREATE TABLE evidence_node (
    level smallint NOT NULL,
    place bigint NOT NULL,
    hash character varying(64) NOT NULL
);
CREATE TABLE evidence_part (
    id bigint NOT NULL,
    seq bigint NOT NULL,
    part character varying(255) NOT NULL,
    salt character varying(32) NOT NULL,
    json text NOT NULL
);
CREATE SEQUENCE evidence_part_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE evidence_part_id_seq OWNED BY evidence_part.id;
CREATE TABLE fresh_link (
    id bigint NOT NULL,
    contact_id bigint NOT NULL,
    mail_id bigint NOT NULL,
    purpose character varying(255) NOT NULL,
    uid character varying(32) NOT NULL,
    address text NOT NULL,
    address_key text NOT NULL,
    language character varying(255) NOT NULL,
    at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    authority character varying(64) NOT NULL
);
CREATE SEQUENCE fresh_link_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE fresh_link_id_seq OWNED BY fresh_link.id;
CREATE TABLE handed_over (
    id integer NOT NULL,
    campaign_id integer NOT NULL,
    tool character varying(255) NOT NULL,
    step character varying(255) NOT NULL,
    by character varying(255) NOT NULL,
    at timestamp with time zone NOT NULL
);
CREATE SEQUENCE handed_over_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE handed_over_id_seq OWNED BY handed_over.id;
CREATE TABLE held_count (
    id bigint NOT NULL,
    list_id integer NOT NULL,
    addressed integer NOT NULL,
    named integer NOT NULL,
    sourced integer NOT NULL,
    count bigint NOT NULL
);
CREATE SEQUENCE held_count_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE held_count_id_seq OWNED BY held_count.id;
CREATE TABLE import (
    id integer NOT NULL,
    list_id integer NOT NULL,
    file text NOT NULL,
    digest character varying(64) NOT NULL,
    counts text NOT NULL,
    before text NOT NULL,
    at timestamp with time zone NOT NULL,
    undone_at timestamp with time zone
);
CREATE SEQUENCE import_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE import_id_seq OWNED BY import.id;
CREATE TABLE invitation (
    id integer NOT NULL,
    user_id integer NOT NULL,
    digest character varying(64) NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone
);
CREATE SEQUENCE invitation_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE invitation_id_seq OWNED BY invitation.id;
CREATE TABLE launching (
    campaign_id integer NOT NULL,
    actor character varying(255) NOT NULL,
    facts text NOT NULL,
    reached bigint NOT NULL,
    newest bigint NOT NULL,
    owed integer NOT NULL,
    suppressed integer NOT NULL
);
CREATE TABLE list_text (
    id integer NOT NULL,
    list_id integer NOT NULL,
    language character varying(255) NOT NULL,
    name text NOT NULL,
    purpose text NOT NULL,
    frequency text NOT NULL,
    privacy_url text NOT NULL,
    own_subject text NOT NULL,
    own_text text NOT NULL,
    own_html text NOT NULL
);
CREATE SEQUENCE list_text_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE list_text_id_seq OWNED BY list_text.id;
CREATE TABLE mail (
    id bigint NOT NULL,
    list_id integer NOT NULL,
    campaign_id integer,
    contact_id bigint,
    sign_up_id bigint,
    kind character varying(255) NOT NULL,
    state character varying(255) NOT NULL,
    reason character varying(255) NOT NULL,
    due_at timestamp with time zone NOT NULL,
    attempts smallint NOT NULL,
    worker character varying(255) NOT NULL,
    lease_until timestamp with time zone,
    started_at timestamp with time zone,
    sent_at timestamp with time zone,
    reply_code smallint NOT NULL,
    reply_status character varying(255) NOT NULL,
    message_id text NOT NULL,
    wording_id integer,
    bounce character varying(255) NOT NULL,
    bounce_status character varying(255) NOT NULL,
    bounced_at timestamp with time zone,
    topic character varying(255) NOT NULL
);
CREATE TABLE mail_count (
    id bigint NOT NULL,
    list_id integer NOT NULL,
    campaign_id integer NOT NULL,
    kind character varying(255) NOT NULL,
    state character varying(255) NOT NULL,
    reason character varying(255) NOT NULL,
    bounce character varying(255) NOT NULL,
    count bigint NOT NULL
);
CREATE SEQUENCE mail_count_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE mail_count_id_seq OWNED BY mail_count.id;
CREATE SEQUENCE mail_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE mail_id_seq OWNED BY mail.id;
CREATE TABLE mailing_list (
    id integer NOT NULL,
    slug character varying(255) NOT NULL,
    name text NOT NULL,
    purpose text NOT NULL,
    frequency text NOT NULL,
    privacy_url text NOT NULL,
    language character varying(255) NOT NULL,
    sender text NOT NULL,
    sensitive boolean NOT NULL,
    receipts boolean NOT NULL,
    own_subject text NOT NULL,
    own_text text NOT NULL,
    own_html text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    lost_launch_at timestamp with time zone
);
CREATE SEQUENCE mailing_list_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE mailing_list_id_seq OWNED BY mailing_list.id;
CREATE TABLE meta (
    key character varying(255) NOT NULL,
    value text NOT NULL
);
CREATE TABLE opening (
    contact_id bigint NOT NULL,
    list_id integer NOT NULL,
    yes_gets integer NOT NULL,
    yes_heads integer NOT NULL,
    yes_first_at timestamp with time zone,
    yes_last_at timestamp with time zone,
    no_gets integer NOT NULL,
    no_heads integer NOT NULL,
    no_first_at timestamp with time zone,
    no_last_at timestamp with time zone,
    together_at timestamp with time zone,
    yes_at timestamp with time zone,
    no_at timestamp with time zone,
    disowned_at timestamp with time zone,
    doubted_at timestamp with time zone,
    is_contradicted boolean NOT NULL,
    settled_at timestamp with time zone,
    signs character varying(255) NOT NULL,
    held_at timestamp with time zone,
    began_at timestamp with time zone NOT NULL
);
CREATE TABLE pace (
    scope character varying(255) NOT NULL,
    next_at timestamp with time zone NOT NULL
);
CREATE TABLE part_count (
    id bigint NOT NULL,
    list character varying(255) NOT NULL,
    part character varying(255) NOT NULL,
    personal integer NOT NULL,
    count bigint NOT NULL
);
CREATE SEQUENCE part_count_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE part_count_id_seq OWNED BY part_count.id;
CREATE TABLE recovery_code (
    id integer NOT NULL,
    user_id integer NOT NULL,
    digest character varying(64) NOT NULL,
    used_at timestamp with time zone
);
CREATE SEQUENCE recovery_code_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE recovery_code_id_seq OWNED BY recovery_code.id;
CREATE TABLE register_notes (
    id integer NOT NULL,
    list_id integer NOT NULL,
    notes text NOT NULL,
    updated_at timestamp with time zone NOT NULL
);
CREATE SEQUENCE register_notes_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE register_notes_id_seq OWNED BY register_notes.id;
CREATE TABLE reply (
    id bigint NOT NULL,
    list_id integer NOT NULL,
    contact_id bigint NOT NULL,
    message_digest character varying(64) NOT NULL,
    proposed character varying(255) NOT NULL,
    at timestamp with time zone NOT NULL,
    decided_at timestamp with time zone
);
CREATE SEQUENCE reply_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE reply_id_seq OWNED BY reply.id;
CREATE TABLE session (
    id integer NOT NULL,
    user_id integer NOT NULL,
    digest character varying(64) NOT NULL,
    is_full boolean NOT NULL,
    is_locked boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    network character varying(255) NOT NULL,
    browser text NOT NULL,
    ended_at timestamp with time zone
);
CREATE SEQUENCE session_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE session_id_seq OWNED BY session.id;
CREATE TABLE sign_up (
    id bigint NOT NULL,
    list_id integer NOT NULL,
    uid character varying(32) NOT NULL,
    address text NOT NULL,
    address_key text NOT NULL,
    name text NOT NULL,
    language character varying(255) NOT NULL,
    at timestamp with time zone NOT NULL,
    confirmed_at timestamp with time zone,
    declined_at timestamp with time zone,
    doubted_at timestamp with time zone
);
CREATE SEQUENCE sign_up_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE sign_up_id_seq OWNED BY sign_up.id;
CREATE TABLE suppression (
    id bigint NOT NULL,
    list_id integer,
    fingerprint character varying(64) NOT NULL,
    subject character varying(32) NOT NULL,
    reason character varying(255) NOT NULL,
    at timestamp with time zone NOT NULL,
    imported_by_id integer
);
CREATE TABLE suppression_count (
    id bigint NOT NULL,
    list_id integer NOT NULL,
    reason character varying(255) NOT NULL,
    imported integer NOT NULL,
    count bigint NOT NULL
);
CREATE SEQUENCE suppression_count_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE suppression_count_id_seq OWNED BY suppression_count.id;
CREATE SEQUENCE suppression_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE suppression_id_seq OWNED BY suppression.id;
CREATE TABLE tally (
    id integer NOT NULL,
    list character varying(255) NOT NULL,
    campaign integer NOT NULL,
    day character varying(10) NOT NULL,
    what character varying(255) NOT NULL,
    count integer NOT NULL
);
CREATE SEQUENCE tally_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE tally_id_seq OWNED BY tally.id;
CREATE TABLE throttle (
    scope character varying(255) NOT NULL,
    failures integer NOT NULL,
    last_at timestamp with time zone NOT NULL,
    next_at timestamp with time zone NOT NULL
);
CREATE TABLE undoing (
    record_id integer NOT NULL,
    list_id integer NOT NULL,
    actor character varying(255) NOT NULL,
    at timestamp with time zone NOT NULL,
    rows integer NOT NULL,
    reached bigint NOT NULL,
    looked_at integer NOT NULL,
    contacts integer NOT NULL,
    restored integer NOT NULL,
    suppressions integer NOT NULL
);
CREATE TABLE upload (
    id integer NOT NULL,
    list_id integer NOT NULL,
    user_id integer NOT NULL,
    token character varying(32) NOT NULL,
    name text NOT NULL,
    choices text NOT NULL,
    at timestamp with time zone NOT NULL,
    rows integer,
    people integer
);
CREATE SEQUENCE upload_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE upload_id_seq OWNED BY upload.id;
CREATE TABLE "user" (
    id integer NOT NULL,
    email character varying(255) NOT NULL,
    role character varying(255) NOT NULL,
    language character varying(255) NOT NULL,
    password text NOT NULL,
    password_at timestamp with time zone,
    totp_secret character varying(255) NOT NULL,
    totp_step bigint NOT NULL,
    created_at timestamp with time zone NOT NULL
);
CREATE SEQUENCE user_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE user_id_seq OWNED BY "user".id;
CREATE TABLE webhook (
    id integer NOT NULL,
    url text NOT NULL,
    secret character varying(255) NOT NULL,
    list_id integer,
    cursor bigint NOT NULL,
    created_by character varying(255) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    removed_at timestamp with time zone
);
CREATE SEQUENCE webhook_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE webhook_id_seq OWNED BY webhook.id;
CREATE TABLE wording (
    digest character varying(64) NOT NULL,
    content text NOT NULL
);
ALTER TABLE ONLY access ALTER COLUMN id SET DEFAULT nextval('access_id_seq'::regclass);
ALTER TABLE ONLY api_token ALTER COLUMN id SET DEFAULT nextval('api_token_id_seq'::regclass);
ALTER TABLE ONLY campaign ALTER COLUMN id SET DEFAULT nextval('campaign_id_seq'::regclass);
ALTER TABLE ONLY campaign_wording ALTER COLUMN id SET DEFAULT nextval('campaign_wording_id_seq'::regclass);
ALTER TABLE ONLY contact ALTER COLUMN id SET DEFAULT nextval('contact_id_seq'::regclass);
ALTER TABLE ONLY contact_count ALTER COLUMN id SET DEFAULT nextval('contact_count_id_seq'::regclass);
ALTER TABLE ONLY correction ALTER COLUMN id SET DEFAULT nextval('correction_id_seq'::regclass);
ALTER TABLE ONLY delivery ALTER COLUMN id SET DEFAULT nextval('delivery_id_seq'::regclass);
ALTER TABLE ONLY draft ALTER COLUMN id SET DEFAULT nextval('draft_id_seq'::regclass);
ALTER TABLE ONLY evidence_part ALTER COLUMN id SET DEFAULT nextval('evidence_part_id_seq'::regclass);
ALTER TABLE ONLY fresh_link ALTER COLUMN id SET DEFAULT nextval('fresh_link_id_seq'::regclass);
ALTER TABLE ONLY handed_over ALTER COLUMN id SET DEFAULT nextval('handed_over_id_seq'::regclass);
ALTER TABLE ONLY held_count ALTER COLUMN id SET DEFAULT nextval('held_count_id_seq'::regclass);
ALTER TABLE ONLY import ALTER COLUMN id SET DEFAULT nextval('import_id_seq'::regclass);
ALTER TABLE ONLY invitation ALTER COLUMN id SET DEFAULT nextval('invitation_id_seq'::regclass);
ALTER TABLE ONLY list_text ALTER COLUMN id SET DEFAULT nextval('list_text_id_seq'::regclass);
ALTER TABLE ONLY mail ALTER COLUMN id SET DEFAULT nextval('mail_id_seq'::regclass);
ALTER TABLE ONLY mail_count ALTER COLUMN id SET DEFAULT nextval('mail_count_id_seq'::regclass);
ALTER TABLE ONLY mailing_list ALTER COLUMN id SET DEFAULT nextval('mailing_list_id_seq'::regclass);
ALTER TABLE ONLY part_count ALTER COLUMN id SET DEFAULT nextval('part_count_id_seq'::regclass);
ALTER TABLE ONLY recovery_code ALTER COLUMN id SET DEFAULT nextval('recovery_code_id_seq'::regclass);
ALTER TABLE ONLY register_notes ALTER COLUMN id SET DEFAULT nextval('register_notes_id_seq'::regclass);
ALTER TABLE ONLY reply ALTER COLUMN id SET DEFAULT nextval('reply_id_seq'::regclass);
ALTER TABLE ONLY session ALTER COLUMN id SET DEFAULT nextval('session_id_seq'::regclass);
ALTER TABLE ONLY sign_up ALTER COLUMN id SET DEFAULT nextval('sign_up_id_seq'::regclass);
ALTER TABLE ONLY suppression ALTER COLUMN id SET DEFAULT nextval('suppression_id_seq'::regclass);
ALTER TABLE ONLY suppression_count ALTER COLUMN id SET DEFAULT nextval('suppression_count_id_seq'::regclass);
ALTER TABLE ONLY tally ALTER COLUMN id SET DEFAULT nextval('tally_id_seq'::regclass);
ALTER TABLE ONLY upload ALTER COLUMN id SET DEFAULT nextval('upload_id_seq'::regclass);
ALTER TABLE ONLY "user" ALTER COLUMN id SET DEFAULT nextval('user_id_seq'::regclass);
ALTER TABLE ONLY webhook ALTER COLUMN id SET DEFAULT nextval('webhook_id_seq'::regclass);
INSERT INTO access VALUES (1, '2026-04-02 09:08:00+00', 'admin@example.org', 'contact', 'news', '27b034d50c28f71577b7cdf2205592cc');
INSERT INTO api_token VALUES (1, 'tool', '3333333333333333333333333333333333333333333333333333333333333333', 'read', 'admin@example.org', '2026-04-02 09:08:00+00', NULL, NULL);
INSERT INTO campaign VALUES (1, 1, 'closed', '', '', '2026-03-30 21:59:59.999999+00', '2026-03-02 09:00:00+00', '2026-03-02 09:00:00+00', '2026-03-02 09:00:00+00', '2026-04-02 09:08:00+00', false, 14, 0, 0, NULL, NULL, 0, 0, 0);
INSERT INTO campaign VALUES (2, 3, 'scheduled', '', '', '2026-04-30 09:08:00+00', '2026-04-02 09:08:00+00', '2026-04-02 09:08:00+00', NULL, NULL, false, 14, 0, 1, NULL, NULL, 0, 0, 0);
INSERT INTO campaign_wording VALUES (1, 1, 'ask', 'nl', 1, 'dde7d794f8a75f00c9f4a8264d1d756ecc9af205d572151fd1a92dc44478ac50');
INSERT INTO campaign_wording VALUES (2, 2, 'ask', 'nl', 1, 'adc3ac154091eecf89196bafde79e01068230e688577470109a00b6156d70ae6');
INSERT INTO chosen VALUES ('mail.per_minute', '60', '2026-04-02 09:08:00+00', 'admin@example.org');
INSERT INTO contact VALUES (4, 1, 'bfab013d51706df431eed4547208ea23', 'cac169125f30d2cea742ceb479b0e519', 'full@example.org', 'full@example.org', 'Fay Full', 'nl', '', NULL, 'unconfirmed', '2026-03-02 09:00:00+00', '', '', NULL, 1, NULL);
INSERT INTO contact VALUES (6, 1, 'dbfa584903fa62112fc0464e13b3459e', '7c7535b4aa98f265ef2d0d323953b4c6', 'customer@example.org', 'customer@example.org', 'Cas Klant', 'nl', '', NULL, 'customer', '2026-03-02 09:00:00+00', '', 'customer', '2026-03-02 09:00:00+00', 1, NULL);
INSERT INTO contact VALUES (2, 1, '8b5ae57f43f8c6791d3e6dc7f6f103c7', 'e06571e27c89b0084c4d4bbd51d657c1', 'gone@example.org', 'gone@example.org', 'Guus Gone', 'nl', '', NULL, 'removed', '2026-03-02 09:00:00+00', 'bounce', '', NULL, 1, NULL);
INSERT INTO contact VALUES (3, 1, '8d5b301fbf68e5ef84a45a6dcc95d55d', '27b034d50c28f71577b7cdf2205592cc', 'yes@example.org', 'yes@example.org', 'Yara Yes', 'nl', '', NULL, 'confirmed', '2026-03-05 09:02:00+00', '', 'answer', '2026-03-05 09:02:00+00', 1, NULL);
INSERT INTO contact VALUES (8, 1, 'fd758eed558b8921c08b9e92f547c96b', 'f10991f6180d31f45d59b5f26f3d4b24', 'info@example.org', 'info@example.org', '', 'nl', '', NULL, 'confirmed', '2026-03-05 09:04:00+00', '', 'answer', '2026-03-05 09:04:00+00', 1, NULL);
INSERT INTO contact VALUES (1, 1, '2e4fdef63f6b2a17765f1dda3cce600f', 'adf5aa5d489699df1b3cf857d436db50', 'mind@example.org', 'mind@example.org', 'Mina Mind', 'nl', '', NULL, 'confirmed', '2026-03-05 09:08:00+00', '', 'answer', '2026-03-05 09:08:00+00', 1, NULL);
INSERT INTO contact VALUES (7, 1, 'e7414e43852f2d4daa607167fb3ba54a', 'b14085250e5a0f3d3560e89ef5ce863d', 'phone@example.org', 'phone@example.org', 'Fons Phone', 'nl', '', NULL, 'confirmed', '2026-03-05 09:08:00+00', '', 'answer', '2026-03-05 09:08:00+00', 1, NULL);
INSERT INTO contact VALUES (5, 1, 'ccaf406a8b43686394e5246a65c922ce', 'd559e6a0633b2a8435e22b844709a260', 'silent@example.org', 'silent@example.org', 'Silas Silent', 'nl', '', NULL, 'removed', '2026-04-02 09:08:00+00', 'no_response', '', NULL, 1, NULL);
INSERT INTO contact VALUES (9, 1, 'fe1959a43009dcc6a51455900d3c9d62', 'b5b5fb840e91387ac88a08e3626f05df', NULL, 'fe1959a43009dcc6a51455900d3c9d62', '', '', '', NULL, 'removed', '2026-03-05 09:08:00+00', 'no', '', NULL, 1, '2026-04-02 09:08:00+00');
INSERT INTO contact VALUES (11, 2, '6510530f900d7c7c9a2629afb5312d72', '4407dd8d064e4c2d907126e26b72b16b', 'second@example.org', 'second@example.org', '', '', '', NULL, 'unconfirmed', '2026-04-02 09:08:00+00', '', '', NULL, 2, NULL);
INSERT INTO contact VALUES (12, 2, 'a46963e7ac705d67305b71e0a2cad8e2', 'b761149990b1e9845449866249446fcf', 'third@example.org', 'third@example.org', '', '', '', NULL, 'unconfirmed', '2026-04-02 09:08:00+00', '', '', NULL, 3, NULL);
INSERT INTO contact VALUES (10, 2, '43954c857af94ba845c3206a9f767f16', 'bacd1a463bf4e6aab2470dea7ba204d6', 'first@example.org', 'first@example.org', '', '', '', NULL, 'customer', '2026-04-02 09:08:00+00', '', 'customer', '2026-04-02 09:08:00+00', 2, NULL);
INSERT INTO contact VALUES (101, 3, 'a1beb480edb1daf13b55a42a5f8839e7', 'f5b6aa30c6a4ebb87f056090918f0b7a', 'a@example.org', 'a@example.org', '', 'nl', '', NULL, 'unconfirmed', '2026-03-02 09:00:00+00', '', '', NULL, NULL, NULL);
INSERT INTO contact VALUES (102, 3, 'dd67186decd62842cdf71c630ceee5be', '51da68531f00f356bd6fc031c51964f3', 'b@example.org', 'b@example.org', '', 'nl', '', NULL, 'unconfirmed', '2026-03-02 09:00:00+00', '', '', NULL, NULL, NULL);
INSERT INTO contact VALUES (9000, 3, '769b9b95bb9ad1bc5ca0055976bd9305', '3de1d992cd443517893340890ba62fa0', 'c@example.org', 'c@example.org', '', 'nl', '', NULL, 'unconfirmed', '2026-03-02 09:00:00+00', '', '', NULL, NULL, NULL);
INSERT INTO contact_count VALUES (1, 1, 'customer', '', 'customer', 'nl', 1);
INSERT INTO contact_count VALUES (2, 1, 'unconfirmed', '', '', 'nl', 8);
INSERT INTO contact_count VALUES (3, 1, 'removed', 'bounce', '', 'nl', 1);
INSERT INTO contact_count VALUES (4, 1, 'unconfirmed', '', '', 'nl', -1);
INSERT INTO contact_count VALUES (5, 1, 'unconfirmed', '', '', 'nl', -1);
INSERT INTO contact_count VALUES (6, 1, 'confirmed', '', 'answer', 'nl', 1);
INSERT INTO contact_count VALUES (7, 1, 'unconfirmed', '', '', 'nl', -1);
INSERT INTO contact_count VALUES (8, 1, 'confirmed', '', 'answer', 'nl', 1);
INSERT INTO contact_count VALUES (9, 1, 'removed', 'no', '', 'nl', 1);
INSERT INTO contact_count VALUES (10, 1, 'unconfirmed', '', '', 'nl', -1);
INSERT INTO contact_count VALUES (11, 1, 'confirmed', '', 'answer', 'nl', 1);
INSERT INTO contact_count VALUES (12, 1, 'removed', 'no', '', 'nl', -1);
INSERT INTO contact_count VALUES (13, 1, 'removed', 'no', '', 'nl', 1);
INSERT INTO contact_count VALUES (14, 1, 'unconfirmed', '', '', 'nl', -1);
INSERT INTO contact_count VALUES (15, 1, 'unconfirmed', '', '', 'nl', -1);
INSERT INTO contact_count VALUES (16, 1, 'confirmed', '', 'answer', 'nl', 1);
INSERT INTO contact_count VALUES (17, 1, 'unconfirmed', '', '', 'nl', -1);
INSERT INTO contact_count VALUES (18, 1, 'removed', 'no_response', '', 'nl', 1);
INSERT INTO contact_count VALUES (19, 1, 'removed', 'no', '', 'nl', -1);
INSERT INTO contact_count VALUES (20, 1, 'removed', 'no', '', '', 1);
INSERT INTO contact_count VALUES (21, 2, 'unconfirmed', '', '', '', 2);
INSERT INTO contact_count VALUES (22, 2, 'unconfirmed', '', '', '', 1);
INSERT INTO contact_count VALUES (23, 2, 'unconfirmed', '', '', '', -1);
INSERT INTO contact_count VALUES (24, 2, 'customer', '', 'customer', '', 1);
INSERT INTO contact_count VALUES (25, 3, 'unconfirmed', '', '', 'nl', 1);
INSERT INTO contact_count VALUES (26, 3, 'unconfirmed', '', '', 'nl', 1);
INSERT INTO contact_count VALUES (27, 3, 'unconfirmed', '', '', 'nl', 1);
INSERT INTO correction VALUES (1, 'nl', 'bcafb03c68da30d4', 'Yes, keep sending me these mails', '["Ja, graag"]', '2026-04-02 09:08:00+00', 'cli:0');
INSERT INTO delivery VALUES (1, 1, 3, 'waiting', 0, '2026-04-02 09:08:00+00', NULL, NULL, 0, '');
INSERT INTO draft VALUES (1, 2, '{}', '2026-04-02 09:08:00+00');
INSERT INTO evidence VALUES (1, '2026-03-02 09:00:00+00', 'list_added', 'news', 0, '', 'cli:0', '6618c63e0b9ae999cb01705570b2a41a09f2ced9da8ede078980295c0d7b156f', '', '', '842c80046a640186d26826666e6527150136de451f310526083c9119f504838c');
INSERT INTO evidence VALUES (2, '2026-03-02 09:00:00+00', 'list_changed', 'news', 0, '', 'cli:0', '7e9ece28e899f082718a93b280869041415deeb77c5b22bf463a7b2eb6957815', '', '', '3c65ae8e08842389fb66f6c725fea10d7805d2d1ffe944f559b9f46b6a05b616');
INSERT INTO evidence VALUES (3, '2026-03-02 09:00:00+00', 'list_changed', 'news', 0, '', 'cli:0', '8691d0e63f7d77b2c605be49663b9fae685533ef005840aa981cf7740a805b07', '', '', 'bb8eeafa9c01416e688a588498d476743194ecf2aac198aed4af66611e205c18');
INSERT INTO evidence VALUES (4, '2026-03-02 09:00:00+00', 'customer', 'news', 0, '7c7535b4aa98f265ef2d0d323953b4c6', 'cli:0', 'e6fd6e80733d4b8840c082653d194df4f83306be54391641a2ea9ba88ecec1cb', '9ff306150e02deb3d3525cd7fa45efe8c5d01b77d89df224ca8935fbef1a1efe', '', 'c567ca71cb4388e8b2ccbea3fc1341e7329391a6c0b63c9302370cfdf640b565');
INSERT INTO evidence VALUES (5, '2026-03-02 09:00:00+00', 'imported', 'news', 0, '', 'cli:0', 'fb1b2416bcc278261ad5bd7316c8010e6953c109235fe27ecd6bf652e6fff86f', '', '', '604101c702bf15d5235bcac9df9fc10ed5a0e99bc2d3cc8e11c892064f0f2f8b');
INSERT INTO evidence VALUES (6, '2026-03-02 09:00:00+00', 'launched', 'news', 1, '', 'cli:0', '17d70c45fbfff304bb6d273c05ef8de8ede4c451822f1f705cc8b414ca034865', '', '', '964826ceab5948fae4a1778e7d78af030f371f3464e2aef59134e2dee5d1aab7');
INSERT INTO evidence VALUES (7, '2026-03-02 09:00:00+00', 'removed', 'news', 1, 'e06571e27c89b0084c4d4bbd51d657c1', 'job', '91b0c4746824a181d02f95cc75cb0781fabafc07c103521c5609cb5c3f315795', '07b9c28038c6e7bd2c12309746b9ebd112ae88847948dc42ce9db3dda38c5393', '', 'a314d71c2b3bccaf9ded183a8d6c50ceb4e65a5ede278cb814b7af722440f231');
INSERT INTO evidence VALUES (8, '2026-03-05 09:02:00+00', 'confirmed', 'news', 1, '27b034d50c28f71577b7cdf2205592cc', 'person', '020cd44aa9eed036d3d193e4343343756bb7e5a3c51ed16ca815f8f9ae581367', 'd5435198cb59c717cc8f98ad82cc2d7f461d827058fae3206d233cff4e7c2dbe', 'ff42ffff3bf94e77515c119e9312e96e8319f58a42695244deb7c220b6f4addc', '015d1fefe94cce9dbb119e4bfd781bc8ef17b1fc44180db649340dc2a1f523e1');
INSERT INTO evidence VALUES (9, '2026-03-05 09:04:00+00', 'confirmed', 'news', 1, 'f10991f6180d31f45d59b5f26f3d4b24', 'person', '563c3563038bdd924c199a8fad6996d8de690e49ccc3219d78172c25a5e5b649', 'dc8447219c1c299a8b2bef8c19c9672c6b2eb053b7a36d0f731b7aecb72e4952', '151e0f58e3d3d4c20550b88a75166b886cf625b6bf5c00eeea0c77604db18509', '38d11e4062521fbb95a9f5df96fb985da6afd0947d0744d2d4234bae846c43a8');
INSERT INTO evidence VALUES (10, '2026-03-05 09:06:00+00', 'removed', 'news', 1, 'adf5aa5d489699df1b3cf857d436db50', 'person', '15907f5585b85ba95a3b55635209417f1b50ab09db3424eb706425bb1fe371a7', '8498c54db44eb44901906c1ee693a28a9e6e4c234e077cc241efa2527cfac5a2', 'fd273c9c054b6d247aa75828942dc1b30e4d09e8c8d7851a0be7ec60f73a65df', '9fec544e2ad90326e9be0e4f0edc796e58a4bc2362ed4aa94a7671fb022c59a2');
INSERT INTO evidence VALUES (11, '2026-03-05 09:08:00+00', 'confirmed', 'news', 1, 'adf5aa5d489699df1b3cf857d436db50', 'person', 'aa1b41da3055999a05183adb14f59020f1a38973733c8e48a6ed9c046403ee62', '8317a7eb0c9c2d95d2d9925c90c44cdbcf82d42d926b0aa3e05ca0fffc878919', 'c78dda5441c92a5a4a3cea321c3f5c2ef9a68b10387c15ae8b9ab9e39005f34a', '1d11402d95c33bf7668432f62856d4e0bb689a72d56d1dac2770ce612d3847de');
INSERT INTO evidence VALUES (12, '2026-03-05 09:08:00+00', 'removed', 'news', 1, 'b5b5fb840e91387ac88a08e3626f05df', 'person', 'd9116ea4f1abbc21d44abb44672e8ea2d0ccae4bfb689035fd05d7ec790cc150', 'f4325c70b72eb773961b50fa8122b576eaaf9328d281430089f453bbde907cdf', '9873d2dcebbba033272c1548322b4cd4b7d38b7a208419be6e5ea0a914141e1e', 'd960da16bce175eb96bd612e70053c0d4c63b068cb358a68728cf3473f4c25ba');
INSERT INTO evidence VALUES (13, '2026-03-05 09:08:00+00', 'confirmed', 'news', 1, 'b14085250e5a0f3d3560e89ef5ce863d', 'cli:0', '6b7afa54b7488d3fec448e610b470fbb1bd3b079cba30daf3bff56b44e94cc45', '010f7fa140c051ec4f0e17826ab516062f755792dedcfd6f6f085a0bda32343b', '', '2f7400aa60d040e703b8d6b524f526433a3fb2158df5fc551a7368aa03dddbb4');
INSERT INTO evidence VALUES (14, '2026-04-02 09:08:00+00', 'expired_despite_downtime', 'news', 1, '', 'cli:0', '0cb0b57225ef8449d2093412f74a7658c84b188806e905d0494dc61d0deadd52', '', '', '4b0ce8cf2348bdd8b2776bd8cde789b0be0d1b14cdb98dd658591ae49491ff79');
INSERT INTO evidence VALUES (15, '2026-04-02 09:08:00+00', 'removed', 'news', 1, 'd559e6a0633b2a8435e22b844709a260', 'cli:0', '3f841d4c97712e5ceb5c1f8ab33a6358595870f383be74de20ac55e5b96a0cfa', 'ee8ff35c058d56cded6db3d11463b14afc4a18eacc7ddd732350750e61122ea8', '', '85f9b265ceaadbad4453fe6f74ece0d50b0cb4a3776dc77b75231e03bf571103');
INSERT INTO evidence VALUES (16, '2026-04-02 09:08:00+00', 'closed', 'news', 1, '', 'cli:0', 'e950494c166b08c344a5238cd399c74d9ee69dda19335f90be46593c9d15ad20', '', '', '7d1d3b7a67e0b39e1d0d31c2467655cdde65521afdfe085b5ce887f602e81fd4');
INSERT INTO evidence VALUES (17, '2026-04-02 09:08:00+00', 'erased', 'news', 0, 'b5b5fb840e91387ac88a08e3626f05df', 'cli:0', 'f8dd026a67f6bd0e3fabefe3b30db6106b13036fb4fbad8764220a532fbd747a', '', '', '556a47c12540d9a044edf1d8681d26ef3fab3ea82820d2521fadb7d60c1f8a1a');
INSERT INTO evidence VALUES (18, '2026-04-02 09:08:00+00', 'suppressed', 'news', 0, 'cf3e962073a206e0651d160480c24ea3', 'cli:0', '9ab253fe5e0f243b0ba9d96b63712c41c033396e023028741c51f6aa5ecbbae3', '', '', '60efb32ae47613eedbbb82f423a53e6432008f8c583f4033fb7d5f240ae8ab71');
INSERT INTO evidence VALUES (19, '2026-04-02 09:08:00+00', 'text_corrected', '', 0, '', 'cli:0', '9304bb71268e2621823c2186543d9faba0ad9721988188edf9388dc5916624d2', '', '', '4a0b5efe7af31c91828bb9e7197de39abd340ecb3e9364fda077f6090ac575f3');
INSERT INTO evidence VALUES (20, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '46bb35002cd3e353780725eea965c3778d22a0a5f69c489ddf5ce3a167a5048b', '', '', '0624ce76cc2cd78c5ab110cf6f75aa16646cf0bca1ff886afb72162bf5703f42');
INSERT INTO evidence VALUES (21, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '381cd3035802b555126aa044ea60d7c6cffa78c4d08c0fc7fb47f846d4a3d17a', '', '', '8b62e6f39499275467dfddf56c0ceafb170d99cdf76080b9655cfa1f4ffc91fc');
INSERT INTO evidence VALUES (22, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '20085c75d9f63397f084b960709b4824a228fd3f395c0cd502a4bbbdfa190604', '', '', '426cb0aba62dbe49170301cc5ba0b121eec19757e59c318fab5e0afb414e8086');
INSERT INTO evidence VALUES (23, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', 'e93874c071a8738d59a60c215605bca318c57d4d7bec92e6d0c53e8e75c3109b', '', '', '2cb2049f2b78beb970624c8d8f2445f756aa322e532bac82f36b17b4a21973c2');
INSERT INTO evidence VALUES (24, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '341be8614fc6b8646eb3e914ac25e90fdc8740e9825141256206158dda9b91d2', '', '', '3b855d97cc9b59ffea6b6f3eafc7b66b8ce291c29afef155557c4edffd4ea8fb');
INSERT INTO evidence VALUES (25, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '1eecd26a2b6e0d54c86a617442ba6671f3dcbb63b2fb4a088284cff2d3ed58d6', '', '', 'cad1d93cb802be98a2ca6a5274c5cb65ee15338a3409ff0a79e7abe4dd1cd2f9');
INSERT INTO evidence VALUES (26, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '73afbebefa41f501b6a3cbee9833e9139479cf60988d2ee43bd182d0a8e948ef', '', '', '79cab72529e9e7e4c4373eb1f1df216219e4dbab56f89b126833dacd07e1a69f');
INSERT INTO evidence VALUES (27, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', 'edca682445c72c629c35d1a28ad5e7859390e27e3d975e896c6230c72dfd58c6', '', '', 'c642cb7b566c2f151ad3b8da9e32dde502edc68c957583b4060b98cdb80387ea');
INSERT INTO evidence VALUES (28, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '9f2a2614005e13a060f60805678e71fd47afc2913a70e105c1264d8ba92fb3dc', '', '', '408d19597acd14b50c695504efe5dadef0c2ce0b396c78deca09fa840e7a8fb7');
INSERT INTO evidence VALUES (29, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '942b264708ea873b475a2acc5269ecca781c7e3386d1f8f6f4d62672566703e3', '', '', '0db8005871808bbbe6aa87a7d3c07d7d6bdca1fae00fcf31bf3ae29c886d1a0f');
INSERT INTO evidence VALUES (30, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '8aee16a1d01c868df413579dd3e5ab530bdec115fc80beb496cde1f1b573b7da', '', '', '2be58bfac8ebd0cd7d46761677ec48d019a39e522eeae98e708f58fbfc494e26');
INSERT INTO evidence VALUES (31, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', 'a8c5548be468cabe250502223a5d0fc01b001c818e3e211429e57d47a8e6a40c', '', '', 'b86e956ab1987079456f272ae506ec53e2844629d55843a0c106b8dca9fd075d');
INSERT INTO evidence VALUES (32, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', 'a71d688cdda00ef4c64533e2f7490c2fbee11e5997b4412b3a013436bdae2e30', '', '', '9ea3d60c9bcbe21a55c3de8c2fc3e8f80027c4d542e90f3b14281a7c89799e5f');
INSERT INTO evidence VALUES (33, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '8e551f58da414c4663bf4e6e5cb83ebc996856c7081f44487e02420e36d3ad22', '', '', '05e53843196d61aabb79f28563b75d3b16759a625658a7b6f0a01af9d66c3f4d');
INSERT INTO evidence VALUES (34, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '73c8410d88282623d60ad6f3d169218b08e2507e7c990905a8a4b4bec89f3878', '', '', 'fd510fddd3bf4bc13a03c0f7545929df73d1aeba7c80a8ff842cb06aa94099bb');
INSERT INTO evidence VALUES (35, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '07a805638aa400ead4c729924f0ac75b403129aea91886f8ded435c1a721c342', '', '', '6d1e52f3ddab549dceae5be90d0e3bdf24b2168ad40ee456878ef4d534d3969e');
INSERT INTO evidence VALUES (36, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '76b75e045277fee97db2feda2cefed7ac4ff789707d73f8775be777526a33131', '', '', 'ae8526f66919eab25b9d493172b6cfd8dc0d8587261a882ad588e5f73a3d2e74');
INSERT INTO evidence VALUES (37, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '27282ad93740fbbf37e4bb4a91545db6a68ecb22b029bcc1548ee563bf0136ff', '', '', '299a3cae893bfb68d9004e4cbe42501895797f4a01552081ca00eec4be51b1d7');
INSERT INTO evidence VALUES (38, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', 'ce3b3580fd554749278c6a09bbbfa5566c61a7a5865c24ba66efcf28f0e5d600', '', '', '9dffec3f395ce61f15e490f7dba9d6571ee31d684a151ae925f2bd42613c4936');
INSERT INTO evidence VALUES (39, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '62f1fdf6deb919dd5e681e2e791d783c647c368840071706ec5fab504d11e47e', '', '', 'e43352a72d7e74234d71ed2ba0cc7bc06fa43fe7e82be98f837cf3f3044056bb');
INSERT INTO evidence VALUES (40, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '28db14952e5c8317104c7aca0892776b9e51cff9984e6643ded8d9644f0b02fb', '', '', '617fedf443ef4c57e6f956d85664a86a40372b40cea8f7c9d52a02b3c6c30b0f');
INSERT INTO evidence VALUES (41, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', 'a333a507c39eb9403c77a4c2a67719eff93a9454cb2c02c8ac5d577d9c9ae0c1', '', '', '8342442c4c8adef90206b45e1c864a0256977636e18021185e54aed7fe694177');
INSERT INTO evidence VALUES (42, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '7eeefe26c63867e13bb8acf93bd7ae02e7627bb0c477212b9b5b628f7f16c6e1', '', '', '33a01a988f36dcc27cfbd8cd4ccd1691f6f86601df2b3470004e3d76798df5f2');
INSERT INTO evidence VALUES (43, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', 'e11581dd3bcd550bdbe73c47035d3828e97d3a53c664c60ac952d009b6c20647', '', '', '89963e7755c8c3f51a2041596785c1e52dd4edd334a0cb8c220fdea6f7114754');
INSERT INTO evidence VALUES (44, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '4b4beb5618ccc69ffd6d11eddafeb9e2d4a380b32537526e92e4bb09c7530444', '', '', '36d4e713aa429ee39b4b855f2e164cad748a22bb11e196269093f2af28172fd4');
INSERT INTO evidence VALUES (45, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', 'db7ffa6f66371cca78d43da6f0a01886a42899a3ee3c12362f0a0612d282f7c6', '', '', '06e2d0f6b3f7ef285237f5028ebf3759cb204779f8f1eaf59f4fb2b36ce77b88');
INSERT INTO evidence VALUES (46, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', 'ccc0fc9112260dca39ec6b3a70c212ce44702ff43600d14092076fde5c6b529f', '', '', 'b3bf1e2cecc23769407f085ac6f3d59b8241e6d70cceab4bd8f7e02a0157e07f');
INSERT INTO evidence VALUES (47, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '841b2888064da1e75bacb7f368ee77e83a2612f462eeb58461951f878e48b9ea', '', '', 'f532657976da740e712ae3fa4de3dc1b2e608df2abe6b3b6964c45fe9a589d35');
INSERT INTO evidence VALUES (48, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '2f6e9bed4ef8cf9c5cd1d92647a2cdc2332e6f7c94abfe65cfe0c83917338542', '', '', '0f6da34363b9a4cf7b04bbeb52c98be602c7f1119ab92768cf9539fd428a9338');
INSERT INTO evidence VALUES (49, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', 'dce940cc351e0ed1d1cbf330da1d2bb5ca1fa737ac1fc852c7b440efe6451929', '', '', '33a0326e3427a597af8f85a85f0c55dea782ab7405c6ee139ad4ea67a94a1d1c');
INSERT INTO evidence VALUES (50, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '409edcab6da4302dec4161d2084143caae04a99e92fbe821802bfb0dfc15bacb', '', '', 'a0fde401b5366d698621ce70c45bcabcf5966d71dd626e6be0492d51c5db398e');
INSERT INTO evidence VALUES (51, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '7c5aa19399e12730caf6a7225e41943aff7bde9f4f5367099d443a67033cb7ac', '', '', '07b5741a9017969e543f0c14f20ae31a88510fa9a61d40093335554308a24a57');
INSERT INTO evidence VALUES (52, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '9664aa4e94c36572409aca802a89e46f318b6f0818b6be68f964b0e9d4ace9e2', '', '', 'b1f86175a7ee376575422b2b9c1ede64164e1781a5a3c4fc09a1fa9890478b78');
INSERT INTO evidence VALUES (53, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '0b207aaa9e0492b50184f2d017822b26fa590c34c1f851a21d4b9a3340f48071', '', '', '9e97c58c6e8e4cad359b7b55bbc8c87b36143daf7d44b0713a4f876309f3f583');
INSERT INTO evidence VALUES (54, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '4f508c2ea32c031f176692b0fe15efab1baf4e937caefbe90cf714aacdda03d6', '', '', '80c18650bcc405103637429fda821a21a05a370d370273a67c277abff40dd449');
INSERT INTO evidence VALUES (55, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', 'e8142fc2a4462d8a613d15d542ba2f48cbeb89aa94306138d53c90ca65639573', '', '', 'b0f7404c6c2d3fbf8e7b5346fe9558844c7329bbb24af91e20661d180e31e07f');
INSERT INTO evidence VALUES (56, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '86fe3b81e253b14564d46b9ca34fd1d76c96be11296e5ffc5476ccaee1cd0c3c', '', '', '77c2e2d8f46834fd2aa3c988f7f49b72f6dbb413588122e026b4badfff64f1ba');
INSERT INTO evidence VALUES (57, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '8aab040337dfc2b15b3c3fe63f797af4e8a2bdfc8e09d53f36bea6dfdda6fa6a', '', '', '7a54d063b6f3cfb2bff52daeef14442ee61788732554f6643a7551b8f05eae6b');
INSERT INTO evidence VALUES (58, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', '56ca53710d0955ccc85ef5ed3810ed20e81858e5b494d893597bf565e5da08a9', '', '', 'e756c8f235b7fef629cd3d5b9afd4b8834d918e19c4a688437a284e739b7b03e');
INSERT INTO evidence VALUES (59, '2026-04-02 09:08:00+00', 'list_changed', 'news', 0, '', 'cli:0', 'b020c28c3c5baec83c10b4d30dabd3540a6a89854f3c06d2c171bae988472021', '', '', 'f653934dc4ee9a2f27ffaeb82a31ec436cb0603095443fa7a9cdcee1bfa25b1c');
INSERT INTO evidence VALUES (60, '2026-04-02 09:08:00+00', 'list_added', 'other', 0, '', 'cli:0', '9708cb880a3dc21a8456ee970f2ebd18d4ff425379fc067be74e282b80a84677', '', '', '670617155a3dae873e9e5a7f4fb49764954a027b243fc1fc34085d4bff13e6e6');
INSERT INTO evidence VALUES (61, '2026-04-02 09:08:00+00', 'imported', 'other', 0, '', 'cli:0', '615a3724dfa4780a58a43a118dbfca981625875c97cc80427fa38d54506089ce', '', '', '0225ac8dabf298a32595010269072fe268c6eb80d80366075b708a3964aecfb0');
INSERT INTO evidence VALUES (62, '2026-04-02 09:08:00+00', 'customer', 'other', 0, 'bacd1a463bf4e6aab2470dea7ba204d6', 'cli:0', 'fcd2b91ead175b0798608fc5934f45df2ea9a6a1975ba352b808bead2d6544a6', 'f4c89d3100fcb072a56a55278db0b31636bc2e52d05021dcda1d2696ee099b8a', '', 'a71e1187501b0d6c9a4f5478977cfc6ca6d1977960e639a9358aa0eba5c0b34f');
INSERT INTO evidence VALUES (63, '2026-04-02 09:08:00+00', 'imported', 'other', 0, '', 'cli:0', '64708331a2e257b88608ae9dc9b2b65c223dbaaa19253fd906f167f62034ff4f', '', '', 'a417fc07b8a9af1a847a70f4332e24a8f8b6276ae62db81a82d5760f72057b1b');
INSERT INTO evidence VALUES (64, '2026-04-02 09:08:00+00', 'list_added', 'more', 0, '', 'cli:0', 'd6c2f70d0f18dd775d9b72e7a106ab2cd7c64fe207783fbb12dadfddf9d09ca7', '', '', 'de4258518ced9cd3b838ab2bda1b37c70793b2ffa13d90ae49e09c20aacf24bb');
INSERT INTO evidence_head VALUES (1, 64, 'de4258518ced9cd3b838ab2bda1b37c70793b2ffa13d90ae49e09c20aacf24bb', '73981dd11f1b0721819fe725a53e47b689e44ff768965570cf1c0de6492ad3af', '73981dd11f1b0721819fe725a53e47b689e44ff768965570cf1c0de6492ad3af');
INSERT INTO evidence_node VALUES (6, 0, '73981dd11f1b0721819fe725a53e47b689e44ff768965570cf1c0de6492ad3af');
INSERT INTO evidence_part VALUES (1, 1, 'consent', '03d8a8523a3d6927d6ce731d967dcecf', '{"fields":{"language":"nl","name":"News","privacy_url":"https://www.example.org/privacy","purpose":"Nieuws over onze praktijk, vier keer per jaar","sender":"Praktijk De Linde <nieuws@example.org>"}}');
INSERT INTO evidence_part VALUES (2, 2, 'consent', '847bafd4ab730cc0cfacd3226cc5b5b5', '{"fields":{"receipts":true}}');
INSERT INTO evidence_part VALUES (3, 3, 'consent', '89f765a36f17386dbf4392ae3ba8435e', '{"fields":{"name":"Neues","privacy_url":"https://www.example.org/de","purpose":"Neues aus der Praxis, vierteljährlich"},"in":"de"}');
INSERT INTO evidence_part VALUES (4, 4, 'consent', '0302ec8f8eceb44eb2a3580aa5685f63', '{"attest":"267f8d84290b175a3c10de0622c1f2a2f79d7f414d3de372eb11bddfeff8c824","basis":"customer","file":"ff9a27ca6a31d0a61b8944aa132b2bf2d839356d6ad4ff26b524e45f901b6330","list_name":"News","sensitive":false,"unseen":{"frequency":"","language":"nl","privacy_url":"https://www.example.org/privacy","purpose":"Nieuws over onze praktijk, vier keer per jaar"},"wording":""}');
INSERT INTO evidence_part VALUES (5, 4, 'person', 'a693d206715ff6cc4afce3f856c3a045', '{"address":"customer@example.org","link":"dbfa584903fa62112fc0464e13b3459e","name":"Cas Klant"}');
INSERT INTO evidence_part VALUES (6, 5, 'consent', '7cd88eddd8167794078d830491cb58cc', '{"addresses":10,"attest":"267f8d84290b175a3c10de0622c1f2a2f79d7f414d3de372eb11bddfeff8c824","columns":[{"column":"E-mail","field":"address","part":"list.csv"},{"column":"Naam","field":"name","part":"list.csv"},{"column":"Taal","field":"language","part":"list.csv"},{"column":"Status","field":"status","part":"list.csv"},{"column":"Klant","field":"customer","part":"list.csv"}],"customers":false,"fates":{"ask":7,"confirmed":0,"customer":1,"duplicate":1,"invalid":1,"opted_out":1,"role":1,"suppressed":0},"file":"ff9a27ca6a31d0a61b8944aa132b2bf2d839356d6ad4ff26b524e45f901b6330","improved":0,"list_name":"News","merged":0,"name":"list.csv","rows":12,"sensitive":false,"source":"","unseen":{"frequency":"","language":"nl","privacy_url":"https://www.example.org/privacy","purpose":"Nieuws over onze praktijk, vier keer per jaar"},"wording":""}');
INSERT INTO evidence_part VALUES (7, 6, 'consent', '8a38967f18eb4684bcedfddcc35a43c3', '{"asked":8,"attest":"Decided by the board on 1 March; addresses from our own forms; none of them opted out.","deadline":"2026-03-30T21:59:59.999999+00:00","excluded":{"asked_before":0,"confirmed":0,"customer":1,"removed":0,"suppressed":0},"frequency":"","include_thin":false,"left_out":{"invalid":1,"opted_out":1},"minimum_days":14,"pilot":0,"privacy_url":"https://www.example.org/privacy","purpose":"Nieuws over onze praktijk, vier keer per jaar","reminder_at":"","starts_at":"2026-03-02T09:00:00.000000+00:00","texts":[{"frequency":"","language":"de","name":"Neues","privacy_url":"https://www.example.org/de","purpose":"Neues aus der Praxis, vierteljährlich"}],"told":"c65c9ff979f6886eac865ea41902e4c17f699b5e538bb27e7f090cd5ec6ecb87","wordings":{"nl":"dde7d794f8a75f00c9f4a8264d1d756ecc9af205d572151fd1a92dc44478ac50"}}');
INSERT INTO evidence_part VALUES (8, 7, 'consent', 'b58ed2c820cf758c6a7827118c7fab9b', '{"asked_at":"","deadline":"2026-03-30T21:59:59.999999+00:00","frequency":"","language":"nl","list_name":"News","mail_wording":"dde7d794f8a75f00c9f4a8264d1d756ecc9af205d572151fd1a92dc44478ac50","privacy_url":"https://www.example.org/privacy","purpose":"Nieuws over onze praktijk, vier keer per jaar","reason":"bounce","reminded_at":"","reply_code":550,"reply_status":"5.1.1","sensitive":false}');
INSERT INTO evidence_part VALUES (9, 7, 'person', 'e317f45be951f9f6920301b84b636961', '{"address":"gone@example.org","link":"8b5ae57f43f8c6791d3e6dc7f6f103c7","name":"Guus Gone"}');
INSERT INTO evidence_part VALUES (10, 8, 'consent', '18e23d041f4e4831fc81940536a482fc', '{"answer":"yes","arrived_at":"2026-03-05T09:02:00+00:00","asked_at":"2026-03-02T09:00:00+00:00","basis":"answer","deadline":"2026-03-30T21:59:59.999999+00:00","frequency":"","language":"nl","list_name":"News","mail_wording":"dde7d794f8a75f00c9f4a8264d1d756ecc9af205d572151fd1a92dc44478ac50","method":"page","page_wording":"f951da7e5dc92abf6e502a6678b7eefacf98379784022f879bbf2bcf566b80e7","privacy_url":"https://www.example.org/privacy","purpose":"Nieuws over onze praktijk, vier keer per jaar","reminded_at":"","sensitive":false}');
INSERT INTO evidence_part VALUES (11, 8, 'person', 'a578af2b168d6003b923c09df2dd1e19', '{"address":"yes@example.org","link":"8d5b301fbf68e5ef84a45a6dcc95d55d","name":"Yara Yes"}');
INSERT INTO evidence_part VALUES (12, 8, 'trace', '2c924093ee1646857064fd4e3c3ade32', '{"browser":"Werkzeug/3.1.9","network":"127.0.0.0/24","openings":{"yes":{"first_at":"2026-03-05T09:02:00+00:00","get":1,"head":0,"last_at":"2026-03-05T09:02:00+00:00"}}}');
INSERT INTO evidence_part VALUES (13, 9, 'consent', '391d62bd566fbcfebeb579af4546edf9', '{"answer":"yes","arrived_at":"2026-03-05T09:04:00+00:00","asked_at":"2026-03-02T09:00:00+00:00","basis":"answer","deadline":"2026-03-30T21:59:59.999999+00:00","frequency":"","language":"nl","list_name":"News","mail_wording":"dde7d794f8a75f00c9f4a8264d1d756ecc9af205d572151fd1a92dc44478ac50","method":"page","page_wording":"f951da7e5dc92abf6e502a6678b7eefacf98379784022f879bbf2bcf566b80e7","privacy_url":"https://www.example.org/privacy","purpose":"Nieuws over onze praktijk, vier keer per jaar","reminded_at":"","sensitive":false}');
INSERT INTO evidence_part VALUES (14, 9, 'person', '773fcc00abcdda7a526e21dfe1b57cc7', '{"address":"info@example.org","link":"fd758eed558b8921c08b9e92f547c96b","name":""}');
INSERT INTO evidence_part VALUES (15, 9, 'trace', '3ac9d14718f358e68c6c66adf26c9d49', '{"browser":"Werkzeug/3.1.9","network":"127.0.0.0/24","openings":{"yes":{"first_at":"2026-03-05T09:04:00+00:00","get":1,"head":0,"last_at":"2026-03-05T09:04:00+00:00"}}}');
INSERT INTO evidence_part VALUES (16, 10, 'consent', 'a347d4412208bbe0ad13dbc462151992', '{"answer":"no","arrived_at":"2026-03-05T09:06:00+00:00","asked_at":"2026-03-02T09:00:00+00:00","deadline":"2026-03-30T21:59:59.999999+00:00","frequency":"","language":"nl","list_name":"News","mail_wording":"dde7d794f8a75f00c9f4a8264d1d756ecc9af205d572151fd1a92dc44478ac50","method":"page","page_wording":"f951da7e5dc92abf6e502a6678b7eefacf98379784022f879bbf2bcf566b80e7","privacy_url":"https://www.example.org/privacy","purpose":"Nieuws over onze praktijk, vier keer per jaar","reason":"no","reminded_at":"","sensitive":false}');
INSERT INTO evidence_part VALUES (17, 10, 'person', 'e2ac801b643aaa46a94bf06168992d6d', '{"address":"mind@example.org","link":"2e4fdef63f6b2a17765f1dda3cce600f","name":"Mina Mind"}');
INSERT INTO evidence_part VALUES (18, 10, 'trace', 'a441ab75663e5b05f72730aa234bee09', '{"browser":"Werkzeug/3.1.9","network":"127.0.0.0/24","openings":{"no":{"first_at":"2026-03-05T09:06:00+00:00","get":1,"head":0,"last_at":"2026-03-05T09:06:00+00:00"}}}');
INSERT INTO evidence_part VALUES (19, 11, 'consent', '187e4776d595a8db66cc9b29fdd979e7', '{"answer":"yes","arrived_at":"2026-03-05T09:08:00+00:00","asked_at":"2026-03-02T09:00:00+00:00","basis":"answer","deadline":"2026-03-30T21:59:59.999999+00:00","frequency":"","language":"nl","list_name":"News","mail_wording":"dde7d794f8a75f00c9f4a8264d1d756ecc9af205d572151fd1a92dc44478ac50","method":"page","page_wording":"dee215034b0266d426b8df0a959747f72a540d0fbbca144a07155e9b3644e325","privacy_url":"https://www.example.org/privacy","purpose":"Nieuws over onze praktijk, vier keer per jaar","reminded_at":"","sensitive":false}');
INSERT INTO evidence_part VALUES (20, 11, 'person', 'f7b1a16cecacd0062e07554f58a5ace1', '{"address":"mind@example.org","link":"2e4fdef63f6b2a17765f1dda3cce600f","name":"Mina Mind"}');
INSERT INTO evidence_part VALUES (21, 11, 'trace', 'db6f723ac40d723077a364f021b3472a', '{"browser":"Werkzeug/3.1.9","network":"127.0.0.0/24","openings":{"no":{"first_at":"2026-03-05T09:06:00+00:00","get":1,"head":0,"last_at":"2026-03-05T09:06:00+00:00"},"yes":{"first_at":"2026-03-05T09:08:00+00:00","get":1,"head":0,"last_at":"2026-03-05T09:08:00+00:00"}}}');
INSERT INTO evidence_part VALUES (22, 12, 'consent', 'd30434b7cacd8e129546399a1941d693', '{"answer":"no","arrived_at":"2026-03-05T09:08:00+00:00","asked_at":"2026-03-02T09:00:00+00:00","deadline":"2026-03-30T21:59:59.999999+00:00","frequency":"","language":"nl","list_name":"News","mail_wording":"dde7d794f8a75f00c9f4a8264d1d756ecc9af205d572151fd1a92dc44478ac50","method":"one_click","privacy_url":"https://www.example.org/privacy","purpose":"Nieuws over onze praktijk, vier keer per jaar","reason":"no","reminded_at":"","sensitive":false}');
INSERT INTO evidence_part VALUES (25, 13, 'consent', '2e61b1f7598e105bd832f5a05d22cffe', '{"answer":"yes","arrived_at":"2026-03-05T09:08:00+00:00","asked_at":"2026-03-02T09:00:00+00:00","basis":"answer","deadline":"2026-03-30T21:59:59.999999+00:00","frequency":"","language":"nl","list_name":"News","mail_wording":"dde7d794f8a75f00c9f4a8264d1d756ecc9af205d572151fd1a92dc44478ac50","method":"note","privacy_url":"https://www.example.org/privacy","purpose":"Nieuws over onze praktijk, vier keer per jaar","reminded_at":"","sensitive":false}');
INSERT INTO evidence_part VALUES (26, 13, 'person', '949c01a38dff1e61dff5b2846c30c727', '{"address":"phone@example.org","link":"e7414e43852f2d4daa607167fb3ba54a","name":"Fons Phone","note":"by phone, to Anna"}');
INSERT INTO evidence_part VALUES (27, 14, 'consent', 'd040fdeee8e8f728cfbf6f1a6936c7d2', '{"downtime":2678880}');
INSERT INTO evidence_part VALUES (28, 15, 'consent', 'da243034e0a1601c755455fa16f78621', '{"asked_at":"2026-03-02T09:00:00.000000+00:00","deadline":"2026-03-30T21:59:59.999999+00:00","frequency":"","language":"nl","list_name":"News","mail_wording":"dde7d794f8a75f00c9f4a8264d1d756ecc9af205d572151fd1a92dc44478ac50","minimum_days":14,"privacy_url":"https://www.example.org/privacy","purpose":"Nieuws over onze praktijk, vier keer per jaar","reason":"no_response","reminded_at":"","sensitive":false}');
INSERT INTO evidence_part VALUES (29, 15, 'person', '4c425f1ef0fcc3646bb3ae4bdd1aa6a5', '{"address":"silent@example.org","link":"ccaf406a8b43686394e5246a65c922ce","name":"Silas Silent"}');
INSERT INTO evidence_part VALUES (30, 16, 'consent', '6cdd42e5023df86e383d531fb2e4f7db', '{"counts":{"bounce":1,"confirmed":4,"no":1,"no_response":1,"unconfirmed":1},"deadline":"2026-03-30T21:59:59.999999+00:00"}');
INSERT INTO evidence_part VALUES (31, 17, 'consent', '2d273c74fc1e635d1dfb4fe52faba8f6', '{"parts":["person","trace"],"seqs":[12],"whose":"b2409ffac1028b6e81f0872ce3586b1016bf64dfd0378ffd4d64e929ed15ec79"}');
INSERT INTO evidence_part VALUES (32, 18, 'consent', '0566c09b74ed8c6ddc2b922904499cf8', '{"reason":"request"}');
INSERT INTO evidence_part VALUES (33, 19, 'consent', 'fcf48b99aa4d8b92f59043bbb66a97cf', '{"after":["Ja, graag"],"before":["Ja, blijf mij deze mails sturen"],"language":"nl","text":"Yes, keep sending me these mails"}');
INSERT INTO evidence_part VALUES (34, 20, 'consent', 'b5caaadfc331d3f7219982a040cc068b', '{"fields":{"frequency":"1 keer per jaar"}}');
INSERT INTO evidence_part VALUES (35, 21, 'consent', 'f6b09c0854d71767840c4b01b056bfca', '{"fields":{"frequency":"2 keer per jaar"}}');
INSERT INTO evidence_part VALUES (36, 22, 'consent', '16f67a741fe26d012405e97ea2603ee5', '{"fields":{"frequency":"3 keer per jaar"}}');
INSERT INTO evidence_part VALUES (37, 23, 'consent', 'efa74c614f98a6c8d0116678d1590ce4', '{"fields":{"frequency":"4 keer per jaar"}}');
INSERT INTO evidence_part VALUES (38, 24, 'consent', 'b6de9fa3e31a4d848cf025c92d08a418', '{"fields":{"frequency":"5 keer per jaar"}}');
INSERT INTO evidence_part VALUES (39, 25, 'consent', '6456c9b2afb949206cfd6c98e184a2c3', '{"fields":{"frequency":"6 keer per jaar"}}');
INSERT INTO evidence_part VALUES (40, 26, 'consent', 'a7ec0dd0631ec8f4ec5afc890b7e3598', '{"fields":{"frequency":"7 keer per jaar"}}');
INSERT INTO evidence_part VALUES (41, 27, 'consent', 'c9ed8422514e305505177ffda9b292f5', '{"fields":{"frequency":"8 keer per jaar"}}');
INSERT INTO evidence_part VALUES (42, 28, 'consent', 'e28f768e454d40476e06a662a7501ddd', '{"fields":{"frequency":"9 keer per jaar"}}');
INSERT INTO evidence_part VALUES (43, 29, 'consent', '1831e05d791b0175876aa8147c51ccf6', '{"fields":{"frequency":"10 keer per jaar"}}');
INSERT INTO evidence_part VALUES (44, 30, 'consent', '425b17f973aea5bba1f3d9ab9b5bd71e', '{"fields":{"frequency":"11 keer per jaar"}}');
INSERT INTO evidence_part VALUES (45, 31, 'consent', 'd59dc2074e0ba9e818ef074c7664b376', '{"fields":{"frequency":"12 keer per jaar"}}');
INSERT INTO evidence_part VALUES (46, 32, 'consent', '01dcd8e534042e5257706cf7ba3d864c', '{"fields":{"frequency":"13 keer per jaar"}}');
INSERT INTO evidence_part VALUES (47, 33, 'consent', 'b792e65fd6511846461c3d2f515f3436', '{"fields":{"frequency":"14 keer per jaar"}}');
INSERT INTO evidence_part VALUES (48, 34, 'consent', '4aefc05d04f6eef65bc8a448b801f213', '{"fields":{"frequency":"15 keer per jaar"}}');
INSERT INTO evidence_part VALUES (49, 35, 'consent', '967de978f60fe0c84e9e31e222139dc1', '{"fields":{"frequency":"16 keer per jaar"}}');
INSERT INTO evidence_part VALUES (50, 36, 'consent', '18cded17549ec009b0d8ed6ea330c7f7', '{"fields":{"frequency":"17 keer per jaar"}}');
INSERT INTO evidence_part VALUES (51, 37, 'consent', '7c3f8a14844a93b415f84e2467c10120', '{"fields":{"frequency":"18 keer per jaar"}}');
INSERT INTO evidence_part VALUES (52, 38, 'consent', '46013e2c265f4ebecfdef9e557c77bc4', '{"fields":{"frequency":"19 keer per jaar"}}');
INSERT INTO evidence_part VALUES (53, 39, 'consent', '2b9a74eacc112f765c72b0af8485133a', '{"fields":{"frequency":"20 keer per jaar"}}');
INSERT INTO evidence_part VALUES (54, 40, 'consent', 'e73f5a8418302cea002d05091a93d019', '{"fields":{"frequency":"21 keer per jaar"}}');
INSERT INTO evidence_part VALUES (55, 41, 'consent', '1ed74282d05e0305ef17a1075b260a36', '{"fields":{"frequency":"22 keer per jaar"}}');
INSERT INTO evidence_part VALUES (56, 42, 'consent', 'bb0bd5db04e87c5f93c2b552fc215f37', '{"fields":{"frequency":"23 keer per jaar"}}');
INSERT INTO evidence_part VALUES (57, 43, 'consent', '658b03aaa44bc3676c3d78a67687708d', '{"fields":{"frequency":"24 keer per jaar"}}');
INSERT INTO evidence_part VALUES (58, 44, 'consent', 'dcfe7f835f472e1dccf11db719209002', '{"fields":{"frequency":"25 keer per jaar"}}');
INSERT INTO evidence_part VALUES (59, 45, 'consent', '105e76daf420ea17b237bcae8107ec4d', '{"fields":{"frequency":"26 keer per jaar"}}');
INSERT INTO evidence_part VALUES (60, 46, 'consent', '5fb90004b7a8aff1603e30a6195f9508', '{"fields":{"frequency":"27 keer per jaar"}}');
INSERT INTO evidence_part VALUES (61, 47, 'consent', '2437c58a1f1e7205d6a669526e8c7244', '{"fields":{"frequency":"28 keer per jaar"}}');
INSERT INTO evidence_part VALUES (62, 48, 'consent', '8bcfd95c1be5c733839311b49527cba0', '{"fields":{"frequency":"29 keer per jaar"}}');
INSERT INTO evidence_part VALUES (63, 49, 'consent', '65f2e33423cf4d279680a299aa510a4d', '{"fields":{"frequency":"30 keer per jaar"}}');
INSERT INTO evidence_part VALUES (64, 50, 'consent', '1be46ccc52f98765c04d28cdbf9e5d2b', '{"fields":{"frequency":"31 keer per jaar"}}');
INSERT INTO evidence_part VALUES (65, 51, 'consent', '739c013d14251f0005b86efad193e267', '{"fields":{"frequency":"32 keer per jaar"}}');
INSERT INTO evidence_part VALUES (66, 52, 'consent', '1f9523a589b8fd8fe6863a42bf276a70', '{"fields":{"frequency":"33 keer per jaar"}}');
INSERT INTO evidence_part VALUES (67, 53, 'consent', '017d3c028d8c4aebd4561726d22115f5', '{"fields":{"frequency":"34 keer per jaar"}}');
INSERT INTO evidence_part VALUES (68, 54, 'consent', '1fb0131182398ba4bbf73c92d1ab7dbe', '{"fields":{"frequency":"35 keer per jaar"}}');
INSERT INTO evidence_part VALUES (69, 55, 'consent', '80c0e4d8997b0a637e63b22bd34cdc1c', '{"fields":{"frequency":"36 keer per jaar"}}');
INSERT INTO evidence_part VALUES (70, 56, 'consent', 'b9a2058eaef909fecb66080fb7916923', '{"fields":{"frequency":"37 keer per jaar"}}');
INSERT INTO evidence_part VALUES (71, 57, 'consent', '099631cad1108754489250f4ed22c51b', '{"fields":{"frequency":"38 keer per jaar"}}');
INSERT INTO evidence_part VALUES (72, 58, 'consent', 'c056b45b785c08fc335318c02100b39b', '{"fields":{"frequency":"39 keer per jaar"}}');
INSERT INTO evidence_part VALUES (73, 59, 'consent', 'df1700710d3911c62d3471e1814c0879', '{"fields":{"frequency":"40 keer per jaar"}}');
INSERT INTO evidence_part VALUES (74, 60, 'consent', 'c37c2cbd357efa4ca60406bb556682ca', '{"fields":{"language":"nl","name":"Other","privacy_url":"https://www.example.org/privacy","purpose":"Nieuws over onze praktijk, vier keer per jaar","sender":"Praktijk De Linde <nieuws@example.org>"}}');
INSERT INTO evidence_part VALUES (75, 61, 'consent', '0697a4fb1c8ff8b623d86f7f986cd1eb', '{"addresses":2,"attest":"","columns":[{"column":"E-mail","field":"address","part":"list.csv"}],"customers":false,"fates":{"ask":2,"confirmed":0,"customer":0,"duplicate":0,"invalid":0,"opted_out":0,"role":0,"suppressed":0},"file":"dc7973f6b4d8ecd2291b5094f0dfc4f2ae992cb1802a6707ba779d44581799a1","improved":0,"list_name":"Other","merged":0,"name":"list.csv","rows":2,"sensitive":false,"source":"","unseen":{"frequency":"","language":"nl","privacy_url":"https://www.example.org/privacy","purpose":"Nieuws over onze praktijk, vier keer per jaar"},"wording":""}');
INSERT INTO evidence_part VALUES (76, 62, 'consent', '3278646a38f33aa4e30e77f6ad277fa9', '{"attest":"267f8d84290b175a3c10de0622c1f2a2f79d7f414d3de372eb11bddfeff8c824","basis":"customer","file":"a47d22311a1533b786b152ab0d25be1c96f479af75e4cb3af0e6600bdd0ee4aa","list_name":"Other","sensitive":false,"unseen":{"frequency":"","language":"nl","privacy_url":"https://www.example.org/privacy","purpose":"Nieuws over onze praktijk, vier keer per jaar"},"wording":""}');
INSERT INTO evidence_part VALUES (77, 62, 'person', '1889702d8f9dc27adb28d3004f25dc39', '{"address":"first@example.org","link":"43954c857af94ba845c3206a9f767f16","name":""}');
INSERT INTO evidence_part VALUES (78, 63, 'consent', '2d32a6f079857dfbea0be27c12c1490a', '{"addresses":3,"attest":"267f8d84290b175a3c10de0622c1f2a2f79d7f414d3de372eb11bddfeff8c824","columns":[{"column":"E-mail","field":"address","part":"b.csv"},{"column":"Klant","field":"customer","part":"b.csv"},{"column":"Status","field":"status","part":"b.csv"}],"customers":false,"fates":{"ask":1,"confirmed":0,"customer":0,"duplicate":1,"invalid":0,"opted_out":1,"role":0,"suppressed":0},"file":"a47d22311a1533b786b152ab0d25be1c96f479af75e4cb3af0e6600bdd0ee4aa","improved":1,"list_name":"Other","merged":0,"name":"b.csv","rows":3,"sensitive":false,"source":"","unseen":{"frequency":"","language":"nl","privacy_url":"https://www.example.org/privacy","purpose":"Nieuws over onze praktijk, vier keer per jaar"},"wording":""}');
INSERT INTO evidence_part VALUES (79, 64, 'consent', 'f88ac3d2dc13294cc81a8d9923ff1ab4', '{"fields":{"language":"nl","name":"More","privacy_url":"https://www.example.org/privacy","purpose":"Nieuws over onze praktijk, vier keer per jaar","sender":"Praktijk De Linde <nieuws@example.org>"}}');
INSERT INTO fresh_link VALUES (1, 3, 15, 'see', '66666666666666666666666666666666', 'yes@example.org', 'yes@example.org', '', '2026-04-02 09:08:00+00', NULL, '');
INSERT INTO handed_over VALUES (1, 1, 'laposta', 'import', 'admin@example.org', '2026-04-02 09:08:00+00');
INSERT INTO held_count VALUES (1, 1, 1, 0, 0, 1);
INSERT INTO held_count VALUES (2, 1, 1, 1, 0, 8);
INSERT INTO held_count VALUES (3, 1, 1, 1, 0, -1);
INSERT INTO held_count VALUES (4, 1, 0, 0, 0, 1);
INSERT INTO held_count VALUES (5, 2, 1, 0, 0, 2);
INSERT INTO held_count VALUES (6, 2, 1, 0, 0, 1);
INSERT INTO held_count VALUES (7, 3, 1, 0, 0, 1);
INSERT INTO held_count VALUES (8, 3, 1, 0, 0, 1);
INSERT INTO held_count VALUES (9, 3, 1, 0, 0, 1);
INSERT INTO import VALUES (1, 1, 'list.csv', 'ff9a27ca6a31d0a61b8944aa132b2bf2d839356d6ad4ff26b524e45f901b6330', '{"rows": 12, "addresses": 10, "fates": {"invalid": 1, "suppressed": 0, "opted_out": 1, "confirmed": 0, "customer": 1, "role": 1, "ask": 7, "duplicate": 1}, "merged": 0, "improved": 0}', '[]', '2026-03-02 09:00:00+00', NULL);
INSERT INTO import VALUES (2, 2, 'list.csv', 'dc7973f6b4d8ecd2291b5094f0dfc4f2ae992cb1802a6707ba779d44581799a1', '{"rows": 2, "addresses": 2, "fates": {"invalid": 0, "suppressed": 0, "opted_out": 0, "confirmed": 0, "customer": 0, "role": 0, "ask": 2, "duplicate": 0}, "merged": 0, "improved": 0}', '[]', '2026-04-02 09:08:00+00', NULL);
INSERT INTO import VALUES (3, 2, 'b.csv', 'a47d22311a1533b786b152ab0d25be1c96f479af75e4cb3af0e6600bdd0ee4aa', '{"rows": 3, "addresses": 3, "fates": {"invalid": 0, "suppressed": 0, "opted_out": 1, "confirmed": 0, "customer": 0, "role": 0, "ask": 1, "duplicate": 1}, "merged": 0, "improved": 1}', '[[10,"unconfirmed","2026-04-02T09:08:00.000000+00:00","",null]]', '2026-04-02 09:08:00+00', NULL);
INSERT INTO invitation VALUES (1, 1002, '1111111111111111111111111111111111111111111111111111111111111111', '2026-04-02 09:08:00+00', NULL);
INSERT INTO launching VALUES (2, 'anna@example.org', '{"attest": "The board decided on 1 March; our own forms; nobody opted out.", "told": "c65c9ff979f6886eac865ea41902e4c17f699b5e538bb27e7f090cd5ec6ecb87", "asked": 3, "excluded": {"confirmed": 0, "customer": 0, "removed": 0, "suppressed": 0, "asked_before": 0}, "left_out": {"opted_out": 0, "invalid": 0}, "deadline": "2026-04-30T09:08:00.000000+00:00", "starts_at": "2026-04-02T09:08:00.000000+00:00", "minimum_days": 14, "include_thin": false, "pilot": 1, "reminder_at": "", "purpose": "Nieuws over onze praktijk, vier keer per jaar", "frequency": "", "privacy_url": "https://www.example.org/privacy", "texts": [], "wordings": {"nl": "adc3ac154091eecf89196bafde79e01068230e688577470109a00b6156d70ae6"}}', 5100, 9000, 2, 0);
INSERT INTO list_text VALUES (1, 1, 'de', 'Neues', 'Neues aus der Praxis, vierteljährlich', '', 'https://www.example.org/de', '', '', '');
INSERT INTO mail VALUES (1, 1, 1, 1, NULL, 'ask', 'sent', '', '2026-03-02 09:00:00+00', 1, '3da9a4bcc3544715322f18f38d9371c5', NULL, '2026-03-02 09:00:00+00', '2026-03-02 09:00:00+00', 250, '2.0.0', '<aaaaaaaaaaaac-zkevmlc4aip2ttyf@example.org>', 1, '', '', NULL, '');
INSERT INTO mail VALUES (2, 1, 1, 2, NULL, 'ask', 'failed', 'recipient', '2026-03-02 09:00:00+00', 1, '3da9a4bcc3544715322f18f38d9371c5', NULL, NULL, NULL, 550, '5.1.1', '', 1, '', '', NULL, '');
INSERT INTO mail VALUES (4, 1, 1, 4, NULL, 'ask', 'failed', 'message', '2026-03-02 09:00:00+00', 1, '3da9a4bcc3544715322f18f38d9371c5', NULL, NULL, NULL, 552, '5.2.2', '', 1, '', '', NULL, '');
INSERT INTO mail VALUES (3, 1, 1, 3, NULL, 'ask', 'sent', '', '2026-03-02 09:00:00+00', 1, '3da9a4bcc3544715322f18f38d9371c5', NULL, '2026-03-02 09:00:00+00', '2026-03-02 09:00:00+00', 250, '2.0.0', '<aaaaaaaaaaaag-eqnbtnoq4dgcump5@example.org>', 1, '', '', NULL, '');
INSERT INTO mail VALUES (5, 1, 1, 5, NULL, 'ask', 'sent', '', '2026-03-02 09:00:00+00', 1, '3da9a4bcc3544715322f18f38d9371c5', NULL, '2026-03-02 09:00:00+00', '2026-03-02 09:00:00+00', 250, '2.0.0', '<aaaaaaaaaaaak-7qvppidsvpzngai6@example.org>', 1, '', '', NULL, '');
INSERT INTO mail VALUES (6, 1, 1, 7, NULL, 'ask', 'sent', '', '2026-03-02 09:00:00+00', 1, '3da9a4bcc3544715322f18f38d9371c5', NULL, '2026-03-02 09:00:00+00', '2026-03-02 09:00:00+00', 250, '2.0.0', '<aaaaaaaaaaaam-km5uhudl6qmaikck@example.org>', 1, '', '', NULL, '');
INSERT INTO mail VALUES (7, 1, 1, 8, NULL, 'ask', 'sent', '', '2026-03-02 09:00:00+00', 1, '3da9a4bcc3544715322f18f38d9371c5', NULL, '2026-03-02 09:00:00+00', '2026-03-02 09:00:00+00', 250, '2.0.0', '<aaaaaaaaaaaao-gf35r6b7j6s2l4vz@example.org>', 1, '', '', NULL, '');
INSERT INTO mail VALUES (8, 1, 1, 9, NULL, 'ask', 'sent', '', '2026-03-02 09:00:00+00', 1, '3da9a4bcc3544715322f18f38d9371c5', NULL, '2026-03-02 09:00:00+00', '2026-03-02 09:00:00+00', 250, '2.0.0', '<aaaaaaaaaaaaq-v3uh5nniypq424ta@example.org>', 1, '', '', NULL, '');
INSERT INTO mail VALUES (9, 1, NULL, 3, NULL, 'receipt', 'queued', '', '2026-03-05 09:02:00+00', 0, '', NULL, NULL, NULL, 0, '', '', NULL, '', '', NULL, '2026-03-05T09:02:00+00:00');
INSERT INTO mail VALUES (10, 1, NULL, 8, NULL, 'receipt', 'queued', '', '2026-03-05 09:04:00+00', 0, '', NULL, NULL, NULL, 0, '', '', NULL, '', '', NULL, '2026-03-05T09:04:00+00:00');
INSERT INTO mail VALUES (11, 1, NULL, 1, NULL, 'receipt', 'queued', '', '2026-03-05 09:08:00+00', 0, '', NULL, NULL, NULL, 0, '', '', NULL, '', '', NULL, '2026-03-05T09:08:00+00:00');
INSERT INTO mail VALUES (12, 1, NULL, 7, NULL, 'receipt', 'queued', '', '2026-03-05 09:08:00+00', 0, '', NULL, NULL, NULL, 0, '', '', NULL, '', '', NULL, '2026-03-05T09:08:00+00:00');
INSERT INTO mail VALUES (13, 3, 2, 101, NULL, 'ask', 'queued', '', '9999-01-01 00:00:00+00', 0, '', NULL, NULL, NULL, 0, '', '', NULL, '', '', NULL, '');
INSERT INTO mail VALUES (14, 3, 2, 102, NULL, 'ask', 'queued', '', '9999-01-01 00:00:00+00', 0, '', NULL, NULL, NULL, 0, '', '', NULL, '', '', NULL, '');
INSERT INTO mail VALUES (15, 1, NULL, 3, NULL, 'confirm', 'sent', '', '2026-04-02 09:08:00+00', 0, '', NULL, NULL, '2026-04-02 09:08:00+00', 0, '', '<x@example.org>', NULL, '', '', NULL, '');
INSERT INTO mail VALUES (16, 1, NULL, NULL, 1, 'confirm', 'queued', '', '2026-04-02 09:08:00+00', 0, '', NULL, NULL, NULL, 0, '', '', NULL, '', '', NULL, '');
INSERT INTO mail VALUES (17, 1, NULL, 3, NULL, 'receipt', 'in_doubt', '', '2026-04-02 09:08:00+00', 0, '', NULL, '2026-04-02 09:08:00+00', NULL, 0, '', '<y@example.org>', NULL, '', '', NULL, '');
INSERT INTO mail_count VALUES (1, 1, 1, 'ask', 'queued', '', '', 8);
INSERT INTO mail_count VALUES (2, 1, 1, 'ask', 'queued', '', '', -8);
INSERT INTO mail_count VALUES (3, 1, 1, 'ask', 'claimed', '', '', 8);
INSERT INTO mail_count VALUES (4, 1, 1, 'ask', 'started', '', '', 1);
INSERT INTO mail_count VALUES (5, 1, 1, 'ask', 'claimed', '', '', -1);
INSERT INTO mail_count VALUES (6, 1, 1, 'ask', 'sent', '', '', 1);
INSERT INTO mail_count VALUES (7, 1, 1, 'ask', 'started', '', '', -1);
INSERT INTO mail_count VALUES (8, 1, 1, 'ask', 'failed', 'recipient', '', 1);
INSERT INTO mail_count VALUES (9, 1, 1, 'ask', 'claimed', '', '', -1);
INSERT INTO mail_count VALUES (10, 1, 1, 'ask', 'failed', 'message', '', 1);
INSERT INTO mail_count VALUES (11, 1, 1, 'ask', 'claimed', '', '', -1);
INSERT INTO mail_count VALUES (12, 1, 1, 'ask', 'started', '', '', 1);
INSERT INTO mail_count VALUES (13, 1, 1, 'ask', 'claimed', '', '', -1);
INSERT INTO mail_count VALUES (14, 1, 1, 'ask', 'sent', '', '', 1);
INSERT INTO mail_count VALUES (15, 1, 1, 'ask', 'started', '', '', -1);
INSERT INTO mail_count VALUES (16, 1, 1, 'ask', 'started', '', '', 1);
INSERT INTO mail_count VALUES (17, 1, 1, 'ask', 'claimed', '', '', -1);
INSERT INTO mail_count VALUES (18, 1, 1, 'ask', 'sent', '', '', 1);
INSERT INTO mail_count VALUES (19, 1, 1, 'ask', 'started', '', '', -1);
INSERT INTO mail_count VALUES (20, 1, 1, 'ask', 'started', '', '', 2);
INSERT INTO mail_count VALUES (21, 1, 1, 'ask', 'claimed', '', '', -2);
INSERT INTO mail_count VALUES (22, 1, 1, 'ask', 'sent', '', '', 2);
INSERT INTO mail_count VALUES (23, 1, 1, 'ask', 'started', '', '', -2);
INSERT INTO mail_count VALUES (24, 1, 1, 'ask', 'started', '', '', 1);
INSERT INTO mail_count VALUES (25, 1, 1, 'ask', 'claimed', '', '', -1);
INSERT INTO mail_count VALUES (26, 1, 1, 'ask', 'sent', '', '', 1);
INSERT INTO mail_count VALUES (27, 1, 1, 'ask', 'started', '', '', -1);
INSERT INTO mail_count VALUES (28, 1, 0, 'receipt', 'queued', '', '', 1);
INSERT INTO mail_count VALUES (29, 1, 0, 'receipt', 'queued', '', '', 1);
INSERT INTO mail_count VALUES (30, 1, 0, 'receipt', 'queued', '', '', 1);
INSERT INTO mail_count VALUES (31, 1, 0, 'receipt', 'queued', '', '', 1);
INSERT INTO mail_count VALUES (32, 3, 2, 'ask', 'queued', '', '', 2);
INSERT INTO mail_count VALUES (33, 1, 0, 'confirm', 'sent', '', '', 1);
INSERT INTO mail_count VALUES (34, 1, 0, 'confirm', 'queued', '', '', 1);
INSERT INTO mail_count VALUES (35, 1, 0, 'receipt', 'in_doubt', '', '', 1);
INSERT INTO mailing_list VALUES (1, 'news', 'News', 'Nieuws over onze praktijk, vier keer per jaar', '40 keer per jaar', 'https://www.example.org/privacy', 'nl', 'Praktijk De Linde <nieuws@example.org>', false, true, '', '', '', '2026-03-02 09:00:00+00', NULL);
INSERT INTO mailing_list VALUES (2, 'other', 'Other', 'Nieuws over onze praktijk, vier keer per jaar', '', 'https://www.example.org/privacy', 'nl', 'Praktijk De Linde <nieuws@example.org>', false, false, '', '', '', '2026-04-02 09:08:00+00', NULL);
INSERT INTO mailing_list VALUES (3, 'more', 'More', 'Nieuws over onze praktijk, vier keer per jaar', '', 'https://www.example.org/privacy', 'nl', 'Praktijk De Linde <nieuws@example.org>', false, false, '', '', '', '2026-04-02 09:08:00+00', NULL);
INSERT INTO meta VALUES ('schema_version', '24');
INSERT INTO meta VALUES ('fingerprint_key_check', '47279df6c6fad041c2dcc3ed5e006f6e1070b488be6623662d5b41afbe9eb421');
INSERT INTO meta VALUES ('texts', '549d270c62d79297980300b1d55f08c4');
INSERT INTO meta VALUES ('tallied_upto', '64');
INSERT INTO opening VALUES (3, 1, 1, 0, '2026-03-05 09:02:00+00', '2026-03-05 09:02:00+00', 0, 0, NULL, NULL, NULL, '2026-03-05 09:02:00+00', NULL, NULL, NULL, false, NULL, '', NULL, '2026-03-05 09:02:00+00');
INSERT INTO opening VALUES (8, 1, 1, 0, '2026-03-05 09:04:00+00', '2026-03-05 09:04:00+00', 0, 0, NULL, NULL, NULL, '2026-03-05 09:04:00+00', NULL, NULL, NULL, false, NULL, '', NULL, '2026-03-05 09:04:00+00');
INSERT INTO opening VALUES (1, 1, 1, 0, '2026-03-05 09:08:00+00', '2026-03-05 09:08:00+00', 1, 0, '2026-03-05 09:06:00+00', '2026-03-05 09:06:00+00', NULL, '2026-03-05 09:08:00+00', '2026-03-05 09:06:00+00', NULL, NULL, false, NULL, '', NULL, '2026-03-05 09:06:00+00');
INSERT INTO pace VALUES ('', '2026-04-02 09:08:00+00');
INSERT INTO part_count VALUES (1, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (2, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (3, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (4, 'news', 'consent', 1, 1);
INSERT INTO part_count VALUES (5, 'news', 'person', 1, 1);
INSERT INTO part_count VALUES (6, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (7, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (8, 'news', 'consent', 1, 1);
INSERT INTO part_count VALUES (9, 'news', 'person', 1, 1);
INSERT INTO part_count VALUES (10, 'news', 'consent', 1, 1);
INSERT INTO part_count VALUES (11, 'news', 'person', 1, 1);
INSERT INTO part_count VALUES (12, 'news', 'trace', 1, 1);
INSERT INTO part_count VALUES (13, 'news', 'consent', 1, 1);
INSERT INTO part_count VALUES (14, 'news', 'person', 1, 1);
INSERT INTO part_count VALUES (15, 'news', 'trace', 1, 1);
INSERT INTO part_count VALUES (16, 'news', 'consent', 1, 1);
INSERT INTO part_count VALUES (17, 'news', 'person', 1, 1);
INSERT INTO part_count VALUES (18, 'news', 'trace', 1, 1);
INSERT INTO part_count VALUES (19, 'news', 'consent', 1, 1);
INSERT INTO part_count VALUES (20, 'news', 'person', 1, 1);
INSERT INTO part_count VALUES (21, 'news', 'trace', 1, 1);
INSERT INTO part_count VALUES (22, 'news', 'consent', 1, 1);
INSERT INTO part_count VALUES (23, 'news', 'person', 1, 1);
INSERT INTO part_count VALUES (24, 'news', 'trace', 1, 1);
INSERT INTO part_count VALUES (25, 'news', 'consent', 1, 1);
INSERT INTO part_count VALUES (26, 'news', 'person', 1, 1);
INSERT INTO part_count VALUES (27, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (28, 'news', 'consent', 1, 1);
INSERT INTO part_count VALUES (29, 'news', 'person', 1, 1);
INSERT INTO part_count VALUES (30, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (31, 'news', 'person', 1, -1);
INSERT INTO part_count VALUES (32, 'news', 'trace', 1, -1);
INSERT INTO part_count VALUES (33, 'news', 'consent', 1, 1);
INSERT INTO part_count VALUES (34, 'news', 'consent', 1, 1);
INSERT INTO part_count VALUES (35, '', 'consent', 0, 1);
INSERT INTO part_count VALUES (36, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (37, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (38, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (39, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (40, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (41, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (42, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (43, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (44, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (45, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (46, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (47, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (48, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (49, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (50, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (51, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (52, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (53, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (54, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (55, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (56, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (57, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (58, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (59, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (60, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (61, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (62, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (63, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (64, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (65, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (66, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (67, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (68, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (69, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (70, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (71, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (72, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (73, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (74, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (75, 'news', 'consent', 0, 1);
INSERT INTO part_count VALUES (76, 'other', 'consent', 0, 1);
INSERT INTO part_count VALUES (77, 'other', 'consent', 0, 1);
INSERT INTO part_count VALUES (78, 'other', 'consent', 1, 1);
INSERT INTO part_count VALUES (79, 'other', 'person', 1, 1);
INSERT INTO part_count VALUES (80, 'other', 'consent', 0, 1);
INSERT INTO part_count VALUES (81, 'more', 'consent', 0, 1);
INSERT INTO recovery_code VALUES (1, 1002, 'f798776cb4d1e5975b47ed94fcc91314bc8d5c6935ff56b33c03b08c52356818', NULL);
INSERT INTO register_notes VALUES (1, 1, '{}', '2026-04-02 09:08:00+00');
INSERT INTO reply VALUES (1, 1, 3, '7777777777777777777777777777777777777777777777777777777777777777', 'yes', '2026-04-02 09:08:00+00', NULL);
INSERT INTO session VALUES (1, 1002, '2222222222222222222222222222222222222222222222222222222222222222', false, false, '2026-04-02 09:08:00+00', '2026-04-02 09:08:00+00', '', '', NULL);
INSERT INTO sign_up VALUES (1, 1, '55555555555555555555555555555555', 'joiner@example.org', 'joiner@example.org', '', 'nl', '2026-04-02 09:08:00+00', NULL, NULL, NULL);
INSERT INTO suppression VALUES (1, 1, 'd5a5c34e169b7f59804e0d0f5a76cfd9d86e9f4c106701fe75696ca775181229', '8049bc924133f4ce8eaae913d8ceb7e0', 'unsubscribed', '2026-03-02 09:00:00+00', 1);
INSERT INTO suppression VALUES (2, 1, 'f3fd63a365302ca3756f6270be2f0e4954b112f7ef5c8a3e68794c6eeb64946a', 'e06571e27c89b0084c4d4bbd51d657c1', 'bounce', '2026-03-02 09:00:00+00', NULL);
INSERT INTO suppression VALUES (4, 1, 'b2409ffac1028b6e81f0872ce3586b1016bf64dfd0378ffd4d64e929ed15ec79', 'b5b5fb840e91387ac88a08e3626f05df', 'no', '2026-03-05 09:08:00+00', NULL);
INSERT INTO suppression VALUES (5, 1, '2f97d3f8486fe1ff92c617088ca97fb8d10aa9bcc640ddb6ab16b4cf439e018d', 'd559e6a0633b2a8435e22b844709a260', 'no_response', '2026-04-02 09:08:00+00', NULL);
INSERT INTO suppression VALUES (6, 1, '09addb44a1ff8e61c45a2079f49460383b2d2bbbbf626b8a6382fa520cacbb01', 'cf3e962073a206e0651d160480c24ea3', 'request', '2026-04-02 09:08:00+00', NULL);
INSERT INTO suppression VALUES (7, 2, '135c399ad1fb753ab526d453e4850329071ccda259893c266b0a7fc0b84a2079', '6c4a91bc929d6fb1f94e029a58368b4d', 'unsubscribed', '2026-04-02 09:08:00+00', 3);
INSERT INTO suppression_count VALUES (1, 1, 'unsubscribed', 1, 1);
INSERT INTO suppression_count VALUES (2, 1, 'bounce', 0, 1);
INSERT INTO suppression_count VALUES (3, 1, 'no', 0, 1);
INSERT INTO suppression_count VALUES (4, 1, 'no', 0, -1);
INSERT INTO suppression_count VALUES (5, 1, 'no', 0, 1);
INSERT INTO suppression_count VALUES (6, 1, 'no_response', 0, 1);
INSERT INTO suppression_count VALUES (7, 1, 'request', 0, 1);
INSERT INTO suppression_count VALUES (8, 2, 'unsubscribed', 1, 1);
INSERT INTO tally VALUES (1, 'news', 1, '', 'bounce', 1);
INSERT INTO tally VALUES (2, 'news', 1, '', 'no', 1);
INSERT INTO tally VALUES (3, 'news', 1, '', 'no_response', 1);
INSERT INTO tally VALUES (4, 'news', 1, '', 'yes', 4);
INSERT INTO tally VALUES (5, 'news', 1, '2026-03-02', 'bounce', 1);
INSERT INTO tally VALUES (6, 'news', 1, '2026-03-05', 'no', 2);
INSERT INTO tally VALUES (7, 'news', 1, '2026-03-05', 'yes', 4);
INSERT INTO tally VALUES (8, 'news', 1, '2026-04-02', 'no_response', 1);
INSERT INTO throttle VALUES ('account:x', 2, '2026-04-02 09:08:00+00', '2026-04-02 09:08:00+00');
INSERT INTO undoing VALUES (3, 2, 'admin@example.org', '2026-04-02 09:08:00+00', 3, 0, 0, 0, 0, 0);
INSERT INTO upload VALUES (1, 2, 1002, '44444444444444444444444444444444', 'c.csv', '{}', '2026-04-02 09:08:00+00', 3, 2);
INSERT INTO "user" VALUES (1002, 'user2@example.org', 'viewer', '', '$argon2id$v=19$m=65536,t=3,p=4$8Ad3a5jRNdHWTeYAEdrRDg$5jgtrtbZsw4lJJr1mTjOuJ4OQkDRDerRrUfd+Dnse0w', '2026-03-02 09:00:00+00', 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP', 0, '2026-03-02 09:00:00+00');
INSERT INTO webhook VALUES (1, 'https://hooks.example.org/in', 'whsec_AAAA', 1, 0, 'admin@example.org', '2026-04-02 09:08:00+00', NULL);
INSERT INTO wording VALUES ('267f8d84290b175a3c10de0622c1f2a2f79d7f414d3de372eb11bddfeff8c824', 'Each bought a course from us, was told of the news then and could say no.');
INSERT INTO wording VALUES ('dde7d794f8a75f00c9f4a8264d1d756ecc9af205d572151fd1a92dc44478ac50', '{"deadline":"2026-03-30T21:59:59.999999+00:00","format":1,"html":"<!DOCTYPE html><html lang=\"nl\" dir=\"ltr\" style=\"color-scheme: light dark;\"><head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>News: mogen wij u blijven mailen?</title>\n<!--[if mso]>\n<xml><o:OfficeDocumentSettings xmlns:o=\"urn:schemas-microsoft-com:office:office\"><o:PixelsPerInch>96</o:PixelsPerInch></o:OfficeDocumentSettings></xml>\n<style>p, h1, h2, li, td, a, code { font-family: \"Segoe UI\", Arial, sans-serif !important; }</style>\n<![endif]-->\n<style>\n:root { color-scheme: light dark; }\nbody { margin: 0; padding: 0; background-color: #ffffff; color: #1d2329; }\n.mail, .sheet { background-color: #ffffff; color: #1d2329; font: 17px/1.5 system-ui, -apple-system, \"Segoe UI\", Roboto, Helvetica, Arial, sans-serif; -webkit-text-size-adjust: 100%; }\n.preview { display: none; max-height: 0; overflow: hidden; font-size: 1px; line-height: 1px; mso-hide: all; }\n.column { width: 100%; max-width: 600px; margin: 0 auto; border-collapse: collapse; mso-table-lspace: 0pt; mso-table-rspace: 0pt; }\n.sheet { padding: 24px 20px 32px; text-align: left; overflow-wrap: break-word; word-break: break-word; }\nh1 { margin: 0 0 16px; font-size: 24px; line-height: 1.3; font-weight: 600; }\nh2 { margin: 24px 0 4px; font-size: 17px; line-height: 1.4; font-weight: 600; }\np { margin: 0 0 16px; }\nul { margin: 0 0 16px 22px; padding: 0; }\nli { margin: 0 0 6px; }\na { color: #1d4f91; text-decoration: underline; }\n.buttons { width: 100%; border-collapse: separate; border-spacing: 0; mso-table-lspace: 0pt; mso-table-rspace: 0pt; }\n.gap { height: 12px; padding: 0; font-size: 1px; line-height: 12px; }\n.press { padding: 0; border-radius: 6px; background-color: #1d4f91; color: #ffffff; text-align: center; mso-padding-alt: 15px 16px 15px 16px; }\n.button { display: block; padding: 15px 16px; border: 1px solid #1d4f91; border-radius: 6px; background-color: #1d4f91; color: #ffffff; font-size: 18px; line-height: 1.3; font-weight: 600; text-align: center; text-decoration: none; mso-padding-alt: 0; }\n.after { margin: 24px 0 16px; }\n.foot { margin: 24px 0 0; padding: 16px 0 0; border-top: 1px solid #c9ced6; font-size: 15px; color: #4a5462; }\na[x-apple-data-detectors] { color: inherit !important; text-decoration: inherit !important; }\n@media (prefers-color-scheme: dark) {\nbody, .mail, .sheet { background-color: #15181c !important; color: #e6e9ed !important; }\na { color: #9cc4ff !important; }\n.press, .button { background-color: #9cc4ff !important; border-color: #9cc4ff !important; color: #0c1a2c !important; }\n.foot { border-top-color: #444c57 !important; color: #b4bcc7 !important; }\n}\n</style>\n</head>\n<body style=\"margin: 0;padding: 0;background-color: #ffffff;color: #1d2329;\">\n<div class=\"mail\" dir=\"ltr\" role=\"article\" aria-label=\"News: mogen wij u blijven mailen?\" lang=\"nl\" style=\"background-color: #ffffff;color: #1d2329;font: 17px/1.5 system-ui, -apple-system, ''Segoe UI'', Roboto, Helvetica, Arial, sans-serif;-webkit-text-size-adjust: 100%;\">\n<div class=\"preview\" style=\"display: none;max-height: 0;overflow: hidden;font-size: 1px;line-height: 1px;mso-hide: all;\">Wilt u uiterlijk maandag 30 maart 2026, 23:59 uur met Ja of Nee antwoorden?͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;</div>\n<!--[if mso]><table role=\"presentation\" align=\"center\" width=\"600\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\"><tr><td><![endif]-->\n<table class=\"column\" role=\"presentation\" style=\"width: 100%;max-width: 600px;margin: 0 auto;border-collapse: collapse;mso-table-lspace: 0pt;mso-table-rspace: 0pt;\"><tbody><tr><td class=\"sheet\" style=\"background-color: #ffffff;color: #1d2329;font: 17px/1.5 system-ui, -apple-system, ''Segoe UI'', Roboto, Helvetica, Arial, sans-serif;-webkit-text-size-adjust: 100%;padding: 24px 20px 32px;text-align: left;overflow-wrap: break-word;word-break: break-word;\">\n<p style=\"margin: 0 0 16px;\">⟦greeting⟧</p>\n<h1 style=\"margin: 0 0 16px;font-size: 24px;line-height: 1.3;font-weight: 600;\">Mogen wij u ‘News’ blijven sturen?</h1>\n<p style=\"margin: 0 0 16px;\">Praktijk De Linde wil graag weten of u deze mails wilt blijven ontvangen. Wij mogen ze u alleen sturen als u daarvoor toestemming heeft gegeven, en wij moeten dat kunnen aantonen.</p>\n<h2 style=\"margin: 24px 0 4px;font-size: 17px;line-height: 1.4;font-weight: 600;\">Wie dit vraagt</h2>\n<p style=\"margin: 0 0 16px;\">Praktijk De Linde<br>\nLindelaan 1<br>\n1234 AB Utrecht<br>\nTelefoon: +31 30 123 45 67<br>\nE-mail: praktijk@example.org</p>\n\n<h2 style=\"margin: 24px 0 4px;font-size: 17px;line-height: 1.4;font-weight: 600;\">Wat wij sturen</h2>\n<p style=\"margin: 0 0 16px;\">\nNews<br>\nNieuws over onze praktijk, vier keer per jaar\n</p>\n\n<h2 style=\"margin: 24px 0 4px;font-size: 17px;line-height: 1.4;font-weight: 600;\">Waarom u deze mail krijgt</h2>\n<p style=\"margin: 0 0 16px;\">⟦reason⟧</p>\n<h2 style=\"margin: 24px 0 4px;font-size: 17px;line-height: 1.4;font-weight: 600;\">Wat er daarna gebeurt</h2>\n<ul style=\"margin: 0 0 16px 22px;padding: 0;\">\n<li style=\"margin: 0 0 6px;\">Antwoordt u Ja, dan blijven wij u deze mails sturen.</li>\n<li style=\"margin: 0 0 6px;\">Antwoordt u Nee, dan halen wij u van deze lijst en vragen wij het u niet opnieuw.</li>\n<li style=\"margin: 0 0 6px;\">Hebben wij uiterlijk maandag 30 maart 2026, 23:59 uur geen antwoord van u, dan halen wij u ook van deze lijst.</li>\n<li style=\"margin: 0 0 6px;\">U kunt op elk moment stoppen, ook na een Ja: de link voor Nee in deze mail blijft werken, en op de pagina die dan opengaat is één druk op de knop genoeg.</li>\n</ul>\n<table class=\"buttons\" role=\"presentation\" style=\"width: 100%;border-collapse: separate;border-spacing: 0;mso-table-lspace: 0pt;mso-table-rspace: 0pt;\">\n<tbody><tr><td class=\"gap\" style=\"height: 12px;padding: 0;font-size: 1px;line-height: 12px;\"></td></tr>\n<tr><td class=\"press\" style=\"padding: 0;border-radius: 6px;background-color: #1d4f91;color: #ffffff;text-align: center;mso-padding-alt: 15px 16px 15px 16px;\"><a class=\"button\" href=\"⟦yes_url⟧\" style=\"color: #ffffff;text-decoration: none;display: block;padding: 15px 16px;border: 1px solid #1d4f91;border-radius: 6px;background-color: #1d4f91;font-size: 18px;line-height: 1.3;font-weight: 600;text-align: center;mso-padding-alt: 0;\">Ja, blijf mij deze mails sturen</a></td></tr>\n\n<tr><td class=\"gap\" style=\"height: 12px;padding: 0;font-size: 1px;line-height: 12px;\"></td></tr>\n<tr><td class=\"press\" style=\"padding: 0;border-radius: 6px;background-color: #1d4f91;color: #ffffff;text-align: center;mso-padding-alt: 15px 16px 15px 16px;\"><a class=\"button\" href=\"⟦no_url⟧\" style=\"color: #ffffff;text-decoration: none;display: block;padding: 15px 16px;border: 1px solid #1d4f91;border-radius: 6px;background-color: #1d4f91;font-size: 18px;line-height: 1.3;font-weight: 600;text-align: center;mso-padding-alt: 0;\">Nee, stuur mij deze mails niet meer</a></td></tr>\n\n</tbody></table>\n<p class=\"after\" style=\"margin: 24px 0 16px;\">Er opent een pagina waarop u nog één keer op de knop drukt. Pas dan leggen wij uw antwoord vast.\nU kunt ook gewoon deze mail beantwoorden.</p>\n<p class=\"foot\" style=\"margin: 24px 0 0;padding: 16px 0 0;border-top: 1px solid #c9ced6;font-size: 15px;color: #4a5462;\"><a href=\"https://www.example.org/privacy\" style=\"color: #1d4f91;text-decoration: underline;\">Privacyverklaring</a><br>\n<a href=\"⟦me_url⟧\" style=\"color: #1d4f91;text-decoration: underline;\">Wat wij van u bewaren</a><br>\nDeze mail is gestuurd naar ⟦address⟧.</p>\n</td></tr></tbody></table>\n<!--[if mso]></td></tr></table><![endif]-->\n</div>\n\n\n</body></html>","kind":"ask","language":"nl","mailing_list":{"frequency":"","language":"nl","name":"News","privacy_url":"https://www.example.org/privacy","purpose":"Nieuws over onze praktijk, vier keer per jaar","sender":"Praktijk De Linde <nieuws@example.org>","sensitive":false,"slug":"news","texts":[{"frequency":"","language":"nl","name":"News","privacy_url":"https://www.example.org/privacy","purpose":"Nieuws over onze praktijk, vier keer per jaar"},{"frequency":"","language":"de","name":"Neues","privacy_url":"https://www.example.org/de","purpose":"Neues aus der Praxis, vierteljährlich"}]},"organisation":{"address":"Lindelaan 1\n1234 AB Utrecht","authority":"Autoriteit Persoonsgegevens","authority_url":"https://autoriteitpersoonsgegevens.nl","email":"praktijk@example.org","name":"Praktijk De Linde","officer":"privacy@example.org","telephone":"+31 30 123 45 67","website":"https://www.example.org"},"phrases":{"greeting_named":"Geachte ⟦name⟧,","greeting_nameless":"Geachte lezer,","reason_since":"Uw adres staat sinds ⟦since⟧ op deze lijst. Wij weten niet hoe het daarop is gekomen. Daarom vragen wij het u.","reason_source":"Uw adres staat op deze lijst; sinds wanneer weten wij niet. Hoe wij eraan komen: ⟦source⟧.","reason_source_since":"Uw adres staat sinds ⟦since⟧ op deze lijst. Hoe wij eraan komen: ⟦source⟧.","reason_unknown":"Uw adres staat op deze lijst. Wij weten niet sinds wanneer en ook niet hoe het daarop is gekomen. Daarom vragen wij het u."},"subject":"News: mogen wij u blijven mailen?","text":"⟦greeting⟧\n\nMogen wij u ‘News’ blijven sturen?\n\nPraktijk De Linde wil graag weten of u deze mails wilt blijven ontvangen. Wij mogen ze u alleen sturen als u daarvoor toestemming heeft gegeven, en wij moeten dat kunnen aantonen.\n\nWie dit vraagt\nPraktijk De Linde\nLindelaan 1\n1234 AB Utrecht\nTelefoon: +31 30 123 45 67\nE-mail: praktijk@example.org\n\nWat wij sturen\nNews\nNieuws over onze praktijk, vier keer per jaar\n\nWaarom u deze mail krijgt\n⟦reason⟧\n\nWat er daarna gebeurt\n- Antwoordt u Ja, dan blijven wij u deze mails sturen.\n- Antwoordt u Nee, dan halen wij u van deze lijst en vragen wij het u niet opnieuw.\n- Hebben wij uiterlijk maandag 30 maart 2026, 23:59 uur geen antwoord van u, dan halen wij u ook van deze lijst.\n- U kunt op elk moment stoppen, ook na een Ja: de link voor Nee in deze mail blijft werken, en op de pagina die dan opengaat is één druk op de knop genoeg.\n\nJa, blijf mij deze mails sturen\n⟦yes_url⟧\n\nNee, stuur mij deze mails niet meer\n⟦no_url⟧\n\nEr opent een pagina waarop u nog één keer op de knop drukt. Pas dan leggen wij uw antwoord vast.\nU kunt ook gewoon deze mail beantwoorden.\n\n----------\nPrivacyverklaring\nhttps://www.example.org/privacy\n\nWat wij van u bewaren\n⟦me_url⟧\n\nDeze mail is gestuurd naar ⟦address⟧.\n","zone":"Europe/Amsterdam"}');
INSERT INTO wording VALUES ('c65c9ff979f6886eac865ea41902e4c17f699b5e538bb27e7f090cd5ec6ecb87', 'Some regulators hold that asking for consent by mail is itself advertising, which needs the very consent that it asks for: the ICO on Honda (2017), the Dutch DMCC (2021). Whether to ask is for your organisation to decide; who decided, and on what ground, is kept as evidence.

Until their Yes nobody who is unconfirmed may get the newsletter, or any other advertising: stop sending it to them now, also from other tools.');
INSERT INTO wording VALUES ('f951da7e5dc92abf6e502a6678b7eefacf98379784022f879bbf2bcf566b80e7', '<h2 class="question">Mogen wij u ‘News’ blijven sturen?</h2>

<p>Ook programma’s die mail controleren openen links. Daarom telt pas uw druk op een knop. <a class="jump" href="#answer">Naar de knoppen</a></p>


<p>Het gaat om de mail van Praktijk De Linde aan <span class="address"><span>⟦address⟧</span></span>. Eén antwoord geldt voor iedereen die dit adres leest.</p>

<p>Praktijk De Linde wil graag weten of u deze mails wilt blijven ontvangen. Wij mogen ze u alleen sturen als u daarvoor toestemming heeft gegeven, en wij moeten dat kunnen aantonen.</p>
<h2>Wie dit vraagt</h2>
<address>Praktijk De Linde
<br>Lindelaan 1
<br>1234 AB Utrecht
<br>Telefoon: +31 30 123 45 67
<br>E-mail: praktijk@example.org
</address>
<h2>Wat wij sturen</h2>
<p>News<br>Nieuws over onze praktijk, vier keer per jaar
</p>


<h2>Waarom wij het u vragen</h2>
<p>⟦reason⟧</p>
<h2>Wat er daarna gebeurt</h2>
<ul>
<li>Antwoordt u Ja, dan blijven wij u deze mails sturen.</li>
<li>Antwoordt u Nee, dan halen wij u van deze lijst en vragen wij het u niet opnieuw.</li>
<li>Hebben wij uiterlijk maandag 30 maart 2026, 23:59 uur geen antwoord van u, dan halen wij u ook van deze lijst.</li>
<li>U kunt op elk moment stoppen, ook na een Ja: de link voor Nee in de mail blijft werken, en één druk op de knop is genoeg.</li>
</ul>
<p>Jonger dan 16, of onder curatele of mentorschap? <a href="?as=representative">Uw vertegenwoordiger antwoordt</a></p>


<ul>
<li>Ja, blijf mij deze mails sturen</li>
<li>Nee, stuur mij deze mails niet meer</li>
</ul>
<section class="details">
<h2>Wat wij van uw antwoord vastleggen</h2>
<p>Uw antwoord, het moment waarop u het gaf, de tekst van deze pagina en van de mail, en uw naam en adres. Daarnaast, 90 dagen lang, een deel van uw netwerkadres, de naam van uw browser, en hoe vaak de links van onze mail zijn geopend.</p>
<h2>Op welke grond</h2>
<p>Wij vragen het u omdat wij uw toestemming moeten kunnen aantonen (AVG, artikel 7, lid 1); dat is ons gerechtvaardigd belang (artikel 6, lid 1, onder f). Na een Ja is uw toestemming de grond waarop wij u deze mails sturen (artikel 6, lid 1, onder a).</p>
<h2>Hoe lang wij het bewaren</h2>
<p>Na een Ja: uw adres zolang u deze mails wilt ontvangen, en het bewijs van uw Ja nog 5 jaar daarna. Na een Nee of zonder antwoord: wat nodig is om u niet opnieuw te mailen, en het bewijs daarvan.</p>
<h2>Uw rechten</h2>
<p>U kunt ons vragen om inzage in wat wij van u bewaren, en om het te verbeteren, te wissen, het gebruik ervan te beperken of het aan u over te dragen; u kunt ook bezwaar maken tegen het gebruik. U kunt uw Ja op elk moment weer intrekken, even eenvoudig als u het geeft.
Schrijf naar praktijk@example.org.</p>
<p>Onze functionaris voor gegevensbescherming: privacy@example.org.</p>
<p>U kunt ook een klacht indienen bij de toezichthouder: <a href="https://autoriteitpersoonsgegevens.nl" rel="noreferrer">Autoriteit Persoonsgegevens</a>.</p>
<p>Wie de gegevens nog meer te zien krijgt en wat u verder wilt weten, staat in onze <a href="https://www.example.org/privacy" rel="noreferrer">privacyverklaring</a>.</p>

</section>
');
INSERT INTO wording VALUES ('dee215034b0266d426b8df0a959747f72a540d0fbbca144a07155e9b3644e325', '<h2 class="question">Mogen wij u ‘News’ blijven sturen?</h2>

<p>Ook programma’s die mail controleren openen links. Daarom telt pas uw druk op een knop. <a class="jump" href="#answer">Naar de knoppen</a></p>


<p>Het gaat om de mail van Praktijk De Linde aan <span class="address"><span>⟦address⟧</span></span>. Eén antwoord geldt voor iedereen die dit adres leest.</p>

<p>Praktijk De Linde wil graag weten of u deze mails wilt blijven ontvangen. Wij mogen ze u alleen sturen als u daarvoor toestemming heeft gegeven, en wij moeten dat kunnen aantonen.</p>
<h2>Wie dit vraagt</h2>
<address>Praktijk De Linde
<br>Lindelaan 1
<br>1234 AB Utrecht
<br>Telefoon: +31 30 123 45 67
<br>E-mail: praktijk@example.org
</address>
<h2>Wat wij sturen</h2>
<p>News<br>Nieuws over onze praktijk, vier keer per jaar
</p>


<h2>Waarom wij het u vragen</h2>
<p>⟦reason⟧</p>
<h2>Wat er daarna gebeurt</h2>
<ul>
<li>Antwoordt u Ja, dan blijven wij u deze mails sturen.</li>
<li>Antwoordt u Nee, dan halen wij u van deze lijst en vragen wij het u niet opnieuw.</li>
<li>U kunt op elk moment stoppen, ook na een Ja: de link voor Nee in de mail blijft werken, en één druk op de knop is genoeg.</li>
</ul>
<p>Jonger dan 16, of onder curatele of mentorschap? <a href="?as=representative">Uw vertegenwoordiger antwoordt</a></p>


<ul>
<li>Ja, blijf mij deze mails sturen</li>
<li>Nee, stuur mij deze mails niet meer</li>
</ul>
<section class="details">
<h2>Wat wij van uw antwoord vastleggen</h2>
<p>Uw antwoord, het moment waarop u het gaf, de tekst van deze pagina en van de mail, en uw naam en adres. Daarnaast, 90 dagen lang, een deel van uw netwerkadres, de naam van uw browser, en hoe vaak de links van onze mail zijn geopend.</p>
<h2>Op welke grond</h2>
<p>Wij vragen het u omdat wij uw toestemming moeten kunnen aantonen (AVG, artikel 7, lid 1); dat is ons gerechtvaardigd belang (artikel 6, lid 1, onder f). Na een Ja is uw toestemming de grond waarop wij u deze mails sturen (artikel 6, lid 1, onder a).</p>
<h2>Hoe lang wij het bewaren</h2>
<p>Na een Ja: uw adres zolang u deze mails wilt ontvangen, en het bewijs van uw Ja nog 5 jaar daarna. Na een Nee of zonder antwoord: wat nodig is om u niet opnieuw te mailen, en het bewijs daarvan.</p>
<h2>Uw rechten</h2>
<p>U kunt ons vragen om inzage in wat wij van u bewaren, en om het te verbeteren, te wissen, het gebruik ervan te beperken of het aan u over te dragen; u kunt ook bezwaar maken tegen het gebruik. U kunt uw Ja op elk moment weer intrekken, even eenvoudig als u het geeft.
Schrijf naar praktijk@example.org.</p>
<p>Onze functionaris voor gegevensbescherming: privacy@example.org.</p>
<p>U kunt ook een klacht indienen bij de toezichthouder: <a href="https://autoriteitpersoonsgegevens.nl" rel="noreferrer">Autoriteit Persoonsgegevens</a>.</p>
<p>Wie de gegevens nog meer te zien krijgt en wat u verder wilt weten, staat in onze <a href="https://www.example.org/privacy" rel="noreferrer">privacyverklaring</a>.</p>

</section>
');
INSERT INTO wording VALUES ('adc3ac154091eecf89196bafde79e01068230e688577470109a00b6156d70ae6', '{"deadline":"2026-04-30T09:08:00+00:00","format":1,"html":"<!DOCTYPE html><html lang=\"nl\" dir=\"ltr\" style=\"color-scheme: light dark;\"><head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>More: mogen wij u blijven mailen?</title>\n<!--[if mso]>\n<xml><o:OfficeDocumentSettings xmlns:o=\"urn:schemas-microsoft-com:office:office\"><o:PixelsPerInch>96</o:PixelsPerInch></o:OfficeDocumentSettings></xml>\n<style>p, h1, h2, li, td, a, code { font-family: \"Segoe UI\", Arial, sans-serif !important; }</style>\n<![endif]-->\n<style>\n:root { color-scheme: light dark; }\nbody { margin: 0; padding: 0; background-color: #ffffff; color: #1d2329; }\n.mail, .sheet { background-color: #ffffff; color: #1d2329; font: 17px/1.5 system-ui, -apple-system, \"Segoe UI\", Roboto, Helvetica, Arial, sans-serif; -webkit-text-size-adjust: 100%; }\n.preview { display: none; max-height: 0; overflow: hidden; font-size: 1px; line-height: 1px; mso-hide: all; }\n.column { width: 100%; max-width: 600px; margin: 0 auto; border-collapse: collapse; mso-table-lspace: 0pt; mso-table-rspace: 0pt; }\n.sheet { padding: 24px 20px 32px; text-align: left; overflow-wrap: break-word; word-break: break-word; }\nh1 { margin: 0 0 16px; font-size: 24px; line-height: 1.3; font-weight: 600; }\nh2 { margin: 24px 0 4px; font-size: 17px; line-height: 1.4; font-weight: 600; }\np { margin: 0 0 16px; }\nul { margin: 0 0 16px 22px; padding: 0; }\nli { margin: 0 0 6px; }\na { color: #1d4f91; text-decoration: underline; }\n.buttons { width: 100%; border-collapse: separate; border-spacing: 0; mso-table-lspace: 0pt; mso-table-rspace: 0pt; }\n.gap { height: 12px; padding: 0; font-size: 1px; line-height: 12px; }\n.press { padding: 0; border-radius: 6px; background-color: #1d4f91; color: #ffffff; text-align: center; mso-padding-alt: 15px 16px 15px 16px; }\n.button { display: block; padding: 15px 16px; border: 1px solid #1d4f91; border-radius: 6px; background-color: #1d4f91; color: #ffffff; font-size: 18px; line-height: 1.3; font-weight: 600; text-align: center; text-decoration: none; mso-padding-alt: 0; }\n.after { margin: 24px 0 16px; }\n.foot { margin: 24px 0 0; padding: 16px 0 0; border-top: 1px solid #c9ced6; font-size: 15px; color: #4a5462; }\na[x-apple-data-detectors] { color: inherit !important; text-decoration: inherit !important; }\n@media (prefers-color-scheme: dark) {\nbody, .mail, .sheet { background-color: #15181c !important; color: #e6e9ed !important; }\na { color: #9cc4ff !important; }\n.press, .button { background-color: #9cc4ff !important; border-color: #9cc4ff !important; color: #0c1a2c !important; }\n.foot { border-top-color: #444c57 !important; color: #b4bcc7 !important; }\n}\n</style>\n</head>\n<body style=\"margin: 0;padding: 0;background-color: #ffffff;color: #1d2329;\">\n<div class=\"mail\" dir=\"ltr\" role=\"article\" aria-label=\"More: mogen wij u blijven mailen?\" lang=\"nl\" style=\"background-color: #ffffff;color: #1d2329;font: 17px/1.5 system-ui, -apple-system, ''Segoe UI'', Roboto, Helvetica, Arial, sans-serif;-webkit-text-size-adjust: 100%;\">\n<div class=\"preview\" style=\"display: none;max-height: 0;overflow: hidden;font-size: 1px;line-height: 1px;mso-hide: all;\">Wilt u uiterlijk donderdag 30 april 2026, 11:08 uur met Ja of Nee antwoorden?͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;͏‌&nbsp;</div>\n<!--[if mso]><table role=\"presentation\" align=\"center\" width=\"600\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\"><tr><td><![endif]-->\n<table class=\"column\" role=\"presentation\" style=\"width: 100%;max-width: 600px;margin: 0 auto;border-collapse: collapse;mso-table-lspace: 0pt;mso-table-rspace: 0pt;\"><tbody><tr><td class=\"sheet\" style=\"background-color: #ffffff;color: #1d2329;font: 17px/1.5 system-ui, -apple-system, ''Segoe UI'', Roboto, Helvetica, Arial, sans-serif;-webkit-text-size-adjust: 100%;padding: 24px 20px 32px;text-align: left;overflow-wrap: break-word;word-break: break-word;\">\n<p style=\"margin: 0 0 16px;\">⟦greeting⟧</p>\n<h1 style=\"margin: 0 0 16px;font-size: 24px;line-height: 1.3;font-weight: 600;\">Mogen wij u ‘More’ blijven sturen?</h1>\n<p style=\"margin: 0 0 16px;\">Praktijk De Linde wil graag weten of u deze mails wilt blijven ontvangen. Wij mogen ze u alleen sturen als u daarvoor toestemming heeft gegeven, en wij moeten dat kunnen aantonen.</p>\n<h2 style=\"margin: 24px 0 4px;font-size: 17px;line-height: 1.4;font-weight: 600;\">Wie dit vraagt</h2>\n<p style=\"margin: 0 0 16px;\">Praktijk De Linde<br>\nLindelaan 1<br>\n1234 AB Utrecht<br>\nTelefoon: +31 30 123 45 67<br>\nE-mail: praktijk@example.org</p>\n\n<h2 style=\"margin: 24px 0 4px;font-size: 17px;line-height: 1.4;font-weight: 600;\">Wat wij sturen</h2>\n<p style=\"margin: 0 0 16px;\">\nMore<br>\nNieuws over onze praktijk, vier keer per jaar\n</p>\n\n<h2 style=\"margin: 24px 0 4px;font-size: 17px;line-height: 1.4;font-weight: 600;\">Waarom u deze mail krijgt</h2>\n<p style=\"margin: 0 0 16px;\">⟦reason⟧</p>\n<h2 style=\"margin: 24px 0 4px;font-size: 17px;line-height: 1.4;font-weight: 600;\">Wat er daarna gebeurt</h2>\n<ul style=\"margin: 0 0 16px 22px;padding: 0;\">\n<li style=\"margin: 0 0 6px;\">Antwoordt u Ja, dan blijven wij u deze mails sturen.</li>\n<li style=\"margin: 0 0 6px;\">Antwoordt u Nee, dan halen wij u van deze lijst en vragen wij het u niet opnieuw.</li>\n<li style=\"margin: 0 0 6px;\">Hebben wij uiterlijk donderdag 30 april 2026, 11:08 uur geen antwoord van u, dan halen wij u ook van deze lijst.</li>\n<li style=\"margin: 0 0 6px;\">U kunt op elk moment stoppen, ook na een Ja: de link voor Nee in deze mail blijft werken, en op de pagina die dan opengaat is één druk op de knop genoeg.</li>\n</ul>\n<table class=\"buttons\" role=\"presentation\" style=\"width: 100%;border-collapse: separate;border-spacing: 0;mso-table-lspace: 0pt;mso-table-rspace: 0pt;\">\n<tbody><tr><td class=\"gap\" style=\"height: 12px;padding: 0;font-size: 1px;line-height: 12px;\"></td></tr>\n<tr><td class=\"press\" style=\"padding: 0;border-radius: 6px;background-color: #1d4f91;color: #ffffff;text-align: center;mso-padding-alt: 15px 16px 15px 16px;\"><a class=\"button\" href=\"⟦yes_url⟧\" style=\"color: #ffffff;text-decoration: none;display: block;padding: 15px 16px;border: 1px solid #1d4f91;border-radius: 6px;background-color: #1d4f91;font-size: 18px;line-height: 1.3;font-weight: 600;text-align: center;mso-padding-alt: 0;\">Ja, graag</a></td></tr>\n\n<tr><td class=\"gap\" style=\"height: 12px;padding: 0;font-size: 1px;line-height: 12px;\"></td></tr>\n<tr><td class=\"press\" style=\"padding: 0;border-radius: 6px;background-color: #1d4f91;color: #ffffff;text-align: center;mso-padding-alt: 15px 16px 15px 16px;\"><a class=\"button\" href=\"⟦no_url⟧\" style=\"color: #ffffff;text-decoration: none;display: block;padding: 15px 16px;border: 1px solid #1d4f91;border-radius: 6px;background-color: #1d4f91;font-size: 18px;line-height: 1.3;font-weight: 600;text-align: center;mso-padding-alt: 0;\">Nee, stuur mij deze mails niet meer</a></td></tr>\n\n</tbody></table>\n<p class=\"after\" style=\"margin: 24px 0 16px;\">Er opent een pagina waarop u nog één keer op de knop drukt. Pas dan leggen wij uw antwoord vast.\nU kunt ook gewoon deze mail beantwoorden.</p>\n<p class=\"foot\" style=\"margin: 24px 0 0;padding: 16px 0 0;border-top: 1px solid #c9ced6;font-size: 15px;color: #4a5462;\"><a href=\"https://www.example.org/privacy\" style=\"color: #1d4f91;text-decoration: underline;\">Privacyverklaring</a><br>\n<a href=\"⟦me_url⟧\" style=\"color: #1d4f91;text-decoration: underline;\">Wat wij van u bewaren</a><br>\nDeze mail is gestuurd naar ⟦address⟧.</p>\n</td></tr></tbody></table>\n<!--[if mso]></td></tr></table><![endif]-->\n</div>\n\n\n</body></html>","kind":"ask","language":"nl","mailing_list":{"frequency":"","language":"nl","name":"More","privacy_url":"https://www.example.org/privacy","purpose":"Nieuws over onze praktijk, vier keer per jaar","sender":"Praktijk De Linde <nieuws@example.org>","sensitive":false,"slug":"more","texts":[]},"organisation":{"address":"Lindelaan 1\n1234 AB Utrecht","authority":"Autoriteit Persoonsgegevens","authority_url":"https://autoriteitpersoonsgegevens.nl","email":"praktijk@example.org","name":"Praktijk De Linde","officer":"privacy@example.org","telephone":"+31 30 123 45 67","website":"https://www.example.org"},"phrases":{"greeting_named":"Geachte ⟦name⟧,","greeting_nameless":"Geachte lezer,","reason_since":"Uw adres staat sinds ⟦since⟧ op deze lijst. Wij weten niet hoe het daarop is gekomen. Daarom vragen wij het u.","reason_source":"Uw adres staat op deze lijst; sinds wanneer weten wij niet. Hoe wij eraan komen: ⟦source⟧.","reason_source_since":"Uw adres staat sinds ⟦since⟧ op deze lijst. Hoe wij eraan komen: ⟦source⟧.","reason_unknown":"Uw adres staat op deze lijst. Wij weten niet sinds wanneer en ook niet hoe het daarop is gekomen. Daarom vragen wij het u."},"subject":"More: mogen wij u blijven mailen?","text":"⟦greeting⟧\n\nMogen wij u ‘More’ blijven sturen?\n\nPraktijk De Linde wil graag weten of u deze mails wilt blijven ontvangen. Wij mogen ze u alleen sturen als u daarvoor toestemming heeft gegeven, en wij moeten dat kunnen aantonen.\n\nWie dit vraagt\nPraktijk De Linde\nLindelaan 1\n1234 AB Utrecht\nTelefoon: +31 30 123 45 67\nE-mail: praktijk@example.org\n\nWat wij sturen\nMore\nNieuws over onze praktijk, vier keer per jaar\n\nWaarom u deze mail krijgt\n⟦reason⟧\n\nWat er daarna gebeurt\n- Antwoordt u Ja, dan blijven wij u deze mails sturen.\n- Antwoordt u Nee, dan halen wij u van deze lijst en vragen wij het u niet opnieuw.\n- Hebben wij uiterlijk donderdag 30 april 2026, 11:08 uur geen antwoord van u, dan halen wij u ook van deze lijst.\n- U kunt op elk moment stoppen, ook na een Ja: de link voor Nee in deze mail blijft werken, en op de pagina die dan opengaat is één druk op de knop genoeg.\n\nJa, graag\n⟦yes_url⟧\n\nNee, stuur mij deze mails niet meer\n⟦no_url⟧\n\nEr opent een pagina waarop u nog één keer op de knop drukt. Pas dan leggen wij uw antwoord vast.\nU kunt ook gewoon deze mail beantwoorden.\n\n----------\nPrivacyverklaring\nhttps://www.example.org/privacy\n\nWat wij van u bewaren\n⟦me_url⟧\n\nDeze mail is gestuurd naar ⟦address⟧.\n","zone":"Europe/Amsterdam"}');
SELECT pg_catalog.setval('access_id_seq', 1, true);
SELECT pg_catalog.setval('api_token_id_seq', 1, true);
SELECT pg_catalog.setval('campaign_id_seq', 2, true);
SELECT pg_catalog.setval('campaign_wording_id_seq', 2, true);
SELECT pg_catalog.setval('contact_count_id_seq', 27, true);
SELECT pg_catalog.setval('contact_id_seq', 12, true);
SELECT pg_catalog.setval('correction_id_seq', 1, true);
SELECT pg_catalog.setval('delivery_id_seq', 1, true);
SELECT pg_catalog.setval('draft_id_seq', 1, true);
SELECT pg_catalog.setval('evidence_part_id_seq', 79, true);
SELECT pg_catalog.setval('fresh_link_id_seq', 1, true);
SELECT pg_catalog.setval('handed_over_id_seq', 1, true);
SELECT pg_catalog.setval('held_count_id_seq', 9, true);
SELECT pg_catalog.setval('import_id_seq', 3, true);
SELECT pg_catalog.setval('invitation_id_seq', 1, true);
SELECT pg_catalog.setval('list_text_id_seq', 1, true);
SELECT pg_catalog.setval('mail_count_id_seq', 35, true);
SELECT pg_catalog.setval('mail_id_seq', 17, true);
SELECT pg_catalog.setval('mailing_list_id_seq', 3, true);
SELECT pg_catalog.setval('part_count_id_seq', 81, true);
SELECT pg_catalog.setval('recovery_code_id_seq', 1, true);
SELECT pg_catalog.setval('register_notes_id_seq', 1, true);
SELECT pg_catalog.setval('reply_id_seq', 1, true);
SELECT pg_catalog.setval('session_id_seq', 1, true);
SELECT pg_catalog.setval('sign_up_id_seq', 1, true);
SELECT pg_catalog.setval('suppression_count_id_seq', 8, true);
SELECT pg_catalog.setval('suppression_id_seq', 7, true);
SELECT pg_catalog.setval('tally_id_seq', 8, true);
SELECT pg_catalog.setval('upload_id_seq', 1, true);
SELECT pg_catalog.setval('user_id_seq', 1, false);
SELECT pg_catalog.setval('webhook_id_seq', 1, true);
ALTER TABLE ONLY access
    ADD CONSTRAINT access_pkey PRIMARY KEY (id);
ALTER TABLE ONLY api_token
    ADD CONSTRAINT api_token_pkey PRIMARY KEY (id);
ALTER TABLE ONLY campaign
    ADD CONSTRAINT campaign_pkey PRIMARY KEY (id);
ALTER TABLE ONLY campaign_wording
    ADD CONSTRAINT campaign_wording_pkey PRIMARY KEY (id);
ALTER TABLE ONLY chosen
    ADD CONSTRAINT chosen_pkey PRIMARY KEY (key);
ALTER TABLE ONLY contact_count
    ADD CONSTRAINT contact_count_pkey PRIMARY KEY (id);
ALTER TABLE ONLY contact
    ADD CONSTRAINT contact_pkey PRIMARY KEY (id);
ALTER TABLE ONLY correction
    ADD CONSTRAINT correction_pkey PRIMARY KEY (id);
ALTER TABLE ONLY delivery
    ADD CONSTRAINT delivery_pkey PRIMARY KEY (id);
ALTER TABLE ONLY draft
    ADD CONSTRAINT draft_pkey PRIMARY KEY (id);
ALTER TABLE ONLY evidence_head
    ADD CONSTRAINT evidence_head_pkey PRIMARY KEY (id);
ALTER TABLE ONLY evidence_node
    ADD CONSTRAINT evidence_node_pkey PRIMARY KEY (level, place);
ALTER TABLE ONLY evidence_part
    ADD CONSTRAINT evidence_part_pkey PRIMARY KEY (id);
ALTER TABLE ONLY evidence
    ADD CONSTRAINT evidence_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY fresh_link
    ADD CONSTRAINT fresh_link_pkey PRIMARY KEY (id);
ALTER TABLE ONLY handed_over
    ADD CONSTRAINT handed_over_pkey PRIMARY KEY (id);
ALTER TABLE ONLY held_count
    ADD CONSTRAINT held_count_pkey PRIMARY KEY (id);
ALTER TABLE ONLY import
    ADD CONSTRAINT import_pkey PRIMARY KEY (id);
ALTER TABLE ONLY invitation
    ADD CONSTRAINT invitation_pkey PRIMARY KEY (id);
ALTER TABLE ONLY launching
    ADD CONSTRAINT launching_pkey PRIMARY KEY (campaign_id);
ALTER TABLE ONLY list_text
    ADD CONSTRAINT list_text_pkey PRIMARY KEY (id);
ALTER TABLE ONLY mail_count
    ADD CONSTRAINT mail_count_pkey PRIMARY KEY (id);
ALTER TABLE ONLY mail
    ADD CONSTRAINT mail_pkey PRIMARY KEY (id);
ALTER TABLE ONLY mailing_list
    ADD CONSTRAINT mailing_list_pkey PRIMARY KEY (id);
ALTER TABLE ONLY meta
    ADD CONSTRAINT meta_pkey PRIMARY KEY (key);
ALTER TABLE ONLY opening
    ADD CONSTRAINT opening_pkey PRIMARY KEY (contact_id);
ALTER TABLE ONLY pace
    ADD CONSTRAINT pace_pkey PRIMARY KEY (scope);
ALTER TABLE ONLY part_count
    ADD CONSTRAINT part_count_pkey PRIMARY KEY (id);
ALTER TABLE ONLY recovery_code
    ADD CONSTRAINT recovery_code_pkey PRIMARY KEY (id);
ALTER TABLE ONLY register_notes
    ADD CONSTRAINT register_notes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY reply
    ADD CONSTRAINT reply_pkey PRIMARY KEY (id);
ALTER TABLE ONLY session
    ADD CONSTRAINT session_pkey PRIMARY KEY (id);
ALTER TABLE ONLY sign_up
    ADD CONSTRAINT sign_up_pkey PRIMARY KEY (id);
ALTER TABLE ONLY suppression_count
    ADD CONSTRAINT suppression_count_pkey PRIMARY KEY (id);
ALTER TABLE ONLY suppression
    ADD CONSTRAINT suppression_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tally
    ADD CONSTRAINT tally_pkey PRIMARY KEY (id);
ALTER TABLE ONLY throttle
    ADD CONSTRAINT throttle_pkey PRIMARY KEY (scope);
ALTER TABLE ONLY undoing
    ADD CONSTRAINT undoing_pkey PRIMARY KEY (record_id);
ALTER TABLE ONLY upload
    ADD CONSTRAINT upload_pkey PRIMARY KEY (id);
ALTER TABLE ONLY "user"
    ADD CONSTRAINT user_pkey PRIMARY KEY (id);
ALTER TABLE ONLY webhook
    ADD CONSTRAINT webhook_pkey PRIMARY KEY (id);
ALTER TABLE ONLY wording
    ADD CONSTRAINT wording_pkey PRIMARY KEY (digest);
CREATE INDEX access_at ON access USING btree (at);
CREATE UNIQUE INDEX api_token_digest ON api_token USING btree (digest);
CREATE INDEX campaign_list_id ON campaign USING btree (list_id);
CREATE UNIQUE INDEX campaign_one_live ON campaign USING btree (list_id) WHERE ((state)::text = ANY ((ARRAY['scheduled'::character varying, 'sending'::character varying, 'paused'::character varying, 'open'::character varying])::text[]));
CREATE INDEX campaign_wording_campaign_id ON campaign_wording USING btree (campaign_id);
CREATE UNIQUE INDEX campaign_wording_campaign_id_kind_language_revision ON campaign_wording USING btree (campaign_id, kind, language, revision);
CREATE INDEX campaign_wording_wording_id ON campaign_wording USING btree (wording_id);
CREATE INDEX contact_by_letter ON contact USING btree (list_id, address_key COLLATE "C");
CREATE INDEX contact_erased ON contact USING btree (list_id) WHERE (erased_at IS NOT NULL);
CREATE INDEX contact_imported ON contact USING btree (imported_by_id, status_at, id) WHERE (imported_by_id IS NOT NULL);
CREATE UNIQUE INDEX contact_list_id_address_key ON contact USING btree (list_id, address_key);
CREATE INDEX contact_list_id_status_reason_id ON contact USING btree (list_id, status, reason, id);
CREATE INDEX contact_removed ON contact USING btree (status_at, id) WHERE ((status)::text = 'removed'::text);
CREATE INDEX contact_to_erase ON contact USING btree (list_id, status_at, id) WHERE (((status)::text = 'removed'::text) AND (erased_at IS NULL));
CREATE UNIQUE INDEX contact_uid ON contact USING btree (uid);
CREATE UNIQUE INDEX correction_language_key ON correction USING btree (language, key);
CREATE INDEX delivery_tried ON delivery USING btree (webhook_id, at) WHERE (at IS NOT NULL);
CREATE INDEX delivery_waiting ON delivery USING btree (webhook_id, due_at, seq) WHERE ((state)::text = 'waiting'::text);
CREATE INDEX delivery_webhook_id ON delivery USING btree (webhook_id);
CREATE UNIQUE INDEX delivery_webhook_id_seq ON delivery USING btree (webhook_id, seq);
CREATE UNIQUE INDEX draft_list_id ON draft USING btree (list_id);
CREATE INDEX evidence_not_the_person ON evidence USING btree (list) WHERE ((event)::text = 'not_the_person'::text);
CREATE UNIQUE INDEX evidence_part_seq_part ON evidence_part USING btree (seq, part);
CREATE INDEX evidence_part_trace ON evidence_part USING btree (seq) WHERE ((part)::text = 'trace'::text);
CREATE INDEX evidence_still_mailed ON evidence USING btree (list) WHERE ((event)::text = 'still_mailed'::text);
CREATE INDEX evidence_subject ON evidence USING btree (subject);
CREATE INDEX fresh_link_address_key ON fresh_link USING btree (address_key);
CREATE INDEX fresh_link_at ON fresh_link USING btree (at);
CREATE INDEX fresh_link_authority ON fresh_link USING btree (authority);
CREATE INDEX fresh_link_contact_id ON fresh_link USING btree (contact_id);
CREATE UNIQUE INDEX fresh_link_mail_id ON fresh_link USING btree (mail_id);
CREATE UNIQUE INDEX fresh_link_uid ON fresh_link USING btree (uid);
CREATE INDEX handed_over_campaign_id ON handed_over USING btree (campaign_id);
CREATE UNIQUE INDEX handed_over_campaign_id_tool_step ON handed_over USING btree (campaign_id, tool, step);
CREATE INDEX import_list_id ON import USING btree (list_id);
CREATE UNIQUE INDEX invitation_digest ON invitation USING btree (digest);
CREATE INDEX invitation_user_id ON invitation USING btree (user_id);
CREATE UNIQUE INDEX list_text_list_id_language ON list_text USING btree (list_id, language);
CREATE UNIQUE INDEX mail_asked_once ON mail USING btree (campaign_id, contact_id, kind) WHERE ((kind)::text = ANY ((ARRAY['ask'::character varying, 'reminder'::character varying])::text[]));
CREATE INDEX mail_bounced ON mail USING btree (campaign_id) WHERE ((bounce)::text <> ''::text);
CREATE INDEX mail_campaign_id_kind_state ON mail USING btree (campaign_id, kind, state);
CREATE INDEX mail_contact_id ON mail USING btree (contact_id);
CREATE INDEX mail_in_doubt ON mail USING btree (list_id) WHERE ((state)::text = 'in_doubt'::text);
CREATE INDEX mail_leased ON mail USING btree (worker) WHERE (lease_until IS NOT NULL);
CREATE INDEX mail_put_off ON mail USING btree (list_id) WHERE (((state)::text = 'queued'::text) AND (reply_code >= 500));
CREATE INDEX mail_queued ON mail USING btree (kind, campaign_id, due_at, id) WHERE ((state)::text = 'queued'::text);
CREATE INDEX mail_sign_up_id ON mail USING btree (sign_up_id);
CREATE UNIQUE INDEX mailing_list_slug ON mailing_list USING btree (slug);
CREATE INDEX opening_began_at ON opening USING btree (began_at);
CREATE INDEX opening_held ON opening USING btree (list_id) WHERE (held_at IS NOT NULL);
CREATE INDEX opening_list_id ON opening USING btree (list_id);
CREATE INDEX recovery_code_user_id ON recovery_code USING btree (user_id);
CREATE UNIQUE INDEX register_notes_list_id ON register_notes USING btree (list_id);
CREATE INDEX reply_contact_id ON reply USING btree (contact_id);
CREATE UNIQUE INDEX reply_message_digest ON reply USING btree (message_digest);
CREATE UNIQUE INDEX session_digest ON session USING btree (digest);
CREATE INDEX session_user_id ON session USING btree (user_id);
CREATE INDEX sign_up_address_key ON sign_up USING btree (address_key);
CREATE INDEX sign_up_list_id ON sign_up USING btree (list_id);
CREATE UNIQUE INDEX sign_up_uid ON sign_up USING btree (uid);
CREATE UNIQUE INDEX suppression_fingerprint_list_id ON suppression USING btree (fingerprint, list_id);
CREATE INDEX suppression_imported ON suppression USING btree (imported_by_id, subject) WHERE (imported_by_id IS NOT NULL);
CREATE UNIQUE INDEX tally_list_campaign_day_what ON tally USING btree (list, campaign, day, what);
CREATE UNIQUE INDEX undoing_list_id ON undoing USING btree (list_id);
CREATE INDEX upload_list_id ON upload USING btree (list_id);
CREATE UNIQUE INDEX upload_token ON upload USING btree (token);
CREATE INDEX upload_user_id ON upload USING btree (user_id);
CREATE UNIQUE INDEX user_email ON "user" USING btree (email);
CREATE TRIGGER contact_comes AFTER INSERT ON contact REFERENCING NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION count_contact();
CREATE TRIGGER contact_goes AFTER DELETE ON contact REFERENCING OLD TABLE AS went FOR EACH STATEMENT EXECUTE FUNCTION count_contact();
CREATE TRIGGER contact_turns AFTER UPDATE ON contact REFERENCING OLD TABLE AS went NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION count_contact();
CREATE TRIGGER held_comes AFTER INSERT ON contact REFERENCING NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION count_held();
CREATE TRIGGER held_goes AFTER DELETE ON contact REFERENCING OLD TABLE AS went FOR EACH STATEMENT EXECUTE FUNCTION count_held();
CREATE TRIGGER held_turns AFTER UPDATE ON contact REFERENCING OLD TABLE AS went NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION count_held();
CREATE TRIGGER mail_comes AFTER INSERT ON mail REFERENCING NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION count_mail();
CREATE TRIGGER mail_goes AFTER DELETE ON mail REFERENCING OLD TABLE AS went FOR EACH STATEMENT EXECUTE FUNCTION count_mail();
CREATE TRIGGER mail_turns AFTER UPDATE ON mail REFERENCING OLD TABLE AS went NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION count_mail();
CREATE TRIGGER part_comes AFTER INSERT ON evidence_part REFERENCING NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION count_part();
CREATE TRIGGER part_goes AFTER DELETE ON evidence_part REFERENCING OLD TABLE AS went FOR EACH STATEMENT EXECUTE FUNCTION count_part();
CREATE TRIGGER part_turns AFTER UPDATE ON evidence_part REFERENCING OLD TABLE AS went NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION count_part();
CREATE TRIGGER suppression_comes AFTER INSERT ON suppression REFERENCING NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION count_suppression();
CREATE TRIGGER suppression_goes AFTER DELETE ON suppression REFERENCING OLD TABLE AS went FOR EACH STATEMENT EXECUTE FUNCTION count_suppression();
CREATE TRIGGER suppression_turns AFTER UPDATE ON suppression REFERENCING OLD TABLE AS went NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION count_suppression();
ALTER TABLE ONLY campaign
    ADD CONSTRAINT campaign_list_id_fkey FOREIGN KEY (list_id) REFERENCES mailing_list(id);
ALTER TABLE ONLY campaign_wording
    ADD CONSTRAINT campaign_wording_campaign_id_fkey FOREIGN KEY (campaign_id) REFERENCES campaign(id);
ALTER TABLE ONLY campaign_wording
    ADD CONSTRAINT campaign_wording_wording_id_fkey FOREIGN KEY (wording_id) REFERENCES wording(digest);
ALTER TABLE ONLY contact
    ADD CONSTRAINT contact_imported_by_id_fkey FOREIGN KEY (imported_by_id) REFERENCES import(id);
ALTER TABLE ONLY contact
    ADD CONSTRAINT contact_list_id_fkey FOREIGN KEY (list_id) REFERENCES mailing_list(id);
ALTER TABLE ONLY delivery
    ADD CONSTRAINT delivery_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES webhook(id) ON DELETE CASCADE;
ALTER TABLE ONLY draft
    ADD CONSTRAINT draft_list_id_fkey FOREIGN KEY (list_id) REFERENCES mailing_list(id) ON DELETE CASCADE;
ALTER TABLE ONLY fresh_link
    ADD CONSTRAINT fresh_link_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES contact(id) ON DELETE CASCADE;
ALTER TABLE ONLY fresh_link
    ADD CONSTRAINT fresh_link_mail_id_fkey FOREIGN KEY (mail_id) REFERENCES mail(id) ON DELETE CASCADE;
ALTER TABLE ONLY handed_over
    ADD CONSTRAINT handed_over_campaign_id_fkey FOREIGN KEY (campaign_id) REFERENCES campaign(id) ON DELETE CASCADE;
ALTER TABLE ONLY import
    ADD CONSTRAINT import_list_id_fkey FOREIGN KEY (list_id) REFERENCES mailing_list(id);
ALTER TABLE ONLY invitation
    ADD CONSTRAINT invitation_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE;
ALTER TABLE ONLY launching
    ADD CONSTRAINT launching_campaign_id_fkey FOREIGN KEY (campaign_id) REFERENCES campaign(id);
ALTER TABLE ONLY list_text
    ADD CONSTRAINT list_text_list_id_fkey FOREIGN KEY (list_id) REFERENCES mailing_list(id);
ALTER TABLE ONLY mail
    ADD CONSTRAINT mail_campaign_id_fkey FOREIGN KEY (campaign_id) REFERENCES campaign(id);
ALTER TABLE ONLY mail
    ADD CONSTRAINT mail_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES contact(id) ON DELETE CASCADE;
ALTER TABLE ONLY mail
    ADD CONSTRAINT mail_list_id_fkey FOREIGN KEY (list_id) REFERENCES mailing_list(id);
ALTER TABLE ONLY mail
    ADD CONSTRAINT mail_sign_up_id_fkey FOREIGN KEY (sign_up_id) REFERENCES sign_up(id) ON DELETE CASCADE;
ALTER TABLE ONLY mail
    ADD CONSTRAINT mail_wording_id_fkey FOREIGN KEY (wording_id) REFERENCES campaign_wording(id);
ALTER TABLE ONLY opening
    ADD CONSTRAINT opening_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES contact(id) ON DELETE CASCADE;
ALTER TABLE ONLY opening
    ADD CONSTRAINT opening_list_id_fkey FOREIGN KEY (list_id) REFERENCES mailing_list(id);
ALTER TABLE ONLY recovery_code
    ADD CONSTRAINT recovery_code_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE;
ALTER TABLE ONLY register_notes
    ADD CONSTRAINT register_notes_list_id_fkey FOREIGN KEY (list_id) REFERENCES mailing_list(id) ON DELETE CASCADE;
ALTER TABLE ONLY reply
    ADD CONSTRAINT reply_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES contact(id) ON DELETE CASCADE;
ALTER TABLE ONLY reply
    ADD CONSTRAINT reply_list_id_fkey FOREIGN KEY (list_id) REFERENCES mailing_list(id);
ALTER TABLE ONLY session
    ADD CONSTRAINT session_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE;
ALTER TABLE ONLY sign_up
    ADD CONSTRAINT sign_up_list_id_fkey FOREIGN KEY (list_id) REFERENCES mailing_list(id);
ALTER TABLE ONLY suppression
    ADD CONSTRAINT suppression_imported_by_id_fkey FOREIGN KEY (imported_by_id) REFERENCES import(id);
ALTER TABLE ONLY suppression
    ADD CONSTRAINT suppression_list_id_fkey FOREIGN KEY (list_id) REFERENCES mailing_list(id);
ALTER TABLE ONLY undoing
    ADD CONSTRAINT undoing_list_id_fkey FOREIGN KEY (list_id) REFERENCES mailing_list(id);
ALTER TABLE ONLY undoing
    ADD CONSTRAINT undoing_record_id_fkey FOREIGN KEY (record_id) REFERENCES import(id);
ALTER TABLE ONLY upload
    ADD CONSTRAINT upload_list_id_fkey FOREIGN KEY (list_id) REFERENCES mailing_list(id) ON DELETE CASCADE;
ALTER TABLE ONLY upload
    ADD CONSTRAINT upload_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE;
ALTER TABLE ONLY webhook
    ADD CONSTRAINT webhook_list_id_fkey FOREIGN KEY (list_id) REFERENCES mailing_list(id);

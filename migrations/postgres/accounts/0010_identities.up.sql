-- Who somebody is to an outside issuer. The issuer's URL and its own word for the person (`sub`, at GitHub the number) are the key:
-- an e-mail address is only what the issuer said at the time, and proves nothing. `provider` is the name that the issuer had in the
-- configuration when it was last used.
CREATE TABLE identities (
    issuer       text   NOT NULL,
    subject      text   NOT NULL,
    user_id      uuid   NOT NULL,
    provider     text   NOT NULL,
    email        text,
    created_at   bigint NOT NULL,
    last_used_at bigint,
    CONSTRAINT identities_pkey PRIMARY KEY (issuer, subject),
    CONSTRAINT identities_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT identities_user_id_issuer_key UNIQUE (user_id, issuer)
);

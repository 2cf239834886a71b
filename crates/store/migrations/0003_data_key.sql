-- The secret of this database (src/data_key.rs), from which the keys follow that its values are sealed, found and signed with; wrapped by
-- a key of the installation, which is not in the database and is known by key_id, a digest that says nothing of it.
CREATE TABLE data_key (
    id BIGINT NOT NULL PRIMARY KEY,
    key_id TEXT COLLATE "C" NOT NULL,
    -- The number of the algorithm of keyed digests (src/crypto/cipher.rs), which stays: they could not be found by another one.
    digests_by BIGINT NOT NULL,
    wrapped_key BYTEA NOT NULL
);
